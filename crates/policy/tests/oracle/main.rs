//! Two readings of the role matrix, held against each other (reliability.md A3): Cedar behind `policy`, and the oracle.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "tests say what they expect"
)]

mod oracle;

use std::sync::atomic::{AtomicUsize, Ordering};

use oracle::{Ask, Oracle};
use policy::{Decision, Matrix, Request};
use vms_core::{Profile, Purpose, Relation, Rendition, Right};

const TEXT: &str = include_str!("../../../../seed/roles.toml");
const DAY_US: i64 = 86_400_000_000;
const RANDOM_REQUESTS: usize = 1_000_000;
const SEED: u64 = 0x5eed_2026_1122_0005;

const REASONS: [Option<&str>; 9] = [
    None,
    Some(""),
    Some("brand in de Hoogstraat"),
    Some("aaaaaaaaaaaaaaaa"),
    Some("abcabcabcabc"),
    Some("abcd      "),
    Some("   abcd e f   "),
    Some("vluchtwagen é ü"),
    Some("ab cd ef g"),
];
const NUMBERS: [Option<&str>; 5] = [None, Some("  "), Some("12"), Some(" 123 "), Some("BR.11.L3.4711/2026")];

/// Deterministic numbers (splitmix64): a difference can be found again from the printed seed and index.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.roll() % u64::try_from(bound).unwrap()).unwrap()
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    /// Yes in most cases, so that single lacks come up and not only heaps of them.
    fn mostly(&mut self) -> bool {
        self.below(4) != 0
    }
}

/// `name` is `profile right relation`, as the oracle calls a cell.
fn words_of(name: &str) -> (&'static str, &'static str, &'static str) {
    let mut words = name.split(' ');
    let mut next = || words.next().unwrap();
    let profile: Profile = next().parse().unwrap();
    let right: Right = next().parse().unwrap();
    let relation: Relation = next().parse().unwrap();
    (profile.as_str(), right.as_str(), relation.as_str())
}

/// Everything given, everything holds.
fn full(name: &str) -> Ask {
    let (profile, right, relation) = words_of(name);
    Ask {
        profile,
        right,
        relation,
        purpose: true,
        justification: Some("brand in de Hoogstraat"),
        case: Some("BR.11.L3.4711/2026"),
        magistrate: Some("PK 2026/88"),
        second_person: true,
        age_us: 0,
        event: true,
        station: true,
        territory: true,
        flow: true,
        file: true,
        coarse: true,
        aggregated: true,
        reads_only: true,
        suspended: false,
    }
}

/// Nothing given, nothing holds.
fn bare(name: &str) -> Ask {
    let (profile, right, relation) = words_of(name);
    Ask {
        profile,
        right,
        relation,
        purpose: false,
        justification: None,
        case: None,
        magistrate: None,
        second_person: false,
        age_us: 4_000 * DAY_US,
        event: false,
        station: false,
        territory: false,
        flow: false,
        file: false,
        coarse: false,
        aggregated: false,
        reads_only: false,
        suspended: true,
    }
}

const TOGGLES: usize = 15;

/// Turns one fact of `ask` to what it is in `other`.
fn toggle(ask: &mut Ask, other: &Ask, which: usize) {
    match which {
        0 => ask.purpose = other.purpose,
        1 => ask.justification = other.justification,
        2 => ask.case = other.case,
        3 => ask.magistrate = other.magistrate,
        4 => ask.second_person = other.second_person,
        5 => ask.age_us = other.age_us,
        6 => ask.event = other.event,
        7 => ask.station = other.station,
        8 => ask.territory = other.territory,
        9 => ask.flow = other.flow,
        10 => ask.file = other.file,
        11 => ask.coarse = other.coarse,
        12 => ask.aggregated = other.aggregated,
        13 => ask.reads_only = other.reads_only,
        _ => ask.suspended = other.suspended,
    }
}

fn request(ask: &Ask) -> Request<'static> {
    Request {
        profile: ask.profile.parse().unwrap(),
        right: ask.right.parse().unwrap(),
        relation: ask.relation.parse().unwrap(),
        rendition: if ask.coarse { Rendition::Coarse } else { Rendition::Original },
        purpose: ask.purpose.then_some(Purpose::Intervention),
        justification: ask.justification,
        case_ref: ask.case,
        magistrate_ref: ask.magistrate,
        has_second_person: ask.second_person,
        age_us: ask.age_us,
        event_active: ask.event,
        police_station: ask.station,
        own_territory: ask.territory,
        flow_active: ask.flow,
        own_file: ask.file,
        suspended: ask.suspended,
        aggregated: ask.aggregated,
        reads_only: ask.reads_only,
    }
}

/// The other side's answer in the oracle's words.
fn word(decision: &Decision) -> String {
    match decision {
        Decision::Allow(with) if with.notify_owner => "allow notify".into(),
        Decision::Allow(_) => "allow".into(),
        Decision::Missing(list) => {
            let list: Vec<&str> = list.iter().map(|one| one.code()).collect();
            format!("missing {}", list.join(","))
        }
        Decision::Deny(reason) => format!("deny {}", reason.code()),
    }
}

fn agree(matrix: &Matrix, oracle: &Oracle, ask: &Ask) -> Result<(), String> {
    let (ours, theirs) = (word(&matrix.decide(&request(ask))), oracle.say(ask));
    if ours == theirs { Ok(()) } else { Err(format!("policy `{ours}`, oracle `{theirs}`: {ask:?}")) }
}

