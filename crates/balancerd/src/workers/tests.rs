use std::os::unix::process::ExitStatusExt as _;

use super::*;

fn shell(script: &str) -> (Command, UnixStream) {
    let (ours, theirs) = line().expect("two descriptors");
    let mut command = Command::new("sh");
    command.args(["-c", script]).stdin(Stdio::null()).stdout(theirs);
    (command, ours)
}

fn events(script: &str, told: Option<Signal>) -> Vec<Event> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let (command, line) = shell(script);
        let (tell, mut happened) = tokio::sync::mpsc::unbounded_channel();
        let tell = move |event| tell.send(event).expect("it is read");
        let (pid, _line) = start(command, line, &Listeners::default(), tell).expect("sh");
        let mut events = Vec::new();
        while let Some(event) = happened.recv().await {
            let (Event::Ready(of) | Event::Exited(of, _)) = event else { panic!("{event:?}") };
            assert_eq!(of, pid);
            if let (Event::Ready(_), Some(number)) = (&event, told) {
                signal(pid, number);
            }
            events.push(event);
        }
        events
    })
}

#[test]
fn a_process_that_says_a_byte_is_ready_and_its_end_is_told() {
    let told = events("echo 1; exec sleep 60", Some(Signal::SIGTERM));
    let [Event::Ready(_), Event::Exited(_, status)] = told[..] else { panic!("{told:?}") };
    assert_eq!(status.signal(), Some(Signal::SIGTERM as i32));
}

#[test]
fn a_process_that_ends_without_a_word_was_never_ready() {
    let told = events("exit 3", None);
    let [Event::Exited(_, status)] = told[..] else { panic!("{told:?}") };
    assert_eq!(status.code(), Some(3));
}

#[test]
fn whoever_waits_learns_of_readiness_or_of_an_exit_code_that_is_not_success() {
    for (script, expected) in [("echo 1", None), ("exit 4", Some(4)), ("exit 0", Some(1))] {
        let (mut command, line) = shell(script);
        let mut child = command.spawn().expect("sh");
        drop(command);
        assert_eq!(wait(&mut child, line), expected, "{script}");
        // Not left behind as a zombie.
        child.wait().expect("ours");
    }
}
