//! The return channel: one answer for each record, JSON Lines.
//!
//! `{"offence":"ofc_…","answer":"accepted"}` · `{"offence":"ofc_…","answer":"refused","code":"HOLDER_UNKNOWN"}` ·
//! `{"offence":"ofc_…","answer":"correct","code":"PLATE_DIFFERS"}`

use serde::{Deserialize, Serialize};

/// Longest file of answers, bytes.
pub const FILE_MAX: usize = 16 * 1024 * 1024;
/// Longest line, bytes.
const LINE_MAX: usize = 1_024;

/// What the tax administration says of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// It is taken.
    Accepted,
    /// It is not, and that is the end of it.
    Refused,
    /// It is not as it stands: a person looks at the finding again.
    Correct,
}

impl Word {
    /// As written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Correct => "correct",
        }
    }
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The record's key.
    pub offence: String,
    /// What.
    pub answer: Word,
    /// Why, the tax administration's code; only with `refused` and `correct`, and there always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// Why a file of answers is not taken: nothing of it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// Too long.
    #[error("the file is longer than 16 MiB")]
    TooLong,
    /// A line.
    #[error("line {line}: {what}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// Whether a text is a record's key.
pub fn is_offence(text: &str) -> bool {
    text.strip_prefix("ofc_").is_some_and(|digits| {
        digits.len() == 32 && digits.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c))
    })
}

/// Whether a text is a code: 1 to 40 of letters, digits, `_ . -`.
pub fn is_code(text: &str) -> bool {
    (1..=40).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'.' | b'-'))
}

/// Reads a file of answers; empty lines are passed over.
///
/// # Errors
/// [`AnswerError`]: nothing of the file counts.
pub fn parse(bytes: &[u8]) -> Result<Vec<Answer>, AnswerError> {
    if bytes.len() > FILE_MAX {
        return Err(AnswerError::TooLong);
    }
    let mut out = Vec::new();
    for (number, raw) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let bad = |what| AnswerError::Line { line: number + 1, what };
        let raw = raw.trim_ascii();
        if raw.is_empty() {
            continue;
        }
        if raw.len() > LINE_MAX {
            return Err(bad("longer than 1,024 bytes"));
        }
        let answer: Answer = serde_json::from_slice(raw).map_err(|_| bad("not an answer"))?;
        if !is_offence(&answer.offence) {
            return Err(bad("`offence` is no key of a record"));
        }
        let has_code = answer.code.as_deref().is_some_and(is_code);
        if has_code != (answer.answer != Word::Accepted) || answer.code.is_some() != has_code {
            return Err(bad("`code` goes with `refused` and `correct`, and only there"));
        }
        out.push(answer);
    }
    Ok(out)
}

/// Arbitrary bytes as a file of answers: what is read can be written and read again.
pub fn fuzz_answers(data: &[u8]) {
    if let Ok(answers) = parse(data) {
        let text: Vec<String> =
            answers.iter().map(|answer| serde_json::to_string(answer).unwrap_or_default()).collect();
        assert_eq!(parse(text.join("\n").as_bytes()), Ok(answers));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ofc_0123456789abcdef0123456789abcdef";

    #[test]
    fn answers_are_read_whole_or_not_at_all() {
        let good = format!(
            "{{\"offence\":\"{KEY}\",\"answer\":\"accepted\"}}\r\n\n{{\"answer\":\"refused\",\"code\":\"X-1\",\"offence\":\"{KEY}\"}}"
        );
        let read = parse(good.as_bytes()).unwrap();
        assert_eq!((read.len(), read[0].answer, read[1].answer), (2, Word::Accepted, Word::Refused));
        for bad in [
            format!("{{\"offence\":\"{KEY}\",\"answer\":\"paid\"}}"),
            format!("{{\"offence\":\"{KEY}\",\"answer\":\"refused\"}}"),
            format!("{{\"offence\":\"{KEY}\",\"answer\":\"accepted\",\"code\":\"X\"}}"),
            format!("{{\"offence\":\"{KEY}\",\"answer\":\"correct\",\"code\":\"a b\"}}"),
            format!("{{\"offence\":\"{KEY}\",\"answer\":\"accepted\",\"more\":1}}"),
            "{\"offence\":\"ofc_1\",\"answer\":\"accepted\"}".to_owned(),
            "[]".to_owned(),
            "x".repeat(2_000),
        ] {
            let text = format!("{{\"offence\":\"{KEY}\",\"answer\":\"accepted\"}}\n{bad}");
            assert!(matches!(parse(text.as_bytes()), Err(AnswerError::Line { line: 2, .. })), "{bad}");
        }
    }

    #[test]
    fn any_bytes_are_answers_or_none() {
        let seed = format!("{{\"offence\":\"{KEY}\",\"answer\":\"correct\",\"code\":\"X\"}}\n").into_bytes();
        for at in 0..seed.len() {
            for byte in [0, b'"', b'}', b'\n', 0xff] {
                let mut data = seed.clone();
                data[at] = byte;
                fuzz_answers(&data);
                fuzz_answers(&data[..at]);
            }
        }
    }
}
