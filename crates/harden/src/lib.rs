//! What a role gives up once it has opened what it needs: other programs, other processes, the kernel's own workings.
//!
//! The unit files of `deploy/` say the same to systemd; this holds under `belfry run`, in a container and on a developer's
//! machine too. Landlock (files, listening) is `ingest::sandbox`. Both programs use it, and set their limits in the same order.
//!
//! It is a list of what is refused, not of what is allowed: the C library, GStreamer and ONNX Runtime change what they call
//! from release to release, and a camera that goes dark after an update of the C library is a fault that we would have made.
//! What is refused is what turns a bug in a parser into a foothold.

use std::collections::BTreeMap;

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

/// Nobody calls these by mistake: the process ends at once (SIGSYS).
const FATAL: [i64; 15] = [
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_bpf,
    libc::SYS_userfaultfd,
    libc::SYS_perf_event_open,
    libc::SYS_pivot_root,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
];

/// A library may try one of these and go on without: it gets EPERM.
const REFUSED: [i64; 44] = [
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_chroot,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_acct,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_quotactl,
    libc::SYS_personality,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setgroups,
    libc::SYS_capset,
    libc::SYS_nfsservctl,
];

/// Families of sockets that no role opens: packets past the protocol stack, the kernel's crypto, virtual machines, Bluetooth.
const REFUSED_FAMILIES: [libc::c_int; 4] = [libc::AF_PACKET, libc::AF_ALG, libc::AF_VSOCK, libc::AF_BLUETOOTH];

/// Why a process could not be hardened.
#[derive(Debug, thiserror::Error)]
pub enum HardenError {
    /// A limit or a process attribute.
    #[error("the kernel refused a limit of this process")]
    Process(#[from] rustix::io::Errno),
    /// The filter of system calls.
    #[error("the kernel refused the filter of system calls ({0})")]
    Filter(String),
}

/// No new privileges, no core files (they would hold keys), not traceable by others of the same user, and, where `memory_max`
/// is given, no more bytes of private memory than that. Undone by nothing but a new program.
///
/// # Errors
/// [`HardenError::Process`].
pub fn limit(memory_max: Option<u64>) -> Result<(), HardenError> {
    rustix::thread::set_no_new_privs(true)?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    if memory_max.is_some() {
        setrlimit(Resource::Data, Rlimit { current: memory_max, maximum: memory_max })?;
    }
    Ok(())
}

/// Refuses the system calls above for every thread of this process, from now on.
///
/// # Errors
/// [`HardenError::Filter`]: a kernel without seccomp, or of an architecture that is not known here.
pub fn filter_calls() -> Result<(), HardenError> {
    let wrong = |error: &dyn std::fmt::Display| HardenError::Filter(error.to_string());
    let arch: TargetArch = std::env::consts::ARCH.try_into().map_err(|error| wrong(&error))?;
    let all = |calls: &[i64]| calls.iter().map(|call| (*call, Vec::new())).collect::<BTreeMap<i64, Vec<SeccompRule>>>();
    let mut refused = all(&REFUSED);
    let conditional = conditional().map_err(|error| wrong(&error))?;
    refused.extend(conditional);
    // The arguments of clone3 lie in memory, where a filter cannot look: without it the C library falls back to clone.
    let absent = all(&[libc::SYS_clone3]);
    let eperm = u32::try_from(libc::EPERM).unwrap_or(1);
    let enosys = u32::try_from(libc::ENOSYS).unwrap_or(38);
    for (rules, action) in [
        (all(&FATAL), SeccompAction::KillProcess),
        (refused, SeccompAction::Errno(eperm)),
        (absent, SeccompAction::Errno(enosys)),
    ] {
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, action, arch).map_err(|error| wrong(&error))?;
        let program: BpfProgram = filter.try_into().map_err(|error: seccompiler::BackendError| wrong(&error))?;
        seccompiler::apply_filter_all_threads(&program).map_err(|error| wrong(&error))?;
    }
    Ok(())
}

