//! `belfry fines …`: batches of approved findings for the tax administration, a municipality or the police's own processing, made for a job
//! scheduler.
//!
//! Exit codes: 0 done · 1 something changed, does not add up, or some answers were not taken · 2 wrong usage, or it could not be looked at ·
//! 3 the account may not · 4 what was given is refused · 5 Belfry can't be reached, or not now: try again · 6 another run is in the way.
//! Progress goes to stderr, one JSON object a line; the outcome to stdout.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Subcommand, ValueEnum};
use fines::{
    Batch, Ledger, LedgerError, Line, Picture, Progress, RealDisk, RunError, RunFacts, Seal, Totals, Waiting, answer,
    verify,
};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::client::{self, Failure};
use crate::machine::{Machine, MachineArgs};
use crate::print;

/// Between two questions whether a run is open.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Longest wait for a run to be opened.
const OPEN_MAX: u32 = 600;
/// Answers of one request.
const ANSWERS: usize = 1_000;
/// Days and nights are those of the zone.
const ZONE: &str = "Europe/Brussels";

/// `belfry fines …`.
#[derive(Debug, clap::Args)]
pub(crate) struct FinesArgs {
    #[command(subcommand)]
    what: FinesCommand,
}

impl FinesArgs {
    /// Whether the outcome is wanted as JSON.
    pub(crate) const fn as_json(&self) -> bool {
        match &self.what {
            FinesCommand::Run { server, .. }
            | FinesCommand::Ack { server, .. }
            | FinesCommand::Passes { server, .. }
            | FinesCommand::Status { server, .. } => server.json,
            FinesCommand::Verify { json, .. } => *json,
        }
    }
}

/// Of which findings a batch is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// The low-emission zone.
    #[default]
    Lez,
    /// Zones with restricted access.
    Zbt,
    /// Average speed: files for the police's own processing.
    Trajectory,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Lez => "lez",
            Self::Zbt => "zbt",
            Self::Trajectory => "trajectory",
        }
    }
}

/// The word of a run as the server gives it.
fn batch_of(word: &str) -> Batch {
    Batch::of(Some(word)).unwrap_or_default()
}

