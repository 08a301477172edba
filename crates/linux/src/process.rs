//! What a process tells the kernel about itself, its children and its memory.

#![allow(unsafe_code, reason = "pre_exec(3) hooks and capget(2) have no safe wrapper")]

use std::ffi::{CString, OsStr};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nix::sys::prctl;
use nix::sys::signal::Signal;

/// Names the process, as `ps`, `pgrep` and `killall` see it (`PR_SET_NAME`).
///
/// The kernel keeps the first 15 bytes. A name with a zero byte ends there.
pub fn set_name(name: &OsStr) {
    let end = name.as_bytes().iter().position(|&b| b == 0).unwrap_or(name.len());
    let name = CString::new(&name.as_bytes()[..end]).unwrap_or_default();
    // prctl(2): PR_SET_NAME fails only for an unreadable pointer.
    let _ = prctl::set_name(&name);
}

/// Makes `command`'s process receive `signal` when the thread that starts it ends
/// (`PR_SET_PDEATHSIG`), and not start at all if that has already happened.
///
/// # Errors
///
/// None here; `Command::spawn` fails if the kernel refuses the signal.
pub fn dies_with_parent(command: &mut Command, signal: Signal) {
    let parent = nix::unistd::getpid();
    let hook = move || {
        prctl::set_pdeathsig(signal)?;
        if nix::unistd::getppid() != parent {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        Ok(())
    };
    // SAFETY: CommandExt::pre_exec asks that the hook does only what is async-signal-safe. It
    // calls prctl(2) and getppid(2), and allocates nothing.
    unsafe {
        command.pre_exec(hook);
    }
}

/// Sets how the scheduler prefers this thread and what it starts from now on, from -20 (most) to
/// 19; the usual is 0.
///
/// # Errors
///
/// `EACCES` for less than now without `CAP_SYS_NICE`.
pub fn set_niceness(nice: i32) -> io::Result<()> {
    // SAFETY: setpriority(2) takes three integers and touches no memory.
    let result = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Makes `command`'s process as preferred as any other, whatever ours is.
pub fn with_usual_niceness(command: &mut Command) {
    // SAFETY: as in `dies_with_parent`: the hook calls setpriority(2) and allocates nothing.
    unsafe {
        // To a larger number is always allowed; it must not keep a script from running anyway.
        command.pre_exec(|| {
            let _ = set_niceness(0);
            Ok(())
        });
    }
}

/// The capabilities these daemons may need.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Capability {
    /// `CAP_NET_ADMIN`: addresses, interfaces.
    NetAdmin = 12,
    /// `CAP_NET_RAW`: raw and packet sockets, addresses of others.
    NetRaw = 13,
    /// `CAP_NET_BIND_SERVICE`: ports below 1024.
    NetBindService = 10,
    /// `CAP_SYS_ADMIN`: namespaces.
    SysAdmin = 21,
}

// linux/capability.h; the libc crate does not have them.
#[repr(C)]
struct Header {
    version: u32,
    pid: libc::c_int,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Set {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const VERSION_3: u32 = 0x2008_0522;

/// Whether `capability` is in this thread's effective set.
///
/// # Errors
///
/// When capget(2) fails, which no current kernel does.
pub fn has_capability(capability: Capability) -> io::Result<bool> {
    let mut header = Header { version: VERSION_3, pid: 0 };
    let mut sets = [Set::default(); 2];
    // SAFETY: capget(2) reads one header and, for version 3, writes two sets; both live here and
    // have the layout of the kernel's header file.
    let result =
        unsafe { libc::syscall(libc::SYS_capget, &raw mut header, (&raw mut sets).cast::<Set>()) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    let bit = capability as u32;
    Ok(sets[(bit / 32) as usize].effective & (1 << (bit % 32)) != 0)
}

/// Lets the capabilities this thread is permitted outlive a change of its user, whom the effective
/// ones leave: [`regain_capabilities`] brings some of them back.
///
/// # Errors
///
/// `EPERM` where the process was told never to.
pub fn keep_capabilities() -> io::Result<()> {
    Ok(prctl::set_keepcaps(true)?)
}

/// Makes `capabilities`, which [`keep_capabilities`] has kept, effective, and gives up all others.
///
/// # Errors
///
/// `EPERM` if one is not permitted.
pub fn regain_capabilities(capabilities: &[Capability]) -> io::Result<()> {
    let mut header = Header { version: VERSION_3, pid: 0 };
    let mut sets = [Set::default(); 2];
    for capability in capabilities {
        let bit = *capability as u32;
        let set = &mut sets[(bit / 32) as usize];
        set.effective |= 1 << (bit % 32);
        set.permitted |= 1 << (bit % 32);
    }
    // SAFETY: capset(2) reads one header and, for version 3, two sets; both live here and have the
    // layout of the kernel's header file.
    let result = unsafe {
        libc::syscall(libc::SYS_capset, &raw mut header, (&raw const sets).cast::<Set>())
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Returns memory the allocator holds free at its end to the kernel (`malloc_trim(3)`).
///
/// Worth a call once, after a configuration has been read and its text dropped.
pub fn trim_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim(3) may be called at any time, from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Lets the kernel leave a core file of this process although it changed its user
/// (`PR_SET_DUMPABLE`).
///
/// # Errors
///
/// What prctl(2) says.
pub fn leave_core_files() -> io::Result<()> {
    Ok(prctl::set_dumpable(true)?)
}
