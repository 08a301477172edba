//! The statistics page in a browser: it is readable on a phone, its numbers change by themselves,
//! and a form changes a server's state.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::stat::Mode;

/// A browser that starts on a busy machine may take long.
const LONG: Duration = Duration::from_secs(60);

/// A browser that is steered through two pipes: JSON texts that end with NUL.
struct Browser {
    child: Child,
    to: File,
    said: Receiver<String>,
    session: String,
    last: u32,
}

impl Browser {
    fn start(directory: &Path) -> Option<Self> {
        let names = ["chromium", "chromium-browser", "google-chrome"];
        let found = |name: &&str| {
            let path = std::env::var_os("PATH")?;
            std::env::split_paths(&path).map(|part| part.join(name)).find(|file| file.exists())
        };
        let program = names.iter().find_map(found)?;
        let (to, from) = (directory.join("to"), directory.join("from"));
        for pipe in [&to, &from] {
            nix::unistd::mkfifo(pipe, Mode::S_IRUSR | Mode::S_IWUSR).expect("a pipe");
        }
        let open = |path| OpenOptions::new().read(true).write(true).open(path).expect("a pipe");
        let (write, mut read) = (open(&to), open(&from));
        let line = format!(
            "exec '{}' --headless --no-sandbox --disable-gpu --disable-background-networking --disable-dev-shm-usage --no-first-run --user-data-dir='{}' --remote-debugging-pipe about:blank 3<'{}' 4>'{}'",
            program.display(),
            directory.join("profile").display(),
            to.display(),
            from.display()
        );
        let child = Command::new("/bin/sh")
            .args(["-c", &line])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let (sender, said) = channel();
        std::thread::spawn(move || {
            let (mut held, mut buffer) = (Vec::new(), [0; 65_536]);
            while let Ok(length @ 1..) = read.read(&mut buffer) {
                held.extend_from_slice(&buffer[..length]);
                while let Some(at) = held.iter().position(|byte| *byte == 0) {
                    let text = String::from_utf8_lossy(&held[..at]).into_owned();
                    held.drain(..=at);
                    if sender.send(text).is_err() {
                        return;
                    }
                }
            }
        });
        let mut browser = Self { child, to: write, said, session: String::new(), last: 0 };
        let target = browser.call("Target.createTarget", "{\"url\":\"about:blank\"}");
        let target = field(&target, "targetId").expect("a target").to_owned();
        let how = format!("{{\"targetId\":\"{target}\",\"flatten\":true}}");
        let session = browser.call("Target.attachToTarget", &how);
        browser.session = field(&session, "sessionId").expect("a session").to_owned();
        Some(browser)
    }

    fn call(&mut self, method: &str, parameters: &str) -> String {
        self.last += 1;
        let session = match self.session.as_str() {
            "" => String::new(),
            session => format!(",\"sessionId\":\"{session}\""),
        };
        let id = self.last;
        let text =
            format!("{{\"id\":{id},\"method\":\"{method}\",\"params\":{parameters}{session}}}\0");
        self.to.write_all(text.as_bytes()).expect("it listens");
        let head = format!("{{\"id\":{id},");
        loop {
            let said = self.said.recv_timeout(LONG).expect("an answer in time");
            if said.starts_with(&head) {
                return said;
            }
        }
    }

    /// What an expression comes to, as text.
    fn ask(&mut self, expression: &str) -> String {
        let text = expression.replace('\\', "\\\\").replace('"', "\\\"");
        let call = format!("{{\"expression\":\"String({text})\",\"awaitPromise\":true}}");
        let said = self.call("Runtime.evaluate", &call);
        field(&said, "value").unwrap_or_default().to_owned()
    }

    fn until(&mut self, expression: &str) {
        let start = Instant::now();
        while self.ask(expression) != "true" {
            assert!(start.elapsed() < LONG, "it does not come true: {expression}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A text by its name, of JSON without escapes in it.
fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(&format!("\"{name}\":\""))?;
    rest.split('"').next()
}

struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_page_works_in_a_browser_and_on_a_phone() {
    let directory = tempfile::tempdir().expect("a directory");
    let Some(mut browser) = Browser::start(directory.path()) else {
        eprintln!("SKIPPED: no Chromium is installed");
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    fcntl(&listener, FcntlArg::F_SETFD(FdFlag::empty())).expect("a flag");
    let text = "global
 nbthread 1
defaults
 mode http
 timeout connect 5s
 timeout client 20s
 timeout server 20s
listen page-with-a-name-that-is-rather-long.example.org
 bind fd@${page}
 stats uri /s
 stats refresh 1s
 stats show-legends
 stats admin if TRUE
 server one-with-a-rather-long-name.example.org 127.0.0.1:9
 server two 127.0.0.1:9
";
    std::fs::write(directory.path().join("cfg"), text.replace("fd@${page}", "\"fd@${page}\""))
        .expect("written");
    let link = directory.path().join("haproxy");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_balancerd"), &link).expect("a link");
    let child = Command::new(&link)
        .args(["-db", "-f", "cfg"])
        .current_dir(directory.path())
        .env("page", listener.as_raw_fd().to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let _served = Served(child.expect("it starts"));
    let port = listener.local_addr().expect("bound").port();
    let phone = "{\"width\":360,\"height\":740,\"deviceScaleFactor\":2,\"mobile\":true}";
    browser.call("Emulation.setDeviceMetricsOverride", phone);
    browser.call("Page.navigate", &format!("{{\"url\":\"http://127.0.0.1:{port}/s\"}}"));
    browser.until(
        "document.readyState == 'complete' && document.querySelectorAll('section').length == 1",
    );
    // Nothing is wider than the screen, and what is to be read is not tiny.
    assert_eq!(browser.ask("innerWidth"), "360");
    assert_eq!(browser.ask("document.documentElement.scrollWidth"), "360");
    let small = "Array.from(document.querySelectorAll('td,th,button,select')).filter(function(e){return e.offsetWidth && parseFloat(getComputedStyle(e).fontSize) < 11}).length";
    assert_eq!(browser.ask(small), "0");
    // Numbers change without anybody asking.
    browser.ask("window.before = document.querySelector('main').textContent");
    browser.until("document.querySelector('main').textContent != window.before");
    // A form changes a server, and its result is told.
    // At one go: the page renews itself in between.
    browser.ask(
        "(document.querySelector('input[value=two]').checked = true, \
         document.querySelector('select').value = 'maint', \
         document.querySelector('form button').click())",
    );
    browser.until("document.readyState == 'complete' && !!document.querySelector('.told.good')");
    browser.until(
        "document.querySelector('input[value=two]').closest('tr').textContent.includes('MAINT')",
    );
    let other =
        "document.querySelector('input[name=s]').closest('tr').textContent.includes('MAINT')";
    assert_eq!(browser.ask(other), "false");
}
