//! Child processes: started in order, started again when they die, stopped in the other order.
//!
//! A role that dies is back within a second, whatever it does: the wait before a restart doubles from 50 ms to at most
//! 800 ms and falls back to 50 ms once the role has lived ten seconds. Nothing here touches footage or the database.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde_json::json;
use tokio::process::{Child, Command};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::wiring::log_notes::{self, ROLE_ENDED, ROLE_STARTED};

const WAIT_FIRST: Duration = Duration::from_millis(50);
const WAIT_MAX: Duration = Duration::from_millis(800);
/// A child that lived this long is taken for healthy.
const HEALTHY_AFTER: Duration = Duration::from_secs(10);

/// One child process.
#[derive(Clone, Debug)]
pub(crate) struct ChildSpec {
    /// Name in the log.
    pub name: String,
    /// Program.
    pub program: PathBuf,
    /// Arguments.
    pub args: Vec<OsString>,
    /// How long it may take to stop.
    pub grace: Duration,
    /// Where its starts and ends are noted for the log of uses.
    pub notes: Option<PathBuf>,
}

impl ChildSpec {
    fn note(&self, operation: &'static str, details: serde_json::Value) {
        let (Some(folder), Some(all)) = (&self.notes, details.as_object()) else { return };
        let mut all = all.clone();
        all.insert("role".to_owned(), self.name.clone().into());
        log_notes::leave_or_warn(folder, operation, all.into());
    }
}

/// How long to wait before the next start of a child that died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Backoff {
    next: Duration,
    first: Duration,
    max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self::between(WAIT_FIRST, WAIT_MAX)
    }
}

impl Backoff {
    /// Doubles from `first` to at most `max`.
    pub(crate) const fn between(first: Duration, max: Duration) -> Self {
        Self { next: first, first, max }
    }

    /// The wait after a life of `lived`.
    pub(crate) fn after(&mut self, lived: Duration) -> Duration {
        if lived >= HEALTHY_AFTER {
            self.next = self.first;
        }
        let wait = self.next;
        self.next = (self.next * 2).min(self.max);
        wait
    }
}

/// Runs `children` until `stop`; the list's order is the start order, its reverse the stop order.
///
/// # Errors
/// A program that cannot be started at all at first start: the installation is broken.
pub(crate) async fn supervise(children: Vec<ChildSpec>, stop: CancellationToken) -> anyhow::Result<()> {
    let mut keepers = Vec::new();
    for spec in children {
        let first = spawn(&spec)
            .map_err(|error| anyhow::anyhow!("cannot start {} ({}): {error}", spec.name, spec.program.display()))?;
        let token = CancellationToken::new();
        let name = spec.name.clone();
        let task = tokio::spawn(keep(spec, first, token.clone()));
        keepers.push((name, token, task));
    }
    stop.cancelled().await;
    for (name, token, task) in keepers.into_iter().rev() {
        token.cancel();
        if task.await.is_err() {
            tracing::error!(child = name, "the keeper of {name} failed");
        }
    }
    Ok(())
}

fn spawn(spec: &ChildSpec) -> std::io::Result<Child> {
    let child = Command::new(&spec.program).args(&spec.args).stdin(Stdio::null()).kill_on_drop(true).spawn()?;
    spec.note(ROLE_STARTED, json!({ "pid": child.id(), "release": env!("CARGO_PKG_VERSION") }));
    Ok(child)
}

/// How the life of one process ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ending {
    /// It was asked to.
    Stopped,
    /// On its own.
    Died(ExitStatus),
    /// It could not be started, or not be waited for.
    NotStarted,
}

/// Starts a process and waits for its end, which `stop` asks for.
pub(crate) async fn live_once(spec: &ChildSpec, stop: &CancellationToken) -> Ending {
    match spawn(spec) {
        Ok(child) => {
            tracing::debug!(child = spec.name, pid = child.id(), "{} started", spec.name);
            live(spec, child, stop).await
        }
        Err(error) => {
            tracing::error!(child = spec.name, error = %error, "{} cannot be started", spec.name);
            Ending::NotStarted
        }
    }
}

async fn live(spec: &ChildSpec, mut child: Child, stop: &CancellationToken) -> Ending {
    let name = spec.name.as_str();
    tokio::select! {
        outcome = child.wait() => {
            metrics::counter!("belfry_child_deaths_total", "child" => name.to_owned()).increment(1);
            match outcome {
                Ok(status) => {
                    tracing::error!(child = name, status = %status, "{name} ended on its own");
                    spec.note(ROLE_ENDED, json!({ "asked": false, "how": status.to_string() }));
                    Ending::Died(status)
                }
                Err(error) => {
                    tracing::error!(child = name, error = %error, "{name} cannot be waited for");
                    Ending::NotStarted
                }
            }
        }
        () = stop.cancelled() => {
            let how = end(name, &mut child, spec.grace).await;
            spec.note(ROLE_ENDED, json!({ "asked": true, "how": how }));
            Ending::Stopped
        }
    }
}

