use super::*;

/// A master that answers with what it was asked; its worker has this number and says this.
fn client(level: Level, worker: Option<(u32, &'static str)>) -> Client {
    let (master, mut asked) = mpsc::unbounded_channel();
    tokio::task::spawn_local(async move {
        while let Some(ask) = asked.recv().await {
            match ask {
                Ask::Processes(answer) => answer.send("PROC\n".to_owned()).unwrap(),
                Ask::Reload(answer) => answer.send("Success=1\n".to_owned()).unwrap(),
                Ask::Worker(target, _, answer) => {
                    let found = worker.filter(|(pid, _)| match target {
                        Target::Process(wanted) => wanted == *pid,
                        _ => true,
                    });
                    let pair = found.map(|(pid, says)| {
                        let (ours, theirs) = Pair::pair().unwrap();
                        std::io::Write::write_all(&mut &ours, says.as_bytes()).unwrap();
                        ours.shutdown(std::net::Shutdown::Write).unwrap();
                        std::mem::forget(ours);
                        (pid, theirs)
                    });
                    // A client that only wanted to know the number does not read.
                    let _ = answer.send(pair);
                }
            }
        }
    });
    Client { level, prompt: false, target: Target::Master, sockets: "SOCKETS\n".into(), master }
}

async fn said(level: Level, worker: Option<(u32, &'static str)>, lines: &str) -> String {
    let (mut ours, theirs) = tokio::io::duplex(1 << 16);
    let talk = tokio::task::spawn_local(client(level, worker).talk(theirs));
    ours.write_all(lines.as_bytes()).await.unwrap();
    ours.shutdown().await.unwrap();
    let mut answer = String::new();
    ours.read_to_string(&mut answer).await.unwrap();
    talk.await.unwrap().unwrap();
    answer
}

/// As HAProxy's master answers; `V` is the version.
const DIALOGUES: &[(&str, &str)] = &[
    ("show proc\n", "PROC\n\n"),
    ("@master show proc\n", "PROC\n\n"),
    ("show version\n", "V\n\n"),
    ("show cli level\n", "admin\n\n"),
    ("show cli sockets\n", "SOCKETS\n\n"),
    ("@1 show version;show proc\n", "WORKER\n\nPROC\n\n"),
    ("@!26 show version\n", "WORKER\n\n"),
    ("@1\nshow info\n", "WORKER\n\n"),
    ("@2 show version\n", "Can't find the target PID matching the prefix '@2'\n"),
    ("@!1 show version\n", "Can't find the target PID matching the prefix '@!1'\n"),
    (
        "prompt\n@1 show version\n@1\nshow version\n@master\nshow proc\nquit\n",
        "master> WORKER\n\nmaster> 26> WORKER\n\n26> master> PROC\n\nmaster> ",
    ),
    ("reload\n", "Success=1\n"),
    ("operator; reload\n", "\nPermission denied\n\n"),
];

#[tokio::test]
async fn the_master_answers_as_haproxys_does() {
    let tasks = tokio::task::LocalSet::new();
    tasks
        .run_until(async {
            for (line, answer) in DIALOGUES {
                let worker = Some((26, "WORKER\n\n"));
                let expected = answer.replace('V', VERSION);
                assert_eq!(said(Level::Admin, worker, line).await, expected, "{line:?}");
            }
            let nobody = said(Level::Admin, None, "@1 show version\n").await;
            assert_eq!(nobody, "Can't find the target PID matching the prefix '@1'\n");
            let unknown = said(Level::Admin, None, "foo\n").await;
            assert!(unknown.starts_with("Unknown command: 'foo', but maybe "), "{unknown}");
        })
        .await;
}

#[test]
fn an_address_may_have_options_behind_commas() {
    let socket = parse("/run/m.sock,mode,660,level,operator").unwrap();
    assert_eq!((socket.mode, socket.level), (Some(0o660), Level::Operator));
    assert_eq!(parse("127.0.0.1:9999").unwrap().level, Level::Admin);
    assert!(parse("/run/m.sock,nonsense").is_err());
}
