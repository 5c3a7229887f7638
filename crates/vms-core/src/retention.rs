//! Retention classes and terms (`domain.md` D6). The table itself is seed data; only its shape is here.

use std::fmt;
use std::time::Duration;

/// Code of a retention class, such as `RC-VID-OPEN`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RetentionClass(Box<str>);

impl RetentionClass {
    /// `None` unless it reads `RC-` and then 2 to 24 capitals, digits or hyphens.
    pub fn parse(code: &str) -> Option<Self> {
        let rest = code.strip_prefix("RC-")?;
        let fits = (2..=24).contains(&rest.len())
            && rest.bytes().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'-');
        fits.then(|| Self(code.into()))
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RetentionClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How long material of a class is kept, and the longest the law allows.
///
/// INVARIANT: `keep <= bound`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionTerm {
    keep: Duration,
    bound: Duration,
}

impl RetentionTerm {
    /// `None` when `keep` is longer than the legal bound.
    pub fn new(keep: Duration, bound: Duration) -> Option<Self> {
        (keep <= bound).then_some(Self { keep, bound })
    }

    /// The term in force.
    pub const fn keep(self) -> Duration {
        self.keep
    }

    /// The legal upper bound.
    pub const fn bound(self) -> Duration {
        self.bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_never_passes_its_bound() {
        let days = |n: u64| Duration::from_secs(n * 86_400);
        assert!(RetentionTerm::new(days(30), days(31)).is_some());
        assert!(RetentionTerm::new(days(32), days(31)).is_none());
        assert!(RetentionClass::parse("RC-VID-OPEN").is_some());
        assert!(RetentionClass::parse("VID").is_none());
    }
}
