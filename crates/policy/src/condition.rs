//! The words of a cell (`domain.md` H2).
//!
//! Belongs here: what a condition is called and which of two is stricter. Does not belong here: whether it is met; the
//! compiled policies say that (`compile`).

use std::fmt;

/// Longest time that a condition may name, days (ten years: the longest retention class).
pub const DAYS_MAX: u16 = 3_653;

/// What a cell demands besides the yes, or obliges to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// Purpose code and text of at least ten characters (j).
    Justification,
    /// Case, report or ticket number (c).
    Case,
    /// A second person (4).
    SecondPerson,
    /// A second person for what is older than so many days (4 after t).
    SecondPersonAfterDays(u16),
    /// A magistrate's written decision for what is older than so many days (m).
    MagistrateAfterDays(u16),
    /// Only during an activated event that covers the camera (e).
    Event,
    /// Only at a police-supervised station (p, Camera Act article 5 §4).
    PoliceStation,
    /// Only in one's own territory (z).
    OwnTerritory,
    /// Only while the data flow or authorisation for this purpose is active (d).
    Flow,
    /// Only what lies in a file of one's own queue.
    OwnFile,
    /// Only the coarse rendition (x).
    Masked,
    /// Only counts, small ones left out (a).
    Aggregated,
    /// Only to look at (r).
    ReadOnly,
    /// Not older than so many days (t).
    AgeMaxDays(u16),
    /// The owner is told (n): an obligation, it never denies.
    NotifyOwner,
}

impl Condition {
    /// Reads one word, such as `case` or `age_max_days=30`; `None` for a word that is none.
    pub fn parse(word: &str) -> Option<Self> {
        let plain = [
            Self::Justification,
            Self::Case,
            Self::SecondPerson,
            Self::Event,
            Self::PoliceStation,
            Self::OwnTerritory,
            Self::Flow,
            Self::OwnFile,
            Self::Masked,
            Self::Aggregated,
            Self::ReadOnly,
            Self::NotifyOwner,
        ];
        if let Some(found) = plain.into_iter().find(|condition| condition.stem() == word) {
            return Some(found);
        }
        let (stem, days) = word.split_once('=')?;
        let all_digits = !days.is_empty() && days.bytes().all(|byte| byte.is_ascii_digit());
        let days: u16 = all_digits.then(|| days.parse().ok()).flatten()?;
        if days == 0 || days > DAYS_MAX {
            return None;
        }
        let timed = [Self::SecondPersonAfterDays(days), Self::MagistrateAfterDays(days), Self::AgeMaxDays(days)];
        timed.into_iter().find(|condition| condition.stem() == stem)
    }

    /// The word without its number: two conditions with the same stem can't stand in one cell.
    pub const fn stem(self) -> &'static str {
        match self {
            Self::Justification => "justification",
            Self::Case => "case",
            Self::SecondPerson => "second_person",
            Self::SecondPersonAfterDays(_) => "second_person_after_days",
            Self::MagistrateAfterDays(_) => "magistrate_after_days",
            Self::Event => "event",
            Self::PoliceStation => "police_station",
            Self::OwnTerritory => "own_territory",
            Self::Flow => "flow",
            Self::OwnFile => "own_file",
            Self::Masked => "masked",
            Self::Aggregated => "aggregated",
            Self::ReadOnly => "read_only",
            Self::AgeMaxDays(_) => "age_max_days",
            Self::NotifyOwner => "notify_owner",
        }
    }

    /// The number of days, where the word has one.
    pub const fn days(self) -> Option<u16> {
        match self {
            Self::SecondPersonAfterDays(days) | Self::MagistrateAfterDays(days) | Self::AgeMaxDays(days) => Some(days),
            Self::Justification
            | Self::Case
            | Self::SecondPerson
            | Self::Event
            | Self::PoliceStation
            | Self::OwnTerritory
            | Self::Flow
            | Self::OwnFile
            | Self::Masked
            | Self::Aggregated
            | Self::ReadOnly
            | Self::NotifyOwner => None,
        }
    }

    /// In words for a reader who knows no code.
    pub fn words(self) -> String {
        match self {
            Self::Justification => "with a purpose and a written justification".into(),
            Self::Case => "with a case number".into(),
            Self::SecondPerson => "with a second person".into(),
            Self::SecondPersonAfterDays(days) => format!("with a second person for what is older than {}", span(days)),
            Self::MagistrateAfterDays(days) => {
                format!("with a magistrate's written decision for what is older than {}", span(days))
            }
            Self::Event => "during an activated event that covers the camera".into(),
            Self::PoliceStation => "at a police-supervised station".into(),
            Self::OwnTerritory => "in the own territory".into(),
            Self::Flow => "while the data flow is active".into(),
            Self::OwnFile => "for a file in the own queue".into(),
            Self::Masked => "in the masked view".into(),
            Self::Aggregated => "as counts".into(),
            Self::ReadOnly => "to look at".into(),
            Self::AgeMaxDays(days) => format!("not older than {}", span(days)),
            Self::NotifyOwner => "the owner is told".into(),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.days() {
            Some(days) => write!(f, "{}={days}", self.stem()),
            None => f.write_str(self.stem()),
        }
    }
}

fn span(days: u16) -> String {
    if days == 1 { "1 day".into() } else { format!("{days} days") }
}

/// A cell as it is written: `yes` or its words.
pub fn cell_text(conditions: &[Condition]) -> String {
    if conditions.is_empty() {
        return "yes".into();
    }
    conditions.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// Reads the words of a cell, sorted.
///
/// # Errors
/// The word that is not known or stands there against another one.
pub(crate) fn parse_cell(text: &str) -> Result<Vec<Condition>, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    match words.as_slice() {
        [] => return Err("(an empty cell)".into()),
        ["yes"] => return Ok(Vec::new()),
        _ => {}
    }
    let mut found: Vec<Condition> = Vec::new();
    for word in words {
        let condition = Condition::parse(word).ok_or_else(|| word.to_owned())?;
        if found.iter().any(|old| old.stem() == condition.stem()) {
            return Err(format!("{word} (a second time)"));
        }
        found.push(condition);
    }
    found.sort_unstable();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_written() {
        for word in ["justification", "event", "notify_owner", "age_max_days=30", "magistrate_after_days=1"] {
            assert_eq!(Condition::parse(word).unwrap().to_string(), word);
        }
        for wrong in ["", "yes", "Case", "case=1", "age_max_days", "age_max_days=", "age_max_days=0", "age_max_days=+3"]
        {
            assert_eq!(Condition::parse(wrong), None, "{wrong}");
        }
        for wrong in ["age_max_days=3654", "age_max_days=-1", "age_max_days=99999999", "age_max_days= 3"] {
            assert_eq!(Condition::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_cell_is_yes_or_words() {
        let cases: [(&str, Result<&str, &str>); 6] = [
            ("yes", Ok("yes")),
            ("case justification", Ok("justification case")),
            ("", Err("(an empty cell)")),
            ("yes case", Err("yes")),
            ("case case", Err("case (a second time)")),
            ("age_max_days=1 age_max_days=2", Err("age_max_days=2 (a second time)")),
        ];
        for (text, wanted) in cases {
            let read = parse_cell(text).map(|cell| cell_text(&cell));
            assert_eq!(read.as_deref().map_err(String::as_str), wanted, "{text}");
        }
    }
}
