//! The sandbox of an ingest process: a camera that takes the process over finds nothing to open.
//!
//! Landlock, from inside: no file can be written, made or run; the run directory and the few files that name look-up needs
//! can be read; no TCP port can be opened for listening. A system-call filter and the memory limit come from the supervisor
//! and the unit files.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetError, RulesetStatus, path_beneath_rules,
};

/// Read by the C library when it looks a name up (nsswitch.conf(5), resolv.conf(5), hosts(5)).
const LOOKUP_FILES: [&str; 6] =
    ["/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf", "/etc/services"];

/// How far the kernel went along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confinement {
    /// Everything asked for holds.
    Full,
    /// An older kernel: files hold, some newer kinds of access do not.
    Partial,
    /// This kernel has no Landlock, or it is switched off.
    None,
}

/// Confines the calling thread and every thread it starts from now on: call it before the runtime starts. Cannot be undone.
///
/// `run_dir` holds the recorder's socket; `also_readable` what a media library has to read (empty for `belfry`).
///
/// # Errors
/// When the kernel has Landlock but refuses the rules. A kernel without it is no error: a warning is logged.
pub fn confine(run_dir: &Path, also_readable: &[PathBuf]) -> Result<Confinement, RulesetError> {
    // V4 (Linux 6.7) has the network; older kernels hold what they can.
    let abi = ABI::V4;
    let mut readable: Vec<PathBuf> = LOOKUP_FILES.iter().map(PathBuf::from).collect();
    readable.push(run_dir.to_owned());
    readable.extend_from_slice(also_readable);
    readable.retain(|path| path.exists());
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::BindTcp)?
        .create()?
        .add_rules(path_beneath_rules(&readable, AccessFs::ReadFile | AccessFs::ReadDir))?
        .restrict_self()?;
    let confinement = match status.ruleset {
        RulesetStatus::FullyEnforced => Confinement::Full,
        RulesetStatus::PartiallyEnforced => Confinement::Partial,
        RulesetStatus::NotEnforced => Confinement::None,
    };
    match confinement {
        Confinement::Full => tracing::info!("file access is confined by Landlock"),
        Confinement::Partial => {
            tracing::warn!("file access is confined by an older Landlock; opening TCP ports is not");
        }
        Confinement::None => tracing::warn!("this kernel has no Landlock: file access is not confined"),
    }
    Ok(confinement)
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    #[test]
    fn a_confined_thread_reaches_the_socket_and_writes_nothing() {
        let run_dir = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        let secret = other.path().join("secret");
        std::fs::write(&secret, b"x").unwrap();
        let socket = run_dir.path().join("recorder.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let run_path = run_dir.path().to_owned();
        let (made, read, bound, reached, confinement) = std::thread::spawn(move || {
            let confinement = confine(&run_path, &[]).unwrap();
            let kind = |outcome: std::io::Result<()>| outcome.err().map(|error| error.kind());
            let made = kind(std::fs::write(run_path.join("new"), b"x"));
            let read = kind(std::fs::read(&secret).map(|_| ()));
            let bound = kind(std::net::TcpListener::bind("127.0.0.1:0").map(|_| ()));
            (made, read, bound, kind(UnixStream::connect(&socket).map(|_| ())), confinement)
        })
        .join()
        .unwrap();
        assert_eq!(reached, None);
        drop(listener);
        let denied = Some(ErrorKind::PermissionDenied);
        match confinement {
            Confinement::Full => assert_eq!([made, read, bound], [denied; 3]),
            Confinement::Partial => assert_eq!([made, read], [denied; 2]),
            Confinement::None => println!("NOT RUN: this kernel has no Landlock"),
        }
        // The test's own thread is as free as before.
        assert!(std::fs::write(other.path().join("new"), b"x").is_ok());
    }
}
