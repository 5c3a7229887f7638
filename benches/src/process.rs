//! CPU time and memory of a process and its descendants, from /proc.

use std::collections::BTreeMap;

/// What a tree of processes has used.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// CPU seconds, user and system.
    pub cpu_s: f64,
    /// Resident memory that is not shared with files, MiB.
    pub anon_mib: f64,
}

/// One process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Process id.
    pub pid: u32,
    /// Command line, words joined by blanks.
    pub command: String,
}

fn ticks_per_s() -> f64 {
    // USER_HZ is 100 on every Linux that Debian runs on; there is no safe call for it here.
    100.0
}

fn stat(pid: u32) -> Option<(u32, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut words = text.rsplit_once(')')?.1.split_whitespace();
    let parent = words.nth(1)?.parse().ok()?;
    let user: u64 = words.nth(9)?.parse().ok()?;
    let system: u64 = words.next()?.parse().ok()?;
    Some((parent, user + system))
}

fn anon_kib(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn pids() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The wall clock, µs since 1970.
pub fn wall_us() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1_000)
}

/// Process id of a role under a supervisor.
pub fn pid_of_role(supervisor: u32, role: &str) -> Option<u32> {
    let wanted = format!(" role {role} ");
    tree(supervisor).into_iter().find(|process| process.command.contains(&wanted)).map(|process| process.pid)
}

/// Sends a signal; a process that is gone is no error.
pub fn signal(pid: u32, signal: rustix::process::Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
        rustix::process::kill_process(pid, signal).ok();
    }
}

/// A process and all that descend from it.
pub fn tree(root: u32) -> Vec<Process> {
    let parents: BTreeMap<u32, u32> = pids().into_iter().filter_map(|pid| Some((pid, stat(pid)?.0))).collect();
    let belongs = |pid: u32| {
        let mut at = pid;
        while let Some(parent) = parents.get(&at) {
            if at == root {
                return true;
            }
            at = *parent;
        }
        false
    };
    let family = parents.keys().copied().filter(|pid| belongs(*pid));
    family
        .map(|pid| {
            let raw = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            Process { pid, command: String::from_utf8_lossy(&raw).replace('\0', " ") }
        })
        .collect()
}

/// What one process has used so far, without its children.
#[expect(clippy::cast_precision_loss, reason = "figures for a report")]
pub fn own_usage(pid: u32) -> Usage {
    let ticks = stat(pid).map_or(0, |(_, ticks)| ticks);
    Usage { cpu_s: ticks as f64 / ticks_per_s(), anon_mib: anon_kib(pid) as f64 / 1024.0 }
}

/// What a tree has used so far. Children that died are not in it.
pub fn usage(root: u32) -> Usage {
    tree(root).iter().map(|process| own_usage(process.pid)).fold(Usage::default(), |sum, one| Usage {
        cpu_s: sum.cpu_s + one.cpu_s,
        anon_mib: sum.anon_mib + one.anon_mib,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_in_its_own_tree_and_uses_memory() {
        let own = std::process::id();
        assert!(tree(own).iter().any(|process| process.pid == own));
        assert!(usage(own).anon_mib > 0.0);
    }
}
