//! `balancerd take-over COMMAND…`: becomes a new HAProxy in a unit whose former processes were left
//! running, as when one package follows another. Not one connection is refused.
//!
//! ```text
//!   stop      systemd leaves the processes of the old one alone: it serves on
//!   start     `take-over`: the new one could run this configuration?
//!             ├─ no:  says why and ends; the old one goes on
//!             └─ yes: copies the listening sockets of the old one (pidfd_getfd(2)), and becomes
//!                     the new one with `-sf`: once that serves, the old one drains
//! ```
//!
//! The old one need not know of it: no `expose-fd listeners`, no `-x`, the original or ours.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode, Stdio};

use daemon::group::{self, Sibling};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use crate::bind::ENVIRONMENT;

/// What the old one's program may be called.
const PROGRAMS: [&str; 2] = ["haproxy", "balancerd"];

/// Becomes `command`, in place of what is left in this unit; returns only with the reason why not.
pub fn main(command: &[OsString]) -> ExitCode {
    let Err(why) = run(command);
    eprintln!("balancerd take-over: {why}");
    ExitCode::from(1)
}

fn run(command: &[OsString]) -> Result<std::convert::Infallible, String> {
    let (program, arguments) = command.split_first().ok_or("nothing to start")?;
    let mut next = Command::new(program);
    next.args(arguments);
    let former = group::siblings(&PROGRAMS).map_err(|error| format!("/proc: {error}"))?;
    let sockets = if former.is_empty() {
        Vec::new()
    } else {
        let mut test = Command::new(program);
        let test = test.args(arguments).args(["-c", "-q"]).stdin(Stdio::null()).status();
        match test {
            Ok(status) if status.success() => {}
            Ok(_) => return Err("not with this configuration; the old one goes on".into()),
            Err(error) => return Err(format!("{}: {error}", program.display())),
        }
        // Where that is forbidden, as in a container, both listen side by side (SO_REUSEPORT) until the
        // old one stops: only what it has not accepted then is lost.
        let sockets = listeners(&former).unwrap_or_else(|why| {
            eprintln!("balancerd take-over: {why}; listening beside it");
            Vec::new()
        });
        next.arg("-sf").args(group::eldest(&former).iter().map(ToString::to_string));
        sockets
    };
    if !sockets.is_empty() {
        let numbers: String = sockets.iter().map(|fd| format!("{};", fd.as_raw_fd())).collect();
        next.env(ENVIRONMENT, numbers);
        for socket in &sockets {
            fcntl(socket, FcntlArg::F_SETFD(FdFlag::empty())).map_err(|error| error.to_string())?;
        }
        eprintln!("balancerd take-over: {} listening sockets of the old one", sockets.len());
    }
    Err(format!("{}: {}", program.display(), next.exec()))
}

/// The TCP listeners of the old processes, each once. Several may have one address: what was left
/// behind would get connections that nobody accepts.
fn listeners(former: &[Sibling]) -> Result<Vec<OwnedFd>, String> {
    let mut known = BTreeSet::new();
    let mut sockets = Vec::new();
    for Sibling { pid, program, .. } in former {
        let its = linux::pidfd::listeners_of(*pid);
        for socket in its.map_err(|error| format!("sockets of {program} ({pid}): {error}"))? {
            let socket = File::from(socket);
            let number = socket.metadata().map_err(|error| error.to_string())?.ino();
            if known.insert(number) {
                sockets.push(socket.into());
            }
        }
    }
    Ok(sockets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_socket_is_taken_over_once() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let _shared = listener.try_clone().expect("a descriptor");
        let pid = i32::try_from(std::process::id()).expect("small");
        let me = Sibling { pid, parent: 1, program: "haproxy".into() };
        let sockets = listeners(&[me.clone(), me]).expect("a process may trace itself");
        let sockets = sockets.into_iter().map(std::net::TcpListener::from);
        let same = sockets.filter(|one| one.local_addr().is_ok_and(|its| its == address));
        assert_eq!(same.count(), 1);
    }

    #[test]
    fn a_program_that_is_not_there_is_said() {
        let why = run(&["/nonexistent/haproxy".into()]).expect_err("it is not there");
        assert!(why.starts_with("/nonexistent/haproxy: No such file"), "{why}");
    }
}