#[derive(Debug, Subcommand)]
enum FinesCommand {
    /// Write the batch of a window. Again with the same window: the same batch; after an interruption it goes on.
    ///
    /// Example: belfry fines run --certificate job.pem --key job.key --authority belfry.pem --window 2026-11-21 --to /srv/fines
    Run {
        #[command(flatten)]
        server: MachineArgs,
        /// Of which findings.
        #[arg(long, value_enum, default_value_t)]
        kind: Kind,
        /// Approvals of a day in Brussels (2026-11-21), of days (2026-11-21/2026-11-23, the last one not included), or of a span of RFC 3339
        /// instants at whole minutes (…/…). With `--kind zbt` an approval counts when its holder was answered.
        #[arg(long)]
        window: String,
        /// Folder of the batches; each is a folder in it.
        #[arg(long = "to", default_value = ".")]
        out: PathBuf,
        /// Say what it would come to, and change nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Check a batch, offline, with nothing but its folder. Exit code 0: nothing changed; 1: something did; 2: it could not be looked at.
    Verify {
        /// The folder.
        folder: PathBuf,
        /// The published public key: a PEM file, or 64 hexadecimal digits.
        #[arg(long)]
        key: Option<String>,
        /// The batch before it.
        #[arg(long)]
        previous: Option<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Take the answers of whoever got the batch (JSON Lines). Giving a file twice is harmless. Exit code 1: some were not taken.
    Ack {
        #[command(flatten)]
        server: MachineArgs,
        /// Of which findings.
        #[arg(long, value_enum, default_value_t)]
        kind: Kind,
        /// The file.
        file: PathBuf,
    },
    /// Tell which day passes were sold (JSON Lines), before `run`: no batch holds a finding whose vehicle had one. Giving a file twice is
    /// harmless.
    ///
    /// A line: {"plate":"1ABC234","country":"B","day":"2026-11-21","bought_at":"2026-11-22T18:00:00+01:00"}
    Passes {
        #[command(flatten)]
        server: MachineArgs,
        /// The file.
        file: PathBuf,
    },
    /// Runs with what was answered, and how many approved findings wait.
    Status {
        #[command(flatten)]
        server: MachineArgs,
        /// Of which findings.
        #[arg(long, value_enum, default_value_t)]
        kind: Kind,
    },
}

/// Runs the command; gives the exit code.
pub(crate) fn run(args: FinesArgs) -> u8 {
    let as_json = args.as_json();
    let outcome = match args.what {
        FinesCommand::Verify { folder, key, previous, json } => check(&folder, key.as_deref(), previous, json),
        FinesCommand::Run { server, kind, window, out, dry_run } => {
            crate::in_runtime_of(async move { batch(&server, kind, &window, out, dry_run).await })
        }
        FinesCommand::Ack { server, kind, file } => {
            crate::in_runtime_of(async move { ack(&server, kind, &file).await })
        }
        FinesCommand::Passes { server, file } => {
            crate::in_runtime_of(async move { crate::fines_passes::told(&server, &file).await })
        }
        FinesCommand::Status { server, kind } => crate::in_runtime_of(async move { status(&server, kind).await }),
    };
    outcome.unwrap_or_else(|error| failed(&error, as_json))
}

/// What a state that stands in the way means for whoever runs the job.
fn state_words(word: &str) -> Option<(&'static str, u8)> {
    Some(match word {
        "run_busy" => ("somebody else works this run; it is free two minutes after the last sign of life", 6),
        "other_run_open" => (
            "an earlier run is not signed yet: finish it first (`belfry fines status`), so that the chain has no gap",
            6,
        ),
        "window_overlaps" => ("the window overlaps that of an earlier run", 4),
        "too_many" => ("more than 2,000 findings: take smaller windows", 4),
        "finding_erased" => (
            "the term of a finding ended: a run that is not signed goes on without it at the next try, and a batch that was signed and lost \
             cannot be written again",
            1,
        ),
        "run_damaged" => (
            "a line of the run was damaged in the database: the run was given up, and the next try opens it anew from the findings",
            5,
        ),
        "damaged" => (
            "a finding of a batch that was signed does not open any more, so that its lost folder cannot be written again; an error in the \
             log of `serve` names the row",
            1,
        ),
        "not_all_left" => ("not every line was fetched: run it again", 5),
        "not_reconciled" | "differs" => ("the manifest is not that of the run: the run stays open", 1),
        "other_version" => {
            ("the job's program is of another version than Belfry: install the same and run it again", 1)
        }
        "signed_otherwise" => ("the run was signed with another manifest", 1),
        _ => return None,
    })
}

fn failed(error: &anyhow::Error, as_json: bool) -> u8 {
    if let Some(Failure::Refused(problem)) = error.downcast_ref::<Failure>()
        && let Some(word) = problem.pointer("/errors/0/problem").and_then(Value::as_str)
        && let Some((words, code)) = state_words(word)
    {
        let said = json!({ "title": words, "code": word, "exit_code": code });
        crate::complain(&if as_json { said.to_string() } else { format!("belfry: {words} ({word})") });
        return code;
    }
    client::report(error, as_json)
}

/// A window as two instants, RFC 3339 in UTC.
fn window_of(text: &str) -> Result<(String, String), Failure> {
    let bad = || {
        Failure::Input(format!(
            "`{text}` is no window: a day (2026-11-21), days (2026-11-21/2026-11-23) or two RFC 3339 instants"
        ))
    };
    let zone = TimeZone::get(ZONE).map_err(|error| Failure::Input(error.to_string()))?;
    let instant = |text: &str| -> Option<jiff::Timestamp> {
        if let Ok(day) = text.parse::<Date>()
            && text.len() == 10
        {
            return Some(day.to_zoned(zone.clone()).ok()?.timestamp());
        }
        text.parse().ok()
    };
    let (from, to) = match text.split_once('/') {
        Some((from, to)) => (instant(from), instant(to)),
        None => {
            let day = text.parse::<Date>().ok().filter(|_| text.len() == 10);
            let next = day.and_then(|day| day.tomorrow().ok());
            let start = |day: Date| Some(day.to_zoned(zone.clone()).ok()?.timestamp());
            (day.and_then(start), next.and_then(start))
        }
    };
    let (from, to) = from.zip(to).filter(|(from, to)| from < to).ok_or_else(bad)?;
    Ok((from.to_string(), to.to_string()))
}

/// Who works the runs of a folder: the same after a restart, so that an interrupted run goes on at once. The lock keeps a second process
/// out as long as the first one lives.
fn holder_of(out: &Path) -> anyhow::Result<(String, std::fs::File)> {
    std::fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    let path = out.join(".holder");
    let mut file = std::fs::OpenOptions::new().create(true).read(true).append(true).open(&path)?;
    if rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_err() {
        let problem =
            json!({ "status": 409, "code": "wrong_state", "errors": [{ "field": "state", "problem": "run_busy" }] });
        return Err(Failure::Refused(problem).into());
    }
    let text = std::fs::read_to_string(&path)?;
    if text.len() == 32 && text.bytes().all(|c| c.is_ascii_hexdigit()) {
        return Ok((text, file));
    }
    let [half @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = crate::wiring::system::random_32();
    let made = hex::encode(half);
    file.set_len(0)?;
    file.write_all(made.as_bytes())?;
    file.sync_all()?;
    Ok((made, file))
}

fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).unwrap_or("")
}

fn number(value: &Value, path: &str) -> u64 {
    value.pointer(path).and_then(Value::as_u64).unwrap_or(0)
}

fn facts_of(run: &Value) -> RunFacts {
    RunFacts {
        run: text(run, "/id").to_owned(),
        batch: batch_of(text(run, "/kind")),
        authority: run.pointer("/authority").and_then(Value::as_str).map(str::to_owned),
        chain: number(run, "/chain"),
        previous: text(run, "/previous").to_owned(),
        from: text(run, "/from").to_owned(),
        to: text(run, "/to").to_owned(),
        opened_at: text(run, "/opened_at").to_owned(),
        rule_set: text(run, "/rule_set").to_owned(),
        totals: Totals {
            taken: number(run, "/totals/taken"),
            records: number(run, "/totals/records"),
            fines: number(run, "/totals/fines"),
            warnings: number(run, "/totals/warnings"),
            files: number(run, "/totals/files"),
            amount_cents: number(run, "/totals/amount_cents"),
            merged: number(run, "/totals/merged"),
            refused: number(run, "/totals/refused"),
        },
        waiting: run.pointer("/waits").filter(|waits| waits.is_object()).map(|waits| Waiting {
            approved: number(waits, "/approved"),
            not_final: number(waits, "/not_final"),
            until: waits.get("until").and_then(Value::as_str).map(str::to_owned),
            holder: number(waits, "/holder"),
        }),
        signed: run.pointer("/manifest_sha256").and_then(Value::as_str).map(str::to_owned),
    }
}

/// The ledger behind the HTTP interface.
struct Remote<'a> {
    session: &'a Machine,
    runtime: Handle,
    kind: Kind,
    from: String,
    to: String,
    holder: String,
}

