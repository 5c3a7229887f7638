//! `belfry fines passes`: day passes that were sold, as JSON Lines.

use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::Failure;
use crate::machine::{Machine, MachineArgs};
use crate::print;

/// Longest file, bytes.
const FILE_MAX: usize = 64 * 1024 * 1024;
/// Passes of one request.
const PASSES: usize = 1_000;

/// The lines of a file; empty ones are passed over. What is wrong in one is named without its content, which has a plate in it.
fn parsed(bytes: &[u8]) -> Result<Vec<Value>, String> {
    if bytes.len() > FILE_MAX {
        return Err("longer than 64 MiB".to_owned());
    }
    let mut out = Vec::new();
    for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let value: Option<Value> = serde_json::from_slice(line).ok();
        let is_pass = |value: &Value| {
            let fields = ["plate", "country", "day", "bought_at"];
            value.as_object().is_some_and(|map| map.len() == fields.len())
                && fields.iter().all(|field| value.get(field).is_some_and(Value::is_string))
        };
        out.push(value.filter(is_pass).ok_or_else(|| format!("line {number}: not a day pass"))?);
    }
    Ok(out)
}

/// Tells the passes of a file; the exit code.
pub(crate) async fn told(server: &MachineArgs, file: &Path) -> anyhow::Result<u8> {
    let bytes = std::fs::read(file).map_err(|error| Failure::Input(format!("{}: {error}", file.display())))?;
    let passes = parsed(&bytes).map_err(|error| Failure::Input(format!("{}: {error}", file.display())))?;
    let session = Machine::open(server).await?;
    let (mut noted, mut known, mut out_of_term, mut done) = (0, 0, 0, 0);
    for some in passes.chunks(PASSES) {
        let said = session.call(Method::POST, "/api/v1/fines/passes", Some(json!({ "items": some }))).await?;
        let number = |field: &str| said.get(field).and_then(Value::as_u64).unwrap_or(0);
        (noted, known, out_of_term) =
            (noted + number("noted"), known + number("known"), out_of_term + number("out_of_term"));
        done += some.len();
        crate::complain(&json!({ "step": "passes", "done": done, "total": passes.len() }).to_string());
    }
    print(&if server.json {
        format!("{}\n", json!({ "noted": noted, "known": known, "out_of_term": out_of_term }))
    } else {
        format!("{noted} noted, {known} known before, {out_of_term} out of their term\n")
    });
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_whole_or_not_at_all() {
        let good = r#"{"plate":"1AAA111","country":"B","day":"2026-11-21","bought_at":"2026-11-21T08:00:00Z"}"#;
        assert_eq!(parsed(format!("{good}\r\n\n{good}").as_bytes()).unwrap().len(), 2);
        for bad in [
            "[]",
            "{}",
            r#"{"plate":"1AAA111","country":"B","day":"2026-11-21"}"#,
            r#"{"plate":1,"country":"B","day":"x","bought_at":"x"}"#,
            r#"{"plate":"1AAA111","country":"B","day":"x","bought_at":"x","more":"x"}"#,
        ] {
            let error = parsed(format!("{good}\n{bad}\n").as_bytes()).unwrap_err();
            assert_eq!(error, "line 2: not a day pass");
        }
    }
}
