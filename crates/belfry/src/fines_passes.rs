//! `belfry fines passes`: day passes that were sold, as JSON Lines.

use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::Failure;
use crate::machine::{Machine, MachineArgs};
use crate::print;

/// Passes of one request.
const PASSES: usize = 1_000;

/// Tells the passes of a file; the exit code.
pub(crate) async fn told(server: &MachineArgs, file: &Path) -> anyhow::Result<u8> {
    let bytes = std::fs::read(file).map_err(|error| Failure::Input(format!("{}: {error}", file.display())))?;
    let passes =
        fines::passes::parse(&bytes).map_err(|error| Failure::Input(format!("{}: {error}", file.display())))?;
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
