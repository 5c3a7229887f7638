//! What a check found, for people and for programs.

use serde::Serialize;

/// How one check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It holds.
    Holds,
    /// It does not.
    Fails,
    /// Nothing wrong, but the reader should know.
    Remark,
    /// It could not be made.
    NotChecked,
}

impl Outcome {
    /// Word in the table.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Fails => "FAILS",
            Self::Remark => "note",
            Self::NotChecked => "not checked",
        }
    }
}

/// All checks together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything holds, and the signer is the one the reader trusts.
    Authentic,
    /// Everything holds; whether the signer is the installation was not said.
    Intact,
    /// Something does not hold.
    Broken,
    /// There is nothing here that could be checked.
    #[default]
    NotChecked,
}

impl Verdict {
    /// Exit code of a program that says it: 0 holds, 1 does not, 2 could not be checked.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Authentic | Self::Intact => 0,
            Self::Broken => 1,
            Self::NotChecked => 2,
        }
    }

    /// One sentence.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Authentic => "AUTHENTIC: nothing was changed, and it was sealed by the installation that you trust.",
            Self::Intact => {
                "INTACT, SIGNER NOT PINNED: nothing was changed since it was sealed; compare the fingerprint to know by whom."
            }
            Self::Broken => "NOT AUTHENTIC: something was changed, removed or added. See what fails above.",
            Self::NotChecked => "NOT CHECKED: this is not an export, or it cannot be read.",
        }
    }
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Stable word for what was checked.
    pub check: &'static str,
    /// On which file.
    pub file: String,
    /// How it came out.
    pub outcome: Outcome,
    /// In words.
    pub words: String,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize)]
pub struct Report {
    /// Id of the export, once a manifest was read.
    pub export_id: Option<String>,
    /// All checks together.
    pub verdict: Verdict,
    /// The signer is the one that the reader trusts.
    pub is_pinned: bool,
    /// One by one.
    pub checks: Vec<Check>,
}

impl Report {
    fn add(&mut self, check: &'static str, file: &str, outcome: Outcome, words: &str) {
        self.checks.push(Check { check, file: file.to_owned(), outcome, words: words.to_owned() });
    }

    pub(super) fn hold(&mut self, check: &'static str, file: &str, words: &str) {
        self.add(check, file, Outcome::Holds, words);
    }

    pub(super) fn fail(&mut self, check: &'static str, file: &str, words: &str) {
        self.add(check, file, Outcome::Fails, words);
    }

    pub(super) fn remark(&mut self, check: &'static str, file: &str, words: &str) {
        self.add(check, file, Outcome::Remark, words);
    }

    pub(super) fn not_checked(&mut self, check: &'static str, file: &str, words: &str) {
        self.add(check, file, Outcome::NotChecked, words);
    }

    pub(super) fn result(&mut self, check: &'static str, file: &str, holds: bool, good: &str, bad: &str) {
        if holds { self.hold(check, file, good) } else { self.fail(check, file, bad) }
    }

    /// A finding that is no proof of tampering.
    pub(super) fn note(&mut self, check: &'static str, file: &str, holds: bool, good: &str, bad: &str) {
        if holds { self.hold(check, file, good) } else { self.remark(check, file, bad) }
    }

    pub(super) fn close(mut self) -> Self {
        let any = |outcome| self.checks.iter().any(|check| check.outcome == outcome);
        self.verdict = if any(Outcome::Fails) {
            Verdict::Broken
        } else if any(Outcome::NotChecked) || !any(Outcome::Holds) {
            Verdict::NotChecked
        } else if self.is_pinned {
            Verdict::Authentic
        } else {
            Verdict::Intact
        };
        self
    }

    /// What fails, in words.
    pub fn failures(&self) -> Vec<String> {
        let bad = self.checks.iter().filter(|check| matches!(check.outcome, Outcome::Fails | Outcome::NotChecked));
        bad.map(|check| format!("{}: {}", check.file, check.words)).collect()
    }

    /// A table for a terminal, the verdict below it.
    pub fn table(&self) -> String {
        let wide = |pick: fn(&Check) -> usize| self.checks.iter().map(pick).max().unwrap_or(0);
        let (files, checks) = (wide(|check| check.file.chars().count()), wide(|check| check.check.len()));
        let mut out = String::new();
        for check in &self.checks {
            let word = check.outcome.word();
            out.push_str(&format!("{word:<11}  {:<files$}  {:<checks$}  {}\n", check.file, check.check, check.words));
        }
        out.push_str(&format!("\n{}\n", self.verdict.sentence()));
        out
    }
}
