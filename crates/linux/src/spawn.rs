//! Starting a program without copying ourselves.
//!
//! fork(2) copies the table of our memory's pages only to throw it away in the next call. Here the
//! child borrows our memory until it executes the program (`CLONE_VM`, `CLONE_VFORK`), as
//! posix_spawn(3) does it; that one cannot set a user or a signal at the parent's death.

#![allow(unsafe_code, reason = "clone(2) has no safe wrapper")]

use std::ffi::{CStr, CString, OsStr, OsString, c_char, c_int, c_long, c_void};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;
use std::ptr;

use nix::errno::Errno;
use nix::sched::CpuSet;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, killpg, pthread_sigmask};
use nix::unistd::{Pid, getpid};

use crate::sched::{KernelPriority, before_pinning};
use crate::user::Identity;

/// What the child needs before it executes: it calls nothing but the kernel.
const STACK: usize = 64 << 10;
/// Where programs are looked for without a `PATH`.
const DEFAULT_PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Starts programs, each in a process group of its own, with nothing on its standard streams, none of
/// our descriptors, no signal blocked or ignored, with the usual priority and processors; SIGTERM is sent to it when the thread ends that
/// started it.
///
/// What a program inherits was taken from the environment when this was made.
#[derive(Debug)]
pub struct Spawner {
    environment: Vec<CString>,
    path: Vec<u8>,
    nothing: File,
    stack: Vec<u128>,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ended {
    /// By itself, with this code.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
}

/// A started program: a child and the leader of its group, with a descriptor that is readable once
/// it has ended.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    fd: OwnedFd,
    ended: Option<Ended>,
}

/// All the child reads, and where it says why it failed.
struct Orders {
    /// Tried in this order.
    programs: Vec<*const c_char>,
    arguments: Vec<*const c_char>,
    environment: Vec<*const c_char>,
    /// For a script without `#!`: a shell's arguments, with room for the script's path.
    shell: Vec<*const c_char>,
    identity: Option<Identity>,
    /// Those to run on, if we run on others.
    processors: Option<&'static CpuSet>,
    nothing: RawFd,
    parent: libc::pid_t,
    error: c_int,
}

impl Spawner {
    /// Takes the environment as it is now, without `without`.
    ///
    /// # Errors
    ///
    /// When `/dev/null` cannot be opened.
    pub fn new(without: &[&str]) -> io::Result<Self> {
        let kept = std::env::vars_os().filter(|(name, _)| !without.iter().any(|w| name == w));
        let line = |(mut name, value): (OsString, OsString)| {
            name.push("=");
            name.push(value);
            CString::new(name.into_vec()).ok()
        };
        let path = std::env::var_os("PATH").map(OsString::into_vec);
        Ok(Self {
            environment: kept.filter_map(line).collect(),
            path: path.unwrap_or_else(|| DEFAULT_PATH.to_vec()),
            nothing: File::options().read(true).write(true).open("/dev/null")?,
            stack: vec![0; STACK / size_of::<u128>()],
        })
    }

    /// Runs the first of `words`, a path or a name that is looked for on `PATH`, with the rest as
    /// its arguments. A file that can be executed and is no program is run by `/bin/sh`, as
    /// execvp(3) does it.
    ///
    /// # Errors
    ///
    /// When it cannot be executed, when we may not become `identity`, or when there are no processes
    /// or descriptors left.
    pub fn spawn(&mut self, words: &[OsString], identity: Option<Identity>) -> io::Result<Child> {
        let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let programs = self.candidates(program)?;
        let text = |word: &OsString| CString::new(word.as_bytes()).map_err(io::Error::from);
        let first = text(program)?;
        let arguments = arguments.iter().map(text).collect::<io::Result<Vec<_>>>()?;
        let pointers = |words: &[CString]| words.iter().map(|w| w.as_ptr()).collect::<Vec<_>>();
        let rest = pointers(&arguments);
        let end = [ptr::null()];
        let mut orders = Orders {
            programs: pointers(&programs),
            arguments: [&[first.as_ptr()], rest.as_slice(), &end].concat(),
            environment: [pointers(&self.environment).as_slice(), &end].concat(),
            shell: [&[SHELL.as_ptr(), ptr::null()], rest.as_slice(), &end].concat(),
            identity: identity.filter(|&identity| identity != Identity::current()),
            processors: before_pinning(),
            nothing: self.nothing.as_raw_fd(),
            parent: getpid().as_raw(),
            error: 0,
        };
        // A handler of ours that ran in the child would run on our memory.
        let mut usual = SigSet::empty();
        pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut usual))?;
        let cloned = clone(&mut self.stack, &mut orders);
        pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&usual), None)?;
        let (pid, fd) = cloned?;
        let mut child = Child { pid: Pid::from_raw(pid), fd, ended: None };
        if orders.error != 0 {
            child.finish()?;
            let there = |path: &CString| Path::new(OsStr::from_bytes(path.to_bytes())).exists();
            if orders.error == libc::ENOENT && programs.iter().any(there) {
                // Of a script, or a program's loader.
                let why = "its interpreter does not exist";
                return Err(io::Error::new(io::ErrorKind::NotFound, why));
            }
            return Err(io::Error::from_raw_os_error(orders.error));
        }
        Ok(child)
    }

    /// The paths a program may be at.
    fn candidates(&self, program: &OsStr) -> io::Result<Vec<CString>> {
        let name = program.as_bytes();
        if name.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        if name.contains(&b'/') {
            return Ok(vec![CString::new(name)?]);
        }
        let directories = self.path.split(|&byte| byte == b':').filter(|d| !d.is_empty());
        let paths = directories.map(|directory| CString::new([directory, b"/", name].concat()));
        Ok(paths.collect::<Result<_, _>>()?)
    }
}