/// Calls that depend on an argument: a new process (a new thread is fine), a socket of a strange family, typing for a terminal.
fn conditional() -> Result<BTreeMap<i64, Vec<SeccompRule>>, seccompiler::BackendError> {
    let when = |argument: u8, operator, value: u64| {
        let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)?;
        SeccompRule::new(vec![condition])
    };
    let low = |value: libc::c_int| u64::from(u32::try_from(value).unwrap_or(0));
    let thread = low(libc::CLONE_THREAD);
    let families: Result<Vec<_>, _> =
        REFUSED_FAMILIES.iter().map(|family| when(0, SeccompCmpOp::Eq, low(*family))).collect();
    let mut rules = BTreeMap::from([
        (libc::SYS_clone, vec![when(0, SeccompCmpOp::MaskedEq(thread), 0)?]),
        (libc::SYS_socket, families?),
        (libc::SYS_ioctl, vec![when(1, SeccompCmpOp::Eq, libc::TIOCSTI)?]),
    ]);
    #[cfg(target_arch = "x86_64")]
    rules.extend([libc::SYS_fork, libc::SYS_vfork, libc::SYS_iopl, libc::SYS_ioperm].map(|call| (call, Vec::new())));
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::Command;

    use super::*;

    /// Names the thing that the process under test tries; it is this test program, started again.
    const TRY: &str = "BELFRY_HARDEN_TRY";

    /// Run by the tests below in a process of its own; does nothing in a normal run.
    #[test]
    fn child() {
        let Some(what) = std::env::vars().find(|(name, _)| name == TRY).map(|(_, what)| what) else { return };
        let is_free = what.starts_with("free ");
        if !is_free {
            limit(Some(512 << 20)).unwrap();
            filter_calls().unwrap();
        }
        let kind = |outcome: std::io::Result<()>| outcome.map_err(|error| error.raw_os_error().unwrap_or(-1));
        let outcome = match what.trim_start_matches("free ") {
            "exec" => {
                use std::os::unix::process::CommandExt as _;
                Err(Command::new("/bin/true").exec().raw_os_error().unwrap_or(-1))
            }
            "fork" => kind(Command::new("/bin/true").status().map(|_| ())),
            "chroot" => kind(rustix::process::chroot("/").map_err(Into::into)),
            "packet" => kind(
                rustix::net::socket(rustix::net::AddressFamily::PACKET, rustix::net::SocketType::DGRAM, None)
                    .map(drop)
                    .map_err(Into::into),
            ),
            // Refused by every kernel for these arguments: nothing is lost where the filter does not hold.
            "pivot" => kind(rustix::process::pivot_root("/", "/").map_err(Into::into)),
            "thread" => std::thread::spawn(|| ()).join().map_err(|_| -2),
            "memory" => {
                let mut held: Vec<u8> = Vec::new();
                held.try_reserve_exact(1 << 30).map_err(|_| libc::ENOMEM)
            }
            "status" => {
                let status = std::fs::read_to_string("/proc/self/status").unwrap();
                let line = |name: &str| {
                    status.lines().find(|line| line.starts_with(name)).unwrap_or("").split_whitespace().nth(1)
                        == Some("2")
                };
                let privileges = status.contains("NoNewPrivs:\t1");
                let core = rustix::process::getrlimit(Resource::Core).current == Some(0);
                let hidden = rustix::process::dumpable_behavior().unwrap() == DumpableBehavior::NotDumpable;
                if line("Seccomp:") && privileges && core && hidden { Ok(()) } else { Err(-3) }
            }
            other => panic!("nothing is called {other}"),
        };
        std::process::exit(outcome.map_or_else(|code| code, |()| 0));
    }

    fn tried(what: &str) -> std::process::ExitStatus {
        let own = std::env::current_exe().unwrap();
        let mut child = Command::new(own);
        child.args(["--exact", "tests::child", "--nocapture"]).env(TRY, what);
        child.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).status().unwrap()
    }

    #[test]
    fn a_hardened_process_starts_no_program_and_keeps_its_threads() {
        for (what, wanted) in [
            ("exec", libc::EPERM),
            ("fork", libc::EPERM),
            ("chroot", libc::EPERM),
            ("packet", libc::EPERM),
            ("memory", libc::ENOMEM),
            ("thread", 0),
            ("status", 0),
            // Without the filter the same things work: the test can tell the difference.
            ("free fork", 0),
            ("free memory", 0),
        ] {
            assert_eq!(tried(what).code(), Some(wanted), "{what}");
        }
        assert_eq!(tried("pivot").signal(), Some(libc::SIGSYS));
    }
}
