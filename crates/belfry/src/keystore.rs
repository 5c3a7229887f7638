//! `belfry keys`: what an operator does with the key stores of this machine (docs/KEYS.md): the recorder's, for footage, and that of
//! `serve`, for plate reads and findings.
//!
//! `status` and `check` only read, beside a running program. Everything that writes needs the lock that the running program has.

use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use clap::{Subcommand, ValueEnum};
use keys::{KeyError, KeyRing, OpenOptions, RealDisk, SystemRandom};
use recorder::assignment::Kept;
use recorder::reconcile::LATE;
use recorder::sweep::Terms;
use recorder::vault::{VaultConfig, forget_store, open_store};
use vms_core::WallTime;

use crate::config::Config;
use crate::print;
use crate::roles::{footage_keys, read_keys};
use crate::wiring::read_keys::reads_dir;
use crate::wiring::system::SystemClock;

/// `belfry keys …`.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Say how the key store stands: copies, age of the root, number of keys.
    Status,
    /// Read every copy and open every key; ends with an error when something is wrong.
    Check {
        /// Mend what one copy lacks from the other (the recorder has to be stopped).
        #[arg(long)]
        repair: bool,
    },
    /// Change the root now (the recorder has to be stopped; while it runs it does so by itself).
    Rotate,
    /// Make a backup now (the recorder has to be stopped; while it runs it does so by itself).
    Backup,
    /// Make the key store anew from the newest backup whose key still lives; both copies have to be gone.
    Restore,
    /// Make a new key store.
    Create {
        /// The store that sealed what is there is gone for good: that footage, or those reads and findings, will never open again.
        #[arg(long, alias = "lose-all-footage")]
        lose_all: bool,
    },
    /// Let the sweeper destroy keys of more than 36 hours at once: after the recorder stood for days, when the clock is right.
    Approve {
        /// Up to this hour, as the alarm names it.
        #[arg(long)]
        until_hour: u32,
        /// Who approves.
        #[arg(long)]
        first: String,
        /// And who else.
        #[arg(long)]
        second: String,
    },
    /// Say that the clock of this machine is right, after it moved by more than five minutes: the sweeper (with `--of reads` that of
    /// `serve`) then goes on by it. Look at another clock first.
    ApproveClock {
        /// Who approves.
        #[arg(long)]
        first: String,
        /// And who else.
        #[arg(long)]
        second: String,
    },
    /// Make a magistrate's gate now, or another one for what moves from now on (the recorder, with `--of reads` `serve`, has to be
    /// stopped; the first is made by itself when the first keys have to move).
    GateCreate,
    /// Take in a new, empty disk as one of the two copies.
    Adopt {
        /// Which copy.
        copy: WhichCopy,
    },
}

/// Which key store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum WhichStore {
    /// `recorder.keys`: footage.
    #[default]
    Footage,
    /// `reads.keys`: plate reads and findings.
    Reads,
}

/// One of the two copies.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum WhichCopy {
    /// `recorder.keys.store`.
    First,
    /// `recorder.keys.second_store`.
    Second,
}

/// Runs one command.
///
/// # Errors
/// In words that say what to do.
pub(crate) fn run(config: &Config, of: WhichStore, what: KeysCommand) -> anyhow::Result<()> {
    let (store, dir) = match of {
        WhichStore::Footage => (footage_keys(config)?, config.recorder.dir.clone()),
        WhichStore::Reads => (read_keys(config)?, reads_dir(config)),
    };
    let now = SystemClock::wall_now();
    let open = |options| open_store(&store, &dir, options, now).map_err(explained);
    let read_only = OpenOptions { is_read_only: true, ..OpenOptions::default() };
    match what {
        KeysCommand::Status => {
            print(&status(of, &open(read_only)?, now)?);
            Ok(())
        }
        KeysCommand::Check { repair } => {
            let ring = open(if repair { OpenOptions::default() } else { read_only })?;
            if repair {
                print(&format!("{} files of wrapped keys were written anew\n", ring.repair().map_err(explained)?));
            }
            check(of, &ring)
        }
        KeysCommand::Rotate => {
            let done = open(OpenOptions::default())?.rotate(now).map_err(explained)?;
            print(&format!("root {} replaced by {}; {} keys wrapped anew\n", done.from, done.to, done.rewrapped));
            ensure!(done.damaged == 0, "{} keys are damaged in every copy", done.damaged);
            Ok(())
        }
        KeysCommand::Backup => {
            let (plan, _) =
                store.backup.as_ref().context("`backup` names no folder for backups in this key store's section")?;
            let done = open(OpenOptions::default())?.backup(plan, now).map_err(explained)?;
            let until = time_text(done.dies_at);
            print(&format!("backup {} with {} hour keys; it can be read until {until}\n", done.number, done.hours));
            Ok(())
        }
        KeysCommand::Restore => match of {
            WhichStore::Footage => restore(config, &store, now),
            WhichStore::Reads => restore_reads(&store, now),
        },
        KeysCommand::Create { lose_all } => {
            may_create(&dir, lose_all)?;
            let ring = open(OpenOptions { may_create: true, ..OpenOptions::default() })?;
            print(&format!("key store {}\n", ring.store()));
            Ok(())
        }
        KeysCommand::Approve { until_hour, first, second } => {
            let approval = recorder::deletions::Approval { until_hour, first, second };
            approval.give(&dir.join("deletions")).context("the approval")?;
            print("approved: the sweeper goes on within a minute\n");
            Ok(())
        }
        KeysCommand::ApproveClock { first, second } => {
            let approval = recorder::trust::ClockApproval { at_us: now.micros, first, second };
            approval.give(&dir).context("the approval")?;
            print(&format!("approved: it is {}; the sweeper goes on within a minute\n", time_text(now)));
            Ok(())
        }
        KeysCommand::GateCreate => make_gate(&store, &open(OpenOptions::default())?, now),
        KeysCommand::Adopt { copy } => {
            let copy = match copy {
                WhichCopy::First => keys::Copy::First,
                WhichCopy::Second => keys::Copy::Second,
            };
            let ring = open(OpenOptions { adopt: Some(copy), is_fresh: true, ..OpenOptions::default() })?;
            check(of, &ring)
        }
    }
}

