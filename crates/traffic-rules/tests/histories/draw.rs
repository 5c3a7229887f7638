//! Numbers from a seed: the same ones every time.

/// How many histories, and from which seed.
#[expect(clippy::disallowed_methods, reason = "the number of histories of a test run")]
pub(crate) fn plan(usual: u64) -> (u64, u64) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    (number("BELFRY_HISTORIES").unwrap_or(usual), number("BELFRY_HISTORIES_SEED").unwrap_or(20_261_123))
}

/// Works the histories on two threads and adds up what they found.
pub(crate) fn spread(histories: u64, work: impl Fn(u64) -> u64 + Sync) -> u64 {
    let work = &work;
    std::thread::scope(|scope| {
        let halves: Vec<_> = (0..2)
            .map(|half| scope.spawn(move || (0..histories).filter(|n| n % 2 == half).map(work).sum::<u64>()))
            .collect();
        halves.into_iter().map(|half| half.join().unwrap()).sum()
    })
}

/// A generator (splitmix64).
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64, number: u64) -> Self {
        Self(seed ^ number.wrapping_mul(0xD134_2543_DE82_EF95))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// `low` to `high`, both inside.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        let span = u64::try_from(high - low + 1).unwrap();
        low + i64::try_from(self.next() % span).unwrap()
    }

    pub(crate) fn percent(&mut self, percent: i64) -> bool {
        self.between(0, 99) < percent
    }

    pub(crate) fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.next() % u64::try_from(all.len()).unwrap()).unwrap()]
    }
}
