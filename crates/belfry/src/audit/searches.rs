//! `belfry audit who-searched`: who searched for a plate. The one part of `belfry audit` that asks a running Belfry as somebody: it names
//! persons, so it is that account's use, with its purpose and case in the log.
//!
//! Exit codes: those of a client ([`crate::client`]): 0 answered, also where nobody searched · 3 the account may not · 4 what was given is
//! refused · 5 Belfry can't be reached.

use std::io::BufRead as _;

use anyhow::Context as _;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Failure, ServerArgs, Session};
use crate::print;

/// Leaves of one page: the most that the interface gives.
const PAGE: u32 = 500;

/// Whose searches. The plate is read from standard input: a command line is seen by everybody on the machine and kept by the shell.
#[derive(Debug, clap::Args)]
pub(crate) struct SearchesArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// First instant, RFC 3339, such as 2026-11-22T10:00:00+01:00.
    #[arg(long)]
    from: String,
    /// First instant after.
    #[arg(long)]
    to: String,
    /// Purpose code, such as `GERECHTELIJK_ONDERZOEK`.
    #[arg(long)]
    purpose: String,
    /// Why, in at least ten characters.
    #[arg(long)]
    justification: String,
    /// Case or complaint number.
    #[arg(long)]
    case: String,
}

/// Runs the command.
pub(crate) async fn run(args: SearchesArgs) -> anyhow::Result<()> {
    let mut plate = String::new();
    std::io::stdin().lock().read_line(&mut plate).context("reading the plate from standard input")?;
    if plate.trim().is_empty() {
        return Err(Failure::Input(
            "give the plate on standard input, such as: belfry audit who-searched … < plate.txt".to_owned(),
        )
        .into());
    }
    let session = Session::open(&args.server).await?;
    let outcome = look(&session, &args, plate.trim()).await;
    session.close(outcome).await
}

async fn look(session: &Session, args: &SearchesArgs, plate: &str) -> anyhow::Result<()> {
    let body = json!({ "plate": plate, "from": args.from, "to": args.to,
        "purpose": { "code": args.purpose, "justification": args.justification, "case_ref": args.case } });
    let mut cursor = String::new();
    loop {
        let path = format!("/api/v1/audit/plate-searches?limit={PAGE}{cursor}");
        let page = session.call(Method::POST, &path, Some(body.clone())).await?;
        for item in page.get("items").and_then(Value::as_array).into_iter().flatten() {
            print(&if args.server.json { format!("{item}\n") } else { line(item) });
        }
        match page.get("next_cursor").and_then(Value::as_str) {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(()),
        }
    }
}

/// One leaf in one line: when, who, which right, how it ended, why.
fn line(item: &Value) -> String {
    let text = |pointer: &str| item.pointer(pointer).and_then(Value::as_str).unwrap_or("–");
    let details = |key: &str| text(&format!("/details/{key}")).to_owned();
    let index = item.get("index").and_then(Value::as_u64).unwrap_or(0);
    format!(
        "{}  leaf {index}  {} ({}, {})  {} {}  {}  {}  {}\n",
        text("/at"),
        details("actor/name"),
        details("actor/org"),
        details("actor/profile"),
        details("right"),
        details("outcome"),
        details("purpose"),
        details("case_ref"),
        details("justification"),
    )
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn a_leaf_is_one_line() {
        let item = json!({ "index": 7, "at": "2026-11-22T12:00:00.000000Z", "details": {
            "actor": { "name": "jan", "org": "5340", "profile": "P02" }, "right": "reads.search", "outcome": "allow",
            "purpose": "GERECHTELIJK_ONDERZOEK", "case_ref": "BR-7", "justification": "diefstal" } });
        assert_eq!(
            line(&item),
            "2026-11-22T12:00:00.000000Z  leaf 7  jan (5340, P02)  reads.search allow  GERECHTELIJK_ONDERZOEK  BR-7  diefstal\n"
        );
        assert_eq!(line(&json!({})), "–  leaf 0  – (–, –)  – –  –  –  –\n");
    }

    #[test]
    fn the_plate_is_no_argument_and_purpose_and_case_are() {
        let words = "belfry audit who-searched --user o --from a --to b --purpose p --justification j --case c --json";
        let all: Vec<&str> = words.split(' ').collect();
        assert!(crate::cli::Args::try_parse_from(&all).is_ok());
        assert!(crate::cli::Args::try_parse_from(all.iter().chain(&["1ABC234"])).is_err());
        for left_out in ["--purpose", "--justification", "--case", "--from", "--to"] {
            let at = all.iter().position(|word| *word == left_out).unwrap();
            let rest = all.iter().take(at).chain(all.iter().skip(at + 2));
            assert!(crate::cli::Args::try_parse_from(rest).is_err(), "{left_out}");
        }
    }
}