fn make_gate(store: &VaultConfig, ring: &KeyRing, now: WallTime) -> anyhow::Result<()> {
    let plan = store.gate.as_ref().context("this key store has no magistrate's gate")?;
    let gate = ring.make_gate(plan, now).map_err(explained)?;
    print(&format!("gate {gate} in {}: keep that folder on a medium of its own\n", plan.folder.display()));
    Ok(())
}

/// Whether the cameras that this machine's recorder knows and its disk fit; `None` where it knows none.
///
/// # Errors
/// The recorder's folder cannot be read.
pub(crate) fn room(config: &Config) -> anyhow::Result<Option<recorder::ladder::Admission>> {
    let recorder = &config.recorder;
    let bytes = |mib: u64| mib.saturating_mul(1 << 20);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let bounds = (bytes(recorder.disk_cap_mib), bytes(recorder.keep_free_mib));
    let asked = recorder::server::admission(&recorder.dir, bounds, recorder.tier.is_some(), SystemClock::wall_now());
    runtime.block_on(asked).context("the disk of the recorder")
}

/// `belfry check …`.
#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {
    /// Read every byte of all footage, not only heads and closing records.
    #[arg(long)]
    deep: bool,
    /// Mend what may be mended: rows of files that have none, rows whose file is gone, files of erased rows. The recorder has to be
    /// stopped.
    #[arg(long)]
    repair: bool,
}

/// Most lines of findings that are printed.
const LINES_MAX: usize = 200;

/// Do rows, files, keys and deletion records of this machine's recorder agree?
///
/// # Errors
/// It cannot be told, or they do not.
pub(crate) async fn check_recorder(config: &Config, args: CheckArgs) -> anyhow::Result<()> {
    use recorder::check::{CheckOptions, check};
    let store = footage_keys(config)?;
    let (dir, now) = (&config.recorder.dir, SystemClock::wall_now());
    let options = OpenOptions { is_read_only: !args.repair, ..OpenOptions::default() };
    let ring = open_store(&store, dir, options, now).map_err(explained)?;
    let kept = Kept::load(&dir.join("assignment.json")).context("the recorder's list of cameras")?;
    let terms = Terms::of_assignment(&kept.assignment);
    let decisions =
        recorder::gated::Decisions::load(&dir.join(recorder::gated::FILE)).context("the gate's decisions")?;
    let gated = ring.gated_hours();
    let unnamed = gated.iter().filter(|(_, name, _)| decisions.until(name).is_none()).count();
    let overdue = |name: &keys::KeyName| decisions.until(name).is_some_and(|until| until.plus(LATE) < now);
    let overdue = gated.iter().filter(|(epoch, name, _)| overdue(name) && !ring.pins(*epoch)).count();
    print(&format!("{} hour keys behind the magistrate's gate\n", gated.len()));
    let options = CheckOptions { is_deep: args.deep, repairs: args.repair };
    let report = check(dir, &ring, &terms, &options, now).await?;
    for (finding, about) in report.findings.iter().take(LINES_MAX) {
        print(&format!("{}: {about}\n", finding.words()));
    }
    print(&format!(
        "{} rows, {} files, {} segments in a tier, {} segments opened, {} mended\n",
        report.rows, report.files, report.away, report.opened, report.repaired
    ));
    for (finding, count) in report.counts() {
        print(&format!("{count:>8}  {}\n", finding.words()));
    }
    ensure!(overdue == 0, "{overdue} keys behind the magistrate's gate live past their second term");
    ensure!(
        unnamed == 0,
        "{unnamed} keys behind the magistrate's gate are named by no decision: nothing says when they end"
    );
    ensure!(report.is_whole(), "rows, files, keys and records do not agree");
    Ok(())
}

fn explained(error: KeyError) -> anyhow::Error {
    let advice = error.advice();
    anyhow::Error::new(error).context(advice)
}

