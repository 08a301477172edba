//! Binaries of another architecture, run by qemu's user mode: that they start, read the guides' files
//! and carry a connection.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::binaries::Arch;
use super::output;

/// How long an answer may take: qemu is slow, and a test machine busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// Tries both daemons; says so where there is no qemu.
pub(super) fn smoke(root: &Path, arch: Arch, binaries: &Path) -> anyhow::Result<()> {
    let qemu = format!("qemu-{}-static", arch.rust());
    if Command::new(&qemu).arg("--version").output().is_err() {
        println!("SKIPPED: the binaries of {} are not run: no {qemu}", arch.debian());
        return Ok(());
    }
    // Libraries of the other architecture, for those that are not static.
    let libraries = format!("/usr/{}-linux-gnu", arch.rust());
    let called = |name: &str, daemon: &str| {
        let mut command = Command::new(&qemu);
        command.args(["-L", &libraries, "-0", name]).arg(binaries.join(daemon));
        command
    };
    let version = output(called("haproxy", "balancerd").arg("-v"))?;
    ensure!(version.starts_with("HAProxy version"), "haproxy -v said {version:?}");
    output(called("keepalived", "failoverd").arg("-v"))?;
    let guides = root.join("compat-tests/guides");
    for file in
        ["001-haproxy-appended.cfg", "002-haproxy-appended.cfg", "003-kubeadm-haproxy-filled.cfg"]
    {
        output(called("haproxy", "balancerd").arg("-c").arg("-f").arg(guides.join(file)))?;
    }
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("keepalived.conf");
    let guide = std::fs::read_to_string(guides.join("001-keepalived-node1.conf"))?;
    // The interface of the guide's machine is not this one's.
    std::fs::write(&file, guide.replace("eth0", "lo"))?;
    let tested = called("keepalived", "failoverd").arg("-t").arg("-f").arg(&file).output()?;
    // 5: it warns, of the long password and of the loopback.
    ensure!(
        matches!(tested.status.code(), Some(0 | 5)),
        "keepalived -t ended with {}",
        tested.status
    );
    session(called("haproxy", "balancerd"), directory.path())?;
    println!("{}: both daemons run in qemu, and a connection goes through", arch.debian());
    Ok(())
}

/// A connection through `haproxy`, which listens on its standard input.
fn session(mut haproxy: Command, directory: &Path) -> anyhow::Result<()> {
    let server = TcpListener::bind("127.0.0.1:0")?;
    let front = TcpListener::bind("127.0.0.1:0")?;
    let address = front.local_addr()?;
    let file = directory.join("haproxy.cfg");
    let text = format!(
        "defaults\n mode tcp\n timeout connect 20s\n timeout client 20s\n timeout server 20s\n\
         listen l\n bind fd@0\n server s {}\n",
        server.local_addr()?
    );
    std::fs::write(&file, text)?;
    haproxy.args(["-db", "-q", "-f"]).arg(&file);
    let running = haproxy.stdin(Stdio::from(OwnedFd::from(front))).spawn();
    let _running = Running(running.context("qemu does not start")?);
    let echo = std::thread::spawn(move || -> std::io::Result<()> {
        let (mut connection, _) = server.accept()?;
        let mut word = [0; 5];
        connection.read_exact(&mut word)?;
        connection.write_all(&word)
    });
    // It listens already: until it is served, the connection waits in the kernel.
    let mut client = TcpStream::connect(address)?;
    client.set_read_timeout(Some(PATIENCE))?;
    client.write_all(b"hello")?;
    let mut answer = [0; 5];
    client.read_exact(&mut answer).context("no answer through haproxy in qemu")?;
    ensure!(&answer == b"hello", "another answer: {answer:?}");
    echo.join().ok().context("the server failed")??;
    Ok(())
}

/// A process that ends with us.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
