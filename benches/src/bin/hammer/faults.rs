//! A fault of some length under the running system: what is said meanwhile, what is lost, how it comes back.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tokio::time::Instant;
use vms_benches::frames::{Footage, walk};
use vms_benches::log::verify;
use vms_benches::process::{pid_of_role, wall_us};
use vms_testkit::postgres;
use vms_testkit::rig::{Person, Rig, RigOptions};

use crate::say;

/// Between two looks during the fault.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Which fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Case {
    /// The central PostgreSQL, one of our own in a temporary folder, is stopped and started again.
    Postgres,
}

/// `hammer faults`.
#[derive(Debug, clap::Args)]
pub(crate) struct FaultsArgs {
    /// Which fault.
    #[arg(long, value_enum)]
    case: Case,
    /// How long it lasts.
    #[arg(long, default_value_t = 300)]
    seconds: u64,
    /// Cameras.
    #[arg(long, default_value_t = 5)]
    pub(crate) cameras: u32,
}

pub(crate) async fn run(args: &FaultsArgs, options: RigOptions) -> anyhow::Result<()> {
    match args.case {
        Case::Postgres => database_away(args, options).await,
    }
}

/// One look at the answers for machines and for people.
async fn look(rig: &Rig, person: &Person) -> anyhow::Result<(u16, String, u16, String)> {
    let words = |text: &str, key: &str| {
        let body: Value = serde_json::from_str(text).unwrap_or_default();
        body.get(key).and_then(Value::as_str).unwrap_or("-").to_owned()
    };
    let health = reqwest::get(rig.url("/health")).await.context("serve does not answer")?;
    let (health_status, health_text) = (health.status().as_u16(), health.text().await?);
    let answer = person.send("GET", "/api/v1/cameras", None).await.context("serve does not answer")?;
    let (status, text) = (answer.status().as_u16(), answer.text().await?);
    Ok((health_status, words(&health_text, "detail"), status, words(&text, "code")))
}

async fn database_away(args: &FaultsArgs, options: RigOptions) -> anyhow::Result<()> {
    let url = postgres::database().await?;
    let mut rig = Rig::start(RigOptions { database: Some(url), ..options }).await?;
    let person = rig.log_in("operator").await?;
    let good = async |rig: &Rig| look(rig, &person).await.is_ok_and(|seen| (seen.0, seen.2) == (200, 200));
    rig.until("health is good", Duration::from_secs(90), good).await?;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let supervisor = rig.supervisor().context("no supervisor")?;
    let serve = pid_of_role(supervisor, "serve");

    say(&format!("PostgreSQL is stopped for {} s under {} cameras", args.seconds, args.cameras));
    let stopped_us = wall_us();
    postgres::stop().await?;
    let stopped = Instant::now();
    let mut seen = None;
    while stopped.elapsed() < Duration::from_secs(args.seconds) {
        let now = look(&rig, &person).await?;
        if seen.as_ref() != Some(&now) {
            let (health, detail, status, code) = &now;
            say(&format!("  after {:.0} s: /health {health} \"{detail}\"", stopped.elapsed().as_secs_f64()));
            say(&format!("    a request of an operator: {status} {code}"));
        }
        seen = Some(now);
        tokio::time::sleep(LOOK_EVERY).await;
    }
    postgres::start_again().await?;
    let back_us = wall_us();
    let well = rig.until("health is good again", Duration::from_secs(120), good).await?;
    say(&format!("  PostgreSQL is back: health good and requests answered after {:.1} s", well.as_secs_f64()));
    let caught_up = async |_: &Rig| is_caught_up(&person, back_us).await.unwrap_or(false);
    let copied = rig.until("the catalogue has caught up", Duration::from_secs(120), caught_up).await?;
    say(&format!("  footage of the outage on every timeline {:.1} s after that", copied.as_secs_f64()));
    ensure!(serve.is_some() && pid_of_role(supervisor, "serve") == serve, "serve was started again");

    rig.stop_belfry().await?;
    let found = walk(&rig.path().join("state/footage/media"))?;
    let holes = found.cameras.values().flat_map(Footage::holes).filter(|hole| hole.since_us > stopped_us - 5_000_000);
    let missing: u64 = holes.map(|hole| hole.frames).sum();
    let frames: usize = found.cameras.values().map(|footage| footage.frames.len()).sum();
    let log = verify(&rig.path().join("state/log")).context("the log does not verify")?;
    say(&format!(
        "  frames on disk {frames}, missing {missing}, segments {}, damaged {}",
        found.segments,
        found.damaged.len()
    ));
    say(&format!("  log verifies: {} leaves under the checkpoint, {} behind it", log.size, log.unsigned));
    ensure!(missing == 0 && found.damaged.is_empty(), "footage was lost");
    Ok(())
}

/// Whether the timeline of every camera reaches `upto_us`.
async fn is_caught_up(person: &Person, upto_us: i64) -> anyhow::Result<bool> {
    let page = person.ask("GET", "/api/v1/cameras", None).await?;
    let text = |value: &Value, path: &str| value.pointer(path).and_then(Value::as_str).unwrap_or("").to_owned();
    for camera in page.get("items").and_then(Value::as_array).into_iter().flatten() {
        let (id, stream) = (text(camera, "/id"), text(camera, "/streams/0/id"));
        let (from, to) = (rfc3339(upto_us - 3_600_000_000)?, rfc3339(wall_us())?);
        let path = format!("/api/v1/cameras/{id}/timeline?stream={stream}&from={from}&to={to}");
        let line = person.ask("GET", &path, None).await?;
        let bars = line.get("segments").and_then(Value::as_array).into_iter().flatten();
        let ends = bars.filter_map(|bar| text(bar, "/to").parse::<jiff::Timestamp>().ok());
        if ends.max().is_none_or(|end| end.as_microsecond() < upto_us) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn rfc3339(us: i64) -> anyhow::Result<String> {
    Ok(jiff::Timestamp::from_microsecond(us)?.to_string())
}