fn time_text(at: WallTime) -> String {
    jiff::Timestamp::from_microsecond(at.micros).map_or_else(|_| at.micros.to_string(), |at| format!("{at:.0}"))
}

/// How much lies behind the gate, and where the decisions that keep it stand.
fn behind_gate(of: WhichStore, keys: usize) -> String {
    let decided = match of {
        WhichStore::Footage => "the recorder knows the decisions that keep them, `belfry check` compares",
        WhichStore::Reads => {
            "the decisions that keep them and their ends stand in the central database, `serve` destroys them"
        }
    };
    format!("{keys} hour keys behind the magistrate's gate; {decided}\n")
}

fn status(of: WhichStore, ring: &KeyRing, now: WallTime) -> anyhow::Result<String> {
    let report = ring.check(false).map_err(explained)?;
    let age_min = now.micros_since(report.generation_made_at) / 60_000_000;
    let oldest = report.oldest.map_or_else(|| "none".to_owned(), |hour| time_text(hour.start()));
    let mut text = format!(
        "key store {}\nroot generation {}, {age_min} min old\n{} hour keys live, the oldest of {oldest}; {} destroyed \
         ones remembered\n{} holds over {} segments\n{}",
        ring.store(),
        report.generation,
        report.hours,
        report.destroyed,
        report.holds,
        report.held,
        behind_gate(of, report.gated),
    );
    for copy in &report.copies {
        let state = match (copy.is_present, copy.is_whole()) {
            (false, _) => "is not there: no new key is used",
            (true, true) => "is whole",
            (true, false) => "is damaged: `belfry keys check --repair`",
        };
        text.push_str(&format!("the {} copy {state}\n", copy.copy));
    }
    Ok(text)
}

fn check(of: WhichStore, ring: &KeyRing) -> anyhow::Result<()> {
    let report = ring.check(true).map_err(explained)?;
    print(&format!(
        "{} hour keys, {} segment keys and {} held ones were opened\n{}",
        report.hours,
        report.segments,
        report.held,
        behind_gate(of, report.gated)
    ));
    for copy in report.copies.iter().filter(|copy| !copy.is_whole()) {
        print(&format!(
            "the {} copy: there {}, journal whole {}, root whole {}, bad pieces of wraps {}\n",
            copy.copy, copy.is_present, copy.is_journal_whole, copy.is_root_whole, copy.bad_wraps
        ));
    }
    ensure!(
        report.is_whole(),
        "not whole: {} hour keys, {} gated ones, {} segment keys and {} held ones do not open",
        report.damaged_hours.len(),
        report.damaged_gated.len(),
        report.damaged_segments,
        report.damaged_held
    );
    print("whole\n");
    Ok(())
}

/// A new store is no answer to one that is missing: it is refused before anything is made.
fn may_create(dir: &Path, lose_all: bool) -> anyhow::Result<()> {
    let marker = dir.join("keys.id");
    if lose_all {
        forget_store(dir)?;
    }
    ensure!(
        !marker.exists(),
        "{} names the key store that sealed what is there: bring that one back, restore it from a backup, or say --lose-all",
        marker.display()
    );
    Ok(())
}

/// Reads and findings: the database says what is still wanted, and `serve` destroys within an hour what no row names.
fn restore_reads(store: &VaultConfig, now: WallTime) -> anyhow::Result<()> {
    let (plan, _) = store.backup.as_ref().context("`reads.keys.backup` names no folder of backups")?;
    restored(plan, store, &|_: &keys::KeyName| true, now)
}

fn restore(config: &Config, store: &VaultConfig, now: WallTime) -> anyhow::Result<()> {
    let (plan, _) = store.backup.as_ref().context("`recorder.keys.backup` names no folder of backups")?;
    let kept = Kept::load(&config.recorder.dir.join("assignment.json")).context("the recorder's list of cameras")?;
    let terms = Terms::of_assignment(&kept.assignment);
    if terms.cameras.is_empty() {
        bail!(
            "the recorder has no list of cameras (assignment.json), so that no term is known: bring its folder back first"
        );
    }
    // A class that no camera has today has no term here: what it sealed stays dead.
    restored(plan, store, &|name| terms.is_in_term(name, now).unwrap_or(false), now)
}

fn restored(
    plan: &keys::BackupPlan,
    store: &VaultConfig,
    is_in_term: &dyn Fn(&keys::KeyName) -> bool,
    now: WallTime,
) -> anyhow::Result<()> {
    let (disk, random): (std::sync::Arc<dyn keys::Disk>, std::sync::Arc<dyn keys::Random>) =
        (std::sync::Arc::new(RealDisk), std::sync::Arc::new(SystemRandom::new()));
    let done = keys::restore(&disk, &random, plan, &store.store, is_in_term, now).map_err(explained)?;
    print(&format!(
        "backup {} of {}: {} hour keys live again, {} were past their term, {} are damaged; what was begun later has no key\n",
        done.number,
        time_text(done.made_at),
        done.hours,
        done.past_term,
        done.damaged
    ));
    Ok(())
}