/// A failure keeps its own type, so that its words and exit code can be found again.
fn boxed(error: anyhow::Error) -> LedgerError {
    match error.downcast::<Failure>() {
        Ok(failure) => Box::new(failure),
        Err(error) => error.into(),
    }
}

impl Remote<'_> {
    fn call(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value, LedgerError> {
        self.runtime.block_on(self.session.call(method, path, body)).map_err(boxed)
    }

    async fn opened(&self, dry_run: bool) -> anyhow::Result<Value> {
        for _ in 0..OPEN_MAX {
            let kind = self.kind.word();
            let body =
                json!({ "kind": kind, "from": self.from, "to": self.to, "holder": self.holder, "dry_run": dry_run });
            let run = self.session.call(Method::POST, "/api/v1/fines/runs", Some(body)).await?;
            if run.is_object() {
                return Ok(run);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Err(Failure::No("the run was not opened within ten minutes".to_owned()).into())
    }
}

impl Ledger for Remote<'_> {
    fn open(&mut self) -> Result<RunFacts, LedgerError> {
        Ok(facts_of(&self.runtime.block_on(self.opened(false)).map_err(boxed)?))
    }

    fn lines(&mut self, run: &str, after: u64) -> Result<Vec<Line>, LedgerError> {
        let path = format!("/api/v1/fines/runs/{run}/lines?holder={}&after={after}", self.holder);
        let page = self.call(Method::GET, &path, None)?;
        let items = page.get("items").and_then(Value::as_array).ok_or("an answer without lines")?;
        let picture = |picture: &Value| -> Result<Picture, LedgerError> {
            Ok(Picture { file: text(picture, "/file").to_owned(), bytes: STANDARD.decode(text(picture, "/jpeg"))? })
        };
        let line = |item: &Value| -> Result<Line, LedgerError> {
            let pictures = item.get("pictures").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            Ok(Line {
                position: number(item, "/position"),
                is_record: item.get("is_record").and_then(Value::as_bool).unwrap_or(false),
                text: text(item, "/text").to_owned(),
                pictures: pictures.iter().map(picture).collect::<Result<_, _>>()?,
            })
        };
        items.iter().map(line).collect()
    }

    fn seal(&mut self, run: &str, manifest: &[u8]) -> Result<Seal, LedgerError> {
        let body = json!({ "holder": self.holder, "manifest": std::str::from_utf8(manifest)? });
        let seal = self.call(Method::POST, &format!("/api/v1/fines/runs/{run}/signature"), Some(body))?;
        let signature: [u8; 64] = hex::decode(text(&seal, "/signature"))?.try_into().map_err(|_| "no signature")?;
        let key: [u8; 32] = hex::decode(text(&seal, "/key"))?.try_into().map_err(|_| "no key")?;
        Ok(Seal { signature, key })
    }
}

fn show(run: &Value, folder: Option<&Path>, was_there: bool, as_json: bool) {
    if as_json {
        let said = json!({ "run": run, "folder": folder, "was_there": was_there });
        print(&format!("{said}\n"));
        return;
    }
    print(&line(run));
    if let Some(folder) = folder {
        let word = if was_there { "there already, unchanged" } else { "written" };
        print(&format!("{} ({word})\n", folder.display()));
    }
}

fn line(run: &Value) -> String {
    let totals = |word: &str| number(run, &format!("/totals/{word}"));
    let answers = |word: &str| number(run, &format!("/answers/{word}"));
    let until = run.pointer("/waits/until").and_then(Value::as_str).map(|until| format!(" until {until}"));
    let waits = run.pointer("/waits").filter(|waits| waits.is_object()).map(|waits| {
        format!(
            "{} approved = {} taken + {} not final{} + {} without a holder yet  ",
            number(waits, "/approved"),
            totals("taken"),
            number(waits, "/not_final"),
            until.unwrap_or_default(),
            number(waits, "/holder"),
        )
    });
    format!(
        "{}  {}  {}{} taken = {} records ({} fines, {} warnings, {} files) + {} merged + {} refused  answers: {} accepted, {} refused, \
         {} to be corrected, {} ended without, {} waiting\n",
        text(run, "/id"),
        text(run, "/state"),
        waits.unwrap_or_default(),
        totals("taken"),
        totals("records"),
        totals("fines"),
        totals("warnings"),
        totals("files"),
        totals("merged"),
        totals("refused"),
        answers("accepted"),
        answers("refused"),
        answers("correct"),
        answers("ended"),
        answers("waiting"),
    )
}

async fn batch(server: &MachineArgs, kind: Kind, window: &str, out: PathBuf, dry_run: bool) -> anyhow::Result<u8> {
    let (from, to) = window_of(window)?;
    if dry_run {
        let session = Machine::open(server).await?;
        let (runtime, holder) = (Handle::current(), "dryrun00".to_owned());
        let remote = Remote { session: &session, runtime, kind, from, to, holder };
        let run = remote.opened(true).await?;
        show(&run, None, false, server.json);
        return Ok(0);
    }
    let (holder, lock) = holder_of(&out)?;
    let session = Machine::open(server).await?;
    let mut remote = Remote { session: &session, runtime: Handle::current(), kind, from, to, holder };
    let mut tell = |progress: Progress| {
        let Progress { step, done, total } = progress;
        crate::complain(&json!({ "step": step, "done": done, "total": total }).to_string());
    };
    let outcome = tokio::task::block_in_place(|| fines::run(&RealDisk, &out, &mut remote, &mut tell));
    let outcome = match outcome {
        Ok(done) => remote.opened(false).await.map(|run| (done, run)),
        // What the server said has its own words and code.
        Err(RunError::Ledger(error)) => Err(match error.downcast::<Failure>() {
            Ok(failure) => anyhow::Error::from(*failure),
            Err(error) => anyhow::anyhow!("{error}"),
        }),
        Err(error) => Err(Failure::No(error.to_string()).into()),
    };
    let (done, run) = outcome?;
    drop(lock);
    show(&run, Some(&done.folder), done.was_there, server.json);
    Ok(0)
}

fn check(folder: &Path, key: Option<&str>, previous: Option<PathBuf>, as_json: bool) -> anyhow::Result<u8> {
    let key = match key {
        None => None,
        Some(text) => {
            let text = std::fs::read_to_string(text).unwrap_or_else(|_| text.to_owned());
            let key = fines::key_from_pem(&text);
            Some(key.ok_or_else(|| Failure::Input("--key is neither a PEM file nor 64 hexadecimal digits".to_owned()))?)
        }
    };
    let report = verify::folder(folder, &verify::Trust { key, previous });
    if as_json {
        print(&format!("{}\n", serde_json::to_string_pretty(&report)?));
    } else {
        print(&report.table());
    }
    Ok(report.verdict.exit_code())
}

async fn ack(server: &MachineArgs, kind: Kind, file: &Path) -> anyhow::Result<u8> {
    let bytes = std::fs::read(file).map_err(|error| Failure::Input(format!("{}: {error}", file.display())))?;
    let answers = answer::parse(&bytes).map_err(|error| Failure::Input(format!("{}: {error}", file.display())))?;
    let session = Machine::open(server).await?;
    let outcomes = told(&session, kind, &answers).await?;
    let count = |word: &str| outcomes.iter().filter(|(_, outcome)| outcome == word).count();
    let bad: Vec<&(String, String)> =
        outcomes.iter().filter(|(_, outcome)| !matches!(outcome.as_str(), "noted" | "known")).collect();
    if server.json {
        let items: Vec<Value> =
            bad.iter().map(|(offence, why)| json!({ "offence": offence, "outcome": why })).collect();
        let said = json!({ "noted": count("noted"), "known": count("known"), "not_taken": items });
        print(&format!("{said}\n"));
    } else {
        bad.iter().for_each(|(offence, why)| print(&format!("NOT TAKEN  {offence}  {why}\n")));
        print(&format!("{} noted, {} known before, {} not taken\n", count("noted"), count("known"), bad.len()));
    }
    Ok(u8::from(!bad.is_empty()))
}

async fn told(session: &Machine, kind: Kind, answers: &[answer::Answer]) -> anyhow::Result<Vec<(String, String)>> {
    let path = format!("/api/v1/fines/answers?kind={}", kind.word());
    let mut outcomes = Vec::with_capacity(answers.len());
    for some in answers.chunks(ANSWERS) {
        let body = json!({ "items": some });
        let page = session.call(Method::POST, &path, Some(body)).await?;
        let said = spoken_of(&page, some).ok_or_else(|| {
            Failure::No("Belfry did not say of every answer what became of it: give the file again".to_owned())
        })?;
        outcomes.extend(said);
        crate::complain(&json!({ "step": "answers", "done": outcomes.len(), "total": answers.len() }).to_string());
    }
    Ok(outcomes)
}

/// What became of each answer, in its order; `None`: not one outcome for each. An answer that nobody spoke of was not taken.
fn spoken_of(page: &Value, asked: &[answer::Answer]) -> Option<Vec<(String, String)>> {
    let items = page.get("items")?.as_array()?;
    let said = items.iter().map(|item| (text(item, "/offence").to_owned(), text(item, "/outcome").to_owned()));
    let said: Vec<(String, String)> = said.collect();
    said.iter().map(|(offence, _)| offence).eq(asked.iter().map(|answer| &answer.offence)).then_some(said)
}

async fn status(server: &MachineArgs, kind: Kind) -> anyhow::Result<u8> {
    let session = Machine::open(server).await?;
    let seen = session.call(Method::GET, &format!("/api/v1/fines/runs?kind={}", kind.word()), None).await?;
    if server.json {
        print(&format!("{seen}\n"));
        return Ok(0);
    }
    let runs = seen.get("runs").and_then(Value::as_array).cloned().unwrap_or_default();
    runs.iter().for_each(|run| print(&line(run)));
    print(&format!("{} approved findings are in no run yet\n", number(&seen, "/waiting")));
    if number(&seen, "/not_final") > 0 {
        let (from, until) = (text(&seen, "/final_from"), text(&seen, "/final_until"));
        print(&format!(
            "{} of them wait until their outcome is final: the first until {from}, the last until {until}\n",
            number(&seen, "/not_final")
        ));
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_a_day_of_brussels_or_two_instants() {
        for (text, from, to) in [
            ("2026-11-21", "2026-11-20T23:00:00Z", "2026-11-21T23:00:00Z"),
            // The night on which clocks go back has an hour more.
            ("2026-10-25", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),
            ("2026-11-21/2026-11-23", "2026-11-20T23:00:00Z", "2026-11-22T23:00:00Z"),
            ("2026-11-21T12:00:00+01:00/2026-11-21T12:30:00Z", "2026-11-21T11:00:00Z", "2026-11-21T12:30:00Z"),
        ] {
            let (got_from, got_to) = window_of(text).unwrap();
            assert_eq!((got_from.as_str(), got_to.as_str()), (from, to), "{text}");
        }
        for text in
            ["", "yesterday", "2026-11-31", "2026-11-23/2026-11-21", "2026-11-21/2026-11-21", "/", "2026-11-21/"]
        {
            assert!(window_of(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_answer_that_nobody_spoke_of_was_not_taken() {
        let [a, b, c] = ["a", "b", "c"].map(|digit| format!("ofc_{}", digit.repeat(32)));
        let lines = [&a, &b].map(|offence| format!("{{\"offence\":\"{offence}\",\"answer\":\"accepted\"}}\n")).concat();
        let asked = answer::parse(lines.as_bytes()).unwrap();
        let of = |offence: &str| json!({ "offence": offence, "outcome": "noted" });
        let all = json!({ "items": [of(&a), of(&b)] });
        assert_eq!(spoken_of(&all, &asked).unwrap().len(), 2);
        for said in [
            json!({}),
            json!({ "items": [] }),
            json!({ "items": [of(&a)] }),
            json!({ "items": [of(&b), of(&a)] }),
            json!({ "items": [of(&a), of(&b), of(&c)] }),
            json!({ "items": [of(&a), of(&a)] }),
        ] {
            assert_eq!(spoken_of(&said, &asked), None, "{said}");
        }
    }

    #[test]
    fn one_process_at_a_time_and_the_same_holder_again() {
        let dir = tempfile::tempdir().unwrap();
        let (first, lock) = holder_of(dir.path()).unwrap();
        let busy = holder_of(dir.path()).unwrap_err();
        assert_eq!(failed(&busy, true), 6);
        drop(lock);
        assert_eq!(holder_of(dir.path()).unwrap().0, first);
    }
}