fn random(dice: &mut Dice, oracle: &Oracle, names: &[String]) -> Ask {
    // Three of four are about a cell that exists: of all places in the matrix only one in twenty is a yes.
    let name = if dice.mostly() {
        names[dice.below(names.len())].clone()
    } else {
        format!("{} {} {}", dice.pick(Profile::ALL), dice.pick(Right::ALL), dice.pick(Relation::ALL))
    };
    let edges: Vec<i64> = oracle.days(&name).into_iter().chain([1, 30, 365]).collect();
    let edge = dice.pick(&edges) * DAY_US;
    let age_us = match dice.below(6) {
        0 => edge,
        1 => edge + 1,
        2 => edge - 1,
        3 => i64::try_from(dice.roll() >> 14).unwrap(),
        4 => dice.pick(&[i64::MIN, -1, i64::MAX]),
        _ => 0,
    };
    Ask {
        purpose: dice.mostly(),
        justification: if dice.mostly() { REASONS[2] } else { dice.pick(&REASONS) },
        case: if dice.mostly() { NUMBERS[4] } else { dice.pick(&NUMBERS) },
        magistrate: if dice.mostly() { NUMBERS[3] } else { dice.pick(&NUMBERS) },
        second_person: dice.mostly(),
        age_us,
        event: dice.mostly(),
        station: dice.mostly(),
        territory: dice.mostly(),
        flow: dice.mostly(),
        file: dice.mostly(),
        coarse: dice.mostly(),
        aggregated: dice.mostly(),
        reads_only: dice.mostly(),
        suspended: dice.below(16) == 0,
        ..full(&name)
    }
}

#[test]
fn a_million_random_requests() {
    let (matrix, oracle) = (Matrix::embedded().unwrap(), Oracle::read(TEXT));
    let names = oracle.names();
    assert_eq!(names.len(), matrix.cells().count(), "both read the same number of cells");
    let allowed = AtomicUsize::new(0);
    let differences: Vec<String> = std::thread::scope(|scope| {
        let halves = [0u64, 1].map(|half| {
            let (matrix, oracle, names, allowed) = (&matrix, &oracle, &names, &allowed);
            scope.spawn(move || {
                let mut dice = Dice(SEED ^ (half << 32));
                let mut found = Vec::new();
                for index in 0..RANDOM_REQUESTS / 2 {
                    let ask = random(&mut dice, oracle, names);
                    if let Err(said) = agree(matrix, oracle, &ask) {
                        found.push(format!("half {half}, request {index}: {said}"));
                    }
                    if oracle.say(&ask).starts_with("allow") {
                        allowed.fetch_add(1, Ordering::Relaxed);
                    }
                }
                found
            })
        });
        halves.into_iter().flat_map(|half| half.join().unwrap()).collect()
    });
    let allowed = allowed.into_inner();
    println!("seed {SEED:#x}: {RANDOM_REQUESTS} requests, {allowed} allowed, {} differences", differences.len());
    assert_eq!(differences.first(), None, "{} differences, seed {SEED:#x}", differences.len());
    assert!(allowed > RANDOM_REQUESTS / 50, "the requests reach the yes often enough: {allowed}");
}

#[test]
fn every_place_with_each_single_fact_turned() {
    let (matrix, oracle) = (Matrix::embedded().unwrap(), Oracle::read(TEXT));
    let mut asked = 0usize;
    for profile in Profile::ALL {
        for right in Right::ALL {
            for relation in Relation::ALL {
                let name = format!("{profile} {right} {relation}");
                let (all, none) = (full(&name), bare(&name));
                let mut list = vec![all.clone(), none.clone()];
                for which in 0..TOGGLES {
                    let (mut without, mut with) = (all.clone(), none.clone());
                    toggle(&mut without, &none, which);
                    toggle(&mut with, &all, which);
                    list.extend([without, with]);
                }
                for days in oracle.days(&name) {
                    for age_us in [days * DAY_US - 1, days * DAY_US, days * DAY_US + 1] {
                        list.push(Ask { age_us, magistrate: None, second_person: false, ..all.clone() });
                        list.push(Ask { age_us, ..all.clone() });
                    }
                }
                for ask in &list {
                    assert_eq!(agree(&matrix, &oracle, ask), Ok(()));
                }
                asked += list.len();
            }
        }
    }
    println!("{asked} requests about every place of the matrix");
    assert!(asked > 32 * Profile::ALL.len() * Right::ALL.len() * Relation::ALL.len() - 1);
}

/// The comparison can fail: one word changed in the text of one reader is seen.
#[test]
fn one_changed_word_is_a_difference() {
    let oracle = Oracle::read(TEXT);
    for (from, to, name) in [
        (
            "{ profile = \"P01\", own = \"yes\", shared = \"justification\" }",
            "{ profile = \"P01\", own = \"yes\" }",
            "P01 live shared",
        ),
        ("own = \"justification age_max_days=2\"", "own = \"justification age_max_days=3\"", "P01 playback own"),
        ("own = \"masked\"", "own = \"yes\"", "P11 live own"),
        ("own = \"police_station\"", "own = \"event\"", "P13 live own"),
        (
            "other = \"event justification notify_owner\" },\n  { profile = \"P03\"",
            "},\n  { profile = \"P03\"",
            "P02 live other",
        ),
    ] {
        assert!(TEXT.contains(from), "{from}");
        let changed = TEXT.replacen(from, to, 1).replace("\", }", "\" }");
        let matrix = Matrix::parse(&changed).unwrap();
        let (all, none) = (full(name), bare(name));
        let mut differences = 0;
        for which in 0..TOGGLES {
            let mut without = all.clone();
            toggle(&mut without, &none, which);
            differences += usize::from(agree(&matrix, &oracle, &without).is_err());
        }
        let older = Ask { age_us: 2 * DAY_US + 1, ..all };
        differences += usize::from(agree(&matrix, &oracle, &older).is_err());
        assert!(differences > 0, "{name}: a changed cell is not seen");
    }
}