async fn keep(spec: ChildSpec, first: Child, stop: CancellationToken) {
    let mut backoff = Backoff::default();
    let mut started = Instant::now();
    let mut ending = live(&spec, first, &stop).await;
    loop {
        match ending {
            Ending::Stopped => return,
            Ending::Died(_) | Ending::NotStarted => {}
        }
        tokio::select! {
            () = tokio::time::sleep(backoff.after(started.elapsed())) => {}
            () = stop.cancelled() => return,
        }
        started = Instant::now();
        ending = live_once(&spec, &stop).await;
    }
}

/// Asks with SIGTERM, waits for the grace, then kills; gives how it ended.
async fn end(name: &str, child: &mut Child, grace: Duration) -> String {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid
        && let Err(error) = rustix::process::kill_process(pid, rustix::process::Signal::TERM)
    {
        tracing::debug!(child = name, error = %error, "{name} was gone already");
    }
    match tokio::time::timeout(grace, child.wait()).await {
        Ok(status) => {
            tracing::info!(child = name, "{name} stopped");
            status.map_or_else(|error| error.to_string(), |status| status.to_string())
        }
        Err(_) => {
            tracing::error!(child = name, "{name} overran its grace and is killed");
            if let Err(error) = child.kill().await {
                tracing::error!(child = name, error = %error, "{name} cannot be killed");
            }
            "killed: it overran its grace".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_never_away_for_a_second() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..7).map(|_| backoff.after(Duration::ZERO).as_millis()).collect();
        assert_eq!(waits, [50, 100, 200, 400, 800, 800, 800]);
        assert_eq!(backoff.after(HEALTHY_AFTER).as_millis(), 50);
    }

    #[tokio::test]
    async fn a_killed_child_comes_back_and_all_stop_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let marks = dir.path().join("marks");
        let shell = |name: &str, script: String| ChildSpec {
            name: name.into(),
            program: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            grace: Duration::from_secs(5),
            notes: Some(dir.path().join("notes")),
        };
        let waits = |mark: &str| {
            let file = marks.display();
            format!("trap 'echo {mark} >> {file}; exit 0' TERM; echo up >> {file}.{mark}; while :; do sleep 0.02; done")
        };
        let dies = format!("echo x >> {}.dies", marks.display());
        let stop = CancellationToken::new();
        let children = vec![shell("first", waits("first")), shell("second", waits("second")), shell("dies", dies)];
        let running = tokio::spawn(supervise(children, stop.clone()));
        let lines = |name: &str| {
            let path = dir.path().join(format!("marks{name}"));
            std::fs::read_to_string(path).map_or(0, |text| text.lines().count())
        };
        tokio::time::timeout(Duration::from_secs(20), async {
            while lines(".dies") < 3 || lines(".first") < 1 || lines(".second") < 1 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await
        .unwrap();
        stop.cancel();
        running.await.unwrap().unwrap();
        assert_eq!(std::fs::read_to_string(&marks).unwrap(), "second\nfirst\n");
        // Every start and every end is noted for the log, those of the one that dies again and again too.
        let mut noted: Vec<(String, serde_json::Value)> = std::fs::read_dir(dir.path().join("notes"))
            .unwrap()
            .map(|entry| {
                let path = entry.unwrap().path();
                let note: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
                (path.display().to_string(), note)
            })
            .collect();
        noted.sort_by(|one, other| one.0.cmp(&other.0));
        let of = |role: &str, operation: &str| {
            let fits = |note: &serde_json::Value| note["operation"] == operation && note["details"]["role"] == role;
            noted.iter().filter(|(_, note)| fits(note)).map(|(_, note)| note["details"].clone()).collect::<Vec<_>>()
        };
        for role in ["first", "second"] {
            assert_eq!((of(role, "role_started").len(), of(role, "role_ended").len()), (1, 1), "{role}");
            assert_eq!(of(role, "role_ended")[0]["asked"], true);
        }
        let (started, ended) = (of("dies", "role_started").len(), of("dies", "role_ended"));
        assert!(started >= 3 && started - ended.len() <= 1, "{started} {}", ended.len());
        assert!(ended[0]["asked"] == false && ended[0]["how"] == "exit status: 0", "{}", ended[0]);
    }
}
