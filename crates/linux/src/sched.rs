//! A process's place among others: its processors, its priority, its memory.

#![allow(unsafe_code, reason = "sched_setscheduler(2) and setrlimit(2) have no safe wrapper")]

use std::io;
use std::sync::OnceLock;
use std::time::Duration;

use nix::errno::Errno;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::mman::{MlockAllFlags, mlockall, munlockall};
use nix::unistd::Pid;

/// The processors this process had before it was first [pinned](pin).
static BEFORE: OnceLock<CpuSet> = OnceLock::new();

/// Runs this thread, and those it starts from now on, on these processors only; on all it had at
/// first if there are none.
///
/// # Errors
///
/// `EINVAL` when none of them is there.
pub fn pin(processors: &[u32]) -> io::Result<()> {
    let ourselves = Pid::from_raw(0);
    if BEFORE.get().is_none() {
        let before = sched_getaffinity(ourselves)?;
        let _ = BEFORE.set(before);
    }
    let Some(before) = BEFORE.get().filter(|_| processors.is_empty()) else {
        let mut set = CpuSet::new();
        for &processor in processors {
            set.set(usize::try_from(processor).map_err(io::Error::other)?)?;
        }
        return Ok(sched_setaffinity(ourselves, &set)?);
    };
    Ok(sched_setaffinity(ourselves, before)?)
}

/// What a program we start is to have again.
pub(crate) fn before_pinning() -> Option<&'static CpuSet> {
    BEFORE.get()
}

/// Puts this thread, and those it starts from now on, before all that have no such priority
/// (`SCHED_RR`, 1 to 99), or among them again.
///
/// # Errors
///
/// `EPERM` without `CAP_SYS_NICE`.
pub fn set_realtime(priority: Option<u8>) -> io::Result<()> {
    let policy = if priority.is_some() { libc::SCHED_RR } else { libc::SCHED_OTHER };
    let parameter = KernelPriority(priority.unwrap_or(0).into());
    // SAFETY: sched_setscheduler(2) reads one `struct sched_param`, which lives here. The call
    // itself, as musl's function of that name only says ENOSYS.
    Errno::result(unsafe {
        libc::syscall(libc::SYS_sched_setscheduler, 0, policy, &raw const parameter)
    })?;
    Ok(())
}

/// The kernel's `struct sched_param`; that of musl has more fields.
#[repr(C)]
pub(crate) struct KernelPriority(pub(crate) libc::c_int);

/// How long a thread with a [realtime](set_realtime) priority may run without waiting for anything,
/// before the kernel ends the process (`RLIMIT_RTTIME`).
///
/// # Errors
///
/// `EPERM` for more than the hard limit without the privilege for it.
pub fn limit_realtime(time: Duration) -> io::Result<()> {
    let micros = libc::rlim_t::try_from(time.as_micros()).unwrap_or(libc::RLIM_INFINITY);
    let limit = libc::rlimit { rlim_cur: micros, rlim_max: micros };
    // SAFETY: setrlimit(2) reads one rlimit, which lives here.
    Errno::result(unsafe { libc::setrlimit(libc::RLIMIT_RTTIME, &raw const limit) })?;
    Ok(())
}

/// Keeps all memory of this process, also what it gets later, where it is never written to disk; or
/// no longer. What is only reserved takes no memory (`MCL_ONFAULT`, since Linux 4.4): a page stays
/// once it was used.
///
/// Threads started from now on share the heap there is, for one of their own would reserve 64 MiB
/// each, which count against `RLIMIT_MEMLOCK`.
///
/// # Errors
///
/// `ENOMEM` or `EPERM` beyond `RLIMIT_MEMLOCK` without `CAP_IPC_LOCK`.
pub fn lock_memory(lock: bool) -> io::Result<()> {
    if !lock {
        return Ok(munlockall()?);
    }
    share_heap();
    let all = MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE;
    let used = all | MlockAllFlags::from_bits_retain(libc::MCL_ONFAULT);
    // Older kernels know no such flag, and lock what is reserved too.
    match mlockall(used) {
        Err(Errno::EINVAL) => Ok(mlockall(all)?),
        result => Ok(result?),
    }
}

/// Has threads allocate from the first heap, where the allocator has one for each.
fn share_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt(3) takes two integers and locks what it changes; heaps in use stay.
    unsafe {
        // Where it is refused, more is reserved, and nothing else is different.
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use crate::spawn::{Ended, Spawner};

    use super::*;

    /// What `sh` prints of itself, run by a thread that has done `before`.
    fn shell_says(line: &str, before: fn() -> io::Result<()>) -> Option<Ended> {
        let line = line.to_owned();
        let thread = std::thread::spawn(move || {
            if let Err(error) = before() {
                eprintln!("SKIPPED: {error}");
                return None;
            }
            let words = ["sh", "-c", &line].map(OsString::from);
            let mut child = Spawner::new(&[]).and_then(|mut s| s.spawn(&words, None)).ok()?;
            child.finish().ok()?
        });
        thread.join().expect("nothing in it panics")
    }

    #[test]
    fn a_program_runs_where_we_ran_before_we_were_pinned() {
        let all = std::fs::read_to_string("/proc/self/status").expect("readable");
        let all = all.lines().find(|line| line.starts_with("Cpus_allowed:")).expect("there");
        let line = format!("grep -qx '{all}' /proc/$$/status");
        if let Some(ended) = shell_says(&line, || pin(&[0])) {
            assert_eq!(ended, Ended::Exited(0));
        }
    }

    #[test]
    fn a_program_has_no_realtime_priority_though_we_have() {
        let line = "test \"$(cut -d' ' -f 41 /proc/$$/stat)\" = 0";
        if let Some(ended) = shell_says(line, || set_realtime(Some(1))) {
            assert_eq!(ended, Ended::Exited(0));
        }
    }

    /// Of this process, in KiB, as proc_pid_status(5) has it.
    fn kib(name: &str) -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").expect("readable");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("there");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    #[test]
    fn locked_memory_is_what_is_used_not_what_is_reserved() {
        if let Err(error) = lock_memory(true) {
            return eprintln!("SKIPPED: {error}");
        }
        let before = kib("VmRSS:");
        let size = 64 << 20;
        let reserve = |size| Vec::<u8>::with_capacity(size);
        let reserved = std::hint::black_box(reserve(size));
        assert!(kib("VmLck:") >= 64 << 10, "it is locked");
        assert!(kib("VmRSS:") < before + (32 << 10), "and not there: {before}");
        drop(reserved);
        lock_memory(false).expect("always allowed");
        assert_eq!(kib("VmLck:"), 0);
    }

    #[test]
    fn no_processor_that_is_not_there_is_pinned_to() {
        assert!(pin(&[1_000_000]).is_err());
        assert!(pin(&[]).is_ok());
    }

    #[test]
    fn a_thread_becomes_as_others_again() {
        let thread = std::thread::spawn(|| {
            if let Err(error) = set_realtime(Some(1)) {
                return eprintln!("SKIPPED: {error}");
            }
            limit_realtime(Duration::from_secs(60)).expect("less than now");
            set_realtime(None).expect("always allowed");
        });
        thread.join().expect("its assertions hold");
    }
}
