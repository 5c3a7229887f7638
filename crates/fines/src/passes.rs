//! Day passes that were sold, as whoever sells them hands them over: JSON Lines (`docs/FINES.md`).
//!
//! `{"plate":"1AAA111","country":"B","day":"2026-11-21","bought_at":"2026-11-21T08:00:00Z"}`
//!
//! Belongs here: the form of the file. Does not belong here: whether a text is a plate, a country or a day, and what a pass is worth (`vms-app`).

use serde::{Deserialize, Serialize};

/// Longest file of passes, bytes.
pub const FILE_MAX: usize = 64 * 1024 * 1024;

/// One pass, as it was written. `Debug` hides it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pass {
    /// Plate, in any spelling.
    pub plate: String,
    /// Distinguishing sign of the country.
    pub country: String,
    /// The day that it is for, `YYYY-MM-DD`, in Brussels.
    pub day: String,
    /// When it was paid, RFC 3339.
    pub bought_at: String,
}

impl std::fmt::Debug for Pass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pass(hidden)")
    }
}

/// Why a file of passes is not taken: nothing of it was. What is wrong in a line is named without its content, which has a plate in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PassError {
    /// Too long.
    #[error("longer than 64 MiB")]
    TooLong,
    /// A line.
    #[error("line {line}: not a day pass")]
    Line {
        /// Which, from 1.
        line: usize,
    },
}

/// Reads a file of passes; empty lines are passed over.
///
/// # Errors
/// [`PassError`]: nothing of the file counts.
pub fn parse(bytes: &[u8]) -> Result<Vec<Pass>, PassError> {
    if bytes.len() > FILE_MAX {
        return Err(PassError::TooLong);
    }
    let lines = (1..).zip(bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii));
    let read = |(line, raw)| {
        // An array of four texts would pass for one too.
        let is_object = <[u8]>::first(raw) == Some(&b'{');
        let pass = is_object.then(|| serde_json::from_slice(raw).ok()).flatten();
        pass.ok_or(PassError::Line { line })
    };
    lines.filter(|(_, raw)| !raw.is_empty()).map(read).collect()
}

/// Arbitrary bytes as a file of passes: what is read can be written and read again.
pub fn fuzz_passes(data: &[u8]) {
    if let Ok(passes) = parse(data) {
        let text: Vec<String> = passes.iter().map(|pass| serde_json::to_string(pass).unwrap_or_default()).collect();
        assert_eq!(parse(text.join("\n").as_bytes()), Ok(passes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"plate":"1AAA111","country":"B","day":"2026-11-21","bought_at":"2026-11-21T08:00:00Z"}"#;

    #[test]
    fn a_file_is_read_whole_or_not_at_all() {
        let read = parse(format!("{GOOD}\r\n\n{GOOD}").as_bytes()).unwrap();
        assert_eq!((read.len(), read[0].plate.as_str(), read[1].day.as_str()), (2, "1AAA111", "2026-11-21"));
        assert!(!format!("{read:?}").contains("AAA"), "no plate in a message");
        for bad in [
            "[]",
            "{}",
            r#"["1AAA111","B","2026-11-21","2026-11-21T08:00:00Z"]"#,
            r#"{"plate":"1AAA111","country":"B","day":"2026-11-21"}"#,
            r#"{"plate":1,"country":"B","day":"x","bought_at":"x"}"#,
            r#"{"plate":"1AAA111","country":"B","day":"x","bought_at":"x","more":"x"}"#,
            r#"{"plate":"1AAA111","plate":"1BBB222","country":"B","day":"x","bought_at":"x"}"#,
            r#"{"plate":"1AAA111","country":"B","day":"x","bought_at":"x"} {}"#,
        ] {
            let error = parse(format!("{GOOD}\n{bad}\n").as_bytes()).unwrap_err();
            assert_eq!(error, PassError::Line { line: 2 }, "{bad}");
            assert_eq!(error.to_string(), "line 2: not a day pass");
        }
        assert_eq!(parse(&vec![b'\n'; FILE_MAX + 1]), Err(PassError::TooLong));
    }

    /// What the fuzz target finds becomes a case here.
    #[test]
    fn any_bytes_are_passes_or_none() {
        let seed = include_bytes!("../../../fuzz/seeds/pass_file/two");
        assert_eq!(parse(seed).unwrap().len(), 2);
        for at in 0..seed.len() {
            for byte in [0, b'"', b'\\', b'{', b'}', b'\n', 0xff] {
                let mut data = seed.to_vec();
                data[at] = byte;
                fuzz_passes(&data);
                fuzz_passes(&data[..at]);
            }
        }
        let deep = "[".repeat(100_000);
        fuzz_passes(format!("{{\"plate\":{deep}").as_bytes());
        fuzz_passes(deep.as_bytes());
    }
}