const SHELL: &CStr = c"/bin/sh";

/// Starts a child that carries out `orders`, and returns when it has executed or failed.
fn clone(stack: &mut [u128], orders: &mut Orders) -> io::Result<(libc::pid_t, OwnedFd)> {
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
    let mut fd: RawFd = -1;
    // The stack grows downwards (clone(2)); elements of 16 bytes keep its end aligned.
    let top = stack.as_mut_ptr_range().end.cast::<c_void>();
    // SAFETY: clone(2): the child runs `obey` on `stack`, which is ours alone and outlives it, for
    // CLONE_VFORK stops this thread until the child has executed or exited. Until then the child
    // reads and writes `orders` only, which live here; it makes system calls and nothing else, so
    // no lock another thread may hold is taken. All signals are blocked, so that no handler runs in
    // it. With CLONE_PIDFD the kernel writes a descriptor to `fd`.
    let pid = unsafe { libc::clone(obey, top, flags, ptr::from_mut(orders).cast(), &raw mut fd) };
    if pid < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just opened this descriptor for us, with close-on-exec, and nobody else
    // knows its number.
    Ok((pid, unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// The child, from its start to execve(2).
extern "C" fn obey(orders: *mut c_void) -> c_int {
    // SAFETY: `clone` passes its `Orders`, which nobody touches while this runs.
    let orders = unsafe { &mut *orders.cast::<Orders>() };
    orders.error = match prepare(orders) {
        Ok(()) => execute(orders),
        Err(error) => error as c_int,
    };
    // SAFETY: exit_group(2) ends this process, and no other: it shares memory, but is no thread.
    unsafe { libc::syscall(libc::SYS_exit_group, 127) as c_int }
}

/// A system call, for a child that shares our memory: libc's wrappers of some of these would act on
/// all our threads.
macro_rules! call {
    ($number:expr $(, $argument:expr)*) => {
        // SAFETY: each call's arguments are integers, or pointers to what lives in `Orders`.
        Errno::result(unsafe { libc::syscall($number $(, $argument)*) })
    };
}

fn prepare(orders: &Orders) -> Result<(), Errno> {
    call!(libc::SYS_setpgid, 0, 0)?;
    for stream in 0..3 {
        call!(libc::SYS_dup3, orders.nothing, stream, 0)?;
    }
    // What we were started with and need ourselves, and what a service manager left open. Before
    // Linux 5.11 only what is closed by itself is.
    let flag = libc::CLOSE_RANGE_CLOEXEC;
    let _ = call!(libc::SYS_close_range, 3, libc::c_uint::MAX, flag);
    if let Some(Identity { uid, gid }) = orders.identity {
        // Without the privilege for it there is none to give away either.
        let _ = call!(libc::SYS_setgroups, 0, ptr::null::<libc::gid_t>());
        call!(libc::SYS_setresgid, gid, gid, gid)?;
        call!(libc::SYS_setresuid, uid, uid, uid)?;
    }
    // Behind the change of user, which would reset it.
    call!(libc::SYS_prctl, libc::PR_SET_PDEATHSIG, libc::SIGTERM, 0, 0, 0)?;
    if call!(libc::SYS_getppid)? != c_long::from(orders.parent) {
        return Err(Errno::ESRCH);
    }
    // As anybody else, whatever we are.
    let usual = KernelPriority(0);
    let _ = call!(libc::SYS_sched_setscheduler, 0, libc::SCHED_OTHER, &raw const usual);
    let _ = call!(libc::SYS_setpriority, libc::PRIO_PROCESS, 0, 0);
    if let Some(processors) = orders.processors {
        let size = size_of::<CpuSet>();
        let _ = call!(libc::SYS_sched_setaffinity, 0, size, ptr::from_ref(processors));
    }
    for signal in 1..=64 {
        // What was caught, execve(2) resets; what was ignored, it does not. But between the end of
        // the mask and execve(2), nothing of ours may run.
        let default = KernelAction::default();
        let to = ptr::null_mut::<KernelAction>();
        let _ = call!(libc::SYS_rt_sigaction, signal, &raw const default, to, 8);
    }
    let none = 0u64;
    call!(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const none, ptr::null_mut::<u64>(), 8)?;
    Ok(())
}

/// The kernel's `struct sigaction`: `SIG_DFL`, no flags, no mask.
#[repr(C)]
#[derive(Default)]
struct KernelAction {
    words: [u64; 4],
}

/// Executes the first program there is, and returns only why there is none.
fn execute(orders: &mut Orders) -> c_int {
    let mut error = Errno::ENOENT;
    for at in 0..orders.programs.len() {
        let program = orders.programs[at];
        let (arguments, environment) = (orders.arguments.as_ptr(), orders.environment.as_ptr());
        match call!(libc::SYS_execve, program, arguments, environment) {
            Err(Errno::ENOEXEC) => {
                orders.shell[1] = program;
                let shell = SHELL.as_ptr();
                let failed = call!(libc::SYS_execve, shell, orders.shell.as_ptr(), environment);
                return failed.err().unwrap_or(Errno::ENOEXEC) as c_int;
            }
            // As execvp(3): there may be another behind it.
            Err(Errno::EACCES) => error = Errno::EACCES,
            Err(Errno::ENOENT | Errno::ENOTDIR) | Ok(_) => {}
            Err(other) => return other as c_int,
        }
    }
    error as c_int
}

impl Child {
    /// Its process id, and its group's.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    /// How it ended, `None` while it runs.
    ///
    /// # Errors
    ///
    /// When somebody else waited for it.
    pub fn try_wait(&mut self) -> io::Result<Option<Ended>> {
        self.wait(libc::WEXITED | libc::WNOHANG)
    }

    fn wait(&mut self, flags: c_int) -> io::Result<Option<Ended>> {
        if self.ended.is_some() {
            return Ok(self.ended);
        }
        // SAFETY: a siginfo_t is integers and pointers, for which zero is a value.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        let fd = self.fd.as_raw_fd().unsigned_abs();
        // SAFETY: waitid(2) writes one siginfo_t, which lives here.
        let result = unsafe { libc::waitid(libc::P_PIDFD, fd, &raw mut info, flags) };
        Errno::result(result)?;
        // SAFETY: of what waitid(2) wrote, or of zeros, these fields are integers.
        let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
        if pid != 0 {
            let by_itself = info.si_code == libc::CLD_EXITED;
            self.ended =
                Some(if by_itself { Ended::Exited(status) } else { Ended::Signalled(status) });
        }
        Ok(self.ended)
    }

    /// Waits for its end, blocking.
    ///
    /// # Errors
    ///
    /// When somebody else waited for it.
    pub fn finish(&mut self) -> io::Result<Option<Ended>> {
        self.wait(libc::WEXITED)
    }

    /// Signals its group, as long as it has not been waited for: then the number may be somebody
    /// else's.
    pub fn signal_group(&self, signal: Signal) {
        if self.ended.is_none() && self.pid.as_raw() > 1 {
            // Fails only once nobody is left in the group.
            let _ = killpg(self.pid, signal);
        }
    }
}

impl AsRawFd for Child {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn run(words: &[&str]) -> io::Result<Ended> {
        let words: Vec<OsString> = words.iter().map(Into::into).collect();
        let mut child = Spawner::new(&["LD_PRELOAD"])?.spawn(&words, None)?;
        child.finish()?.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    #[test]
    fn a_program_ends_by_its_code_or_by_a_signal() {
        assert_eq!(run(&["sh", "-c", "exit 7"]).expect("started"), Ended::Exited(7));
        assert_eq!(run(&["/bin/sh", "-c", "exit 0"]).expect("started"), Ended::Exited(0));
        assert_eq!(run(&["sh", "-c", "kill -9 $$"]).expect("started"), Ended::Signalled(9));
    }

    #[test]
    fn a_program_gets_none_of_our_descriptors() {
        let secret = tempfile::tempfile().expect("a file");
        let stays_open = nix::fcntl::FdFlag::empty();
        nix::fcntl::fcntl(&secret, nix::fcntl::FcntlArg::F_SETFD(stays_open)).expect("ours");
        let line = format!("test ! -e /proc/self/fd/{}", secret.as_raw_fd());
        assert_eq!(run(&["sh", "-c", &line]).expect("started"), Ended::Exited(0));
    }

    #[test]
    fn what_cannot_be_executed_says_why() {
        let kind = |words: &[&str]| run(words).expect_err("no program").kind();
        assert_eq!(kind(&["/no/such/program"]), io::ErrorKind::NotFound);
        assert_eq!(kind(&["no-such-program"]), io::ErrorKind::NotFound);
        assert_eq!(kind(&["/etc/passwd"]), io::ErrorKind::PermissionDenied);
        assert_eq!(kind(&["/etc/passwd/x"]), io::ErrorKind::NotFound);
        assert_eq!(kind(&["with\0zero"]), io::ErrorKind::InvalidInput);
        assert_eq!(kind(&[]), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn a_script_without_an_interpreter_is_run_by_a_shell_with_its_arguments() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("script");
        std::fs::write(&path, "test \"$1\" = one && exit 9\n").expect("writable");
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("ours");
        let path = path.to_str().expect("text");
        assert_eq!(run(&[path, "one"]).expect("started"), Ended::Exited(9));
    }

    #[test]
    fn a_script_whose_interpreter_is_missing_says_so() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("script");
        std::fs::write(&path, "#!/no/such/interpreter\n").expect("writable");
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("ours");
        let error = run(&[path.to_str().expect("text")]).expect_err("it cannot run");
        assert_eq!(error.to_string(), "its interpreter does not exist");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_program_has_a_group_of_its_own_no_streams_and_no_signal_held_back() {
        // What a shell in the background, nohup(1) or timeout(1) had ignored is nobody's fault here.
        let own = std::fs::read_to_string("/proc/self/status").expect("readable");
        let ignored = own.lines().find(|line| line.starts_with("SigIgn:")).expect("a line");
        let before = u64::from_str_radix(ignored[7..].trim(), 16).expect("a mask");
        // The runtime of Rust ignores SIGPIPE; programs do not.
        let usual = before & !(1 << 12) == 0;
        let ignored = if usual { "0*" } else { ".*" };
        let line = format!(
            "test \"$(ps -o pgid= $$)\" -eq $$ && \
             test \"$(readlink /proc/$$/fd/0)\" = /dev/null && \
             grep -q '^SigBlk:.0*$' /proc/$$/status && \
             grep -q '^SigIgn:.{ignored}$' /proc/$$/status"
        );
        assert_eq!(run(&["sh", "-c", &line]).expect("started"), Ended::Exited(0));
    }

    #[test]
    fn a_program_runs_as_another_user_without_our_groups() {
        let Some(nobody) = Identity::of("nobody", None).expect("readable") else { return };
        if Identity::current().uid != 0 {
            eprintln!("SKIPPED: only root can be somebody else");
            return;
        }
        let line =
            format!("test \"$(id -u):$(id -g):$(id -G)\" = {0}:{1}:{1}", nobody.uid, nobody.gid);
        let words = ["sh", "-c", &line].map(OsString::from);
        let mut child = Spawner::new(&[]).and_then(|mut s| s.spawn(&words, Some(nobody)));
        let ended = child.as_mut().expect("started").finish().expect("ours");
        assert_eq!(ended, Some(Ended::Exited(0)));
    }

    #[test]
    fn many_threads_start_programs_at_once() {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                std::thread::spawn(|| {
                    let mut spawner = Spawner::new(&[]).expect("a descriptor");
                    for code in 0..20 {
                        let line = format!("exit {code}");
                        let words = ["sh", "-c", &line].map(OsString::from);
                        let mut child = spawner.spawn(&words, None).expect("started");
                        assert_eq!(child.finish().expect("ours"), Some(Ended::Exited(code)));
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().expect("its assertions hold");
        }
    }
}
