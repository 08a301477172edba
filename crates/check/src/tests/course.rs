//! A server's life, check by check, against the lines HAProxy logged for the same.

use super::*;

fn checked<'a>(who: Named<'a>, reason: &'a Reason, health: Health) -> LogLine<'a> {
    LogLine::Checked { who, agent: false, reason, health, drained: false }
}

fn moved<'a>(who: Named<'a>, moved: Moved, why: Why<'a>, left: Left) -> LogLine<'a> {
    LogLine::Moved { who, moved, via: None, why, left, was_stopping: false }
}

/// What HAProxy 2.6.12 logged, with `rise 2 fall 3` and `option log-health-checks`.
const LOGGED: &[(bool, &[&str])] = &[
    (
        true,
        &[
            "Health check for server be/s succeeded, reason: Layer4 check passed, check duration: 0ms, status: 3/3 UP.",
        ],
    ),
    (true, &[]),
    (
        false,
        &[
            "Health check for server be/s failed, reason: Layer4 connection problem, info: \"Connection refused\", check duration: 0ms, status: 2/3 UP.",
        ],
    ),
    (
        false,
        &[
            "Health check for server be/s failed, reason: Layer4 connection problem, info: \"Connection refused\", check duration: 0ms, status: 1/3 UP.",
        ],
    ),
    (
        false,
        &[
            "Health check for server be/s failed, reason: Layer4 connection problem, info: \"Connection refused\", check duration: 0ms, status: 0/2 DOWN.",
            "Server be/s is DOWN. 0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.",
            "proxy be has no server available!",
        ],
    ),
    (false, &[]),
    (
        true,
        &[
            "Health check for server be/s succeeded, reason: Layer4 check passed, check duration: 0ms, status: 1/2 DOWN.",
        ],
    ),
    (
        true,
        &[
            "Health check for server be/s succeeded, reason: Layer4 check passed, check duration: 0ms, status: 3/3 UP.",
            "Server be/s is UP. 1 active and 0 backup servers online. 0 sessions requeued, 0 total in queue.",
        ],
    ),
];

#[test]
fn a_server_going_down_and_coming_back_is_logged_as_haproxy_logs_it() {
    let refused = Conversation::new(&Config::default()).refused("Connection refused");
    let mut health = Health::new(2, 3);
    let mut last = Status::Initializing;
    for (index, &(passed, expected)) in LOGGED.iter().enumerate() {
        let verdict = if passed { Verdict::new(Status::L4Ok) } else { refused.clone() };
        let status = verdict.status;
        let reason = Reason { verdict, duration: Duration::ZERO };
        let change = health.note(passed);
        let mut lines = vec![];
        if change != Change::None || status != last {
            lines.push(checked(WHO, &reason, health).to_string());
        }
        last = status;
        let active = u32::from(health.is_up());
        let left = Left { active, ..Left::default() };
        match change {
            Change::Down => {
                lines.push(moved(WHO, Moved::Down, Why::Unsaid, left).to_string());
                lines.push(LogLine::NoServer { backend: "be", listen: true }.to_string());
            }
            Change::Up => lines.push(moved(WHO, Moved::Up, Why::Unsaid, left).to_string()),
            Change::None | Change::Progress => {}
        }
        assert_eq!(lines, expected, "check {index}");
    }
}

#[test]
fn without_log_health_checks_the_reason_is_in_the_line_itself() {
    let verdict = Verdict { code: 500, ..Verdict::new(Status::L7Status).because("ERR") };
    let reason = Reason { verdict, duration: millis(3) };
    let left = Left { backup: 1, sessions: 4, requeued: 2, queued: 3, ..Left::default() };
    let down = moved(WHO, Moved::Down, Why::Found(&reason), left);
    assert_eq!(
        down.to_string(),
        "Server be/s is DOWN, reason: Layer7 wrong status, code: 500, info: \"ERR\", \
         check duration: 3ms. 0 active and 1 backup servers left. Running on backup. \
         4 sessions active, 2 requeued, 3 remaining in queue."
    );
    assert_eq!(down.level(), Level::Alert);
    let backup = Named { backup: true, ..WHO };
    let up = moved(backup, Moved::Up, Why::Unsaid, left);
    assert_eq!(
        up.to_string(),
        "Backup Server be/s is UP. 0 active and 1 backup servers online. Running on backup. \
         2 sessions requeued, 3 total in queue."
    );
    assert_eq!(up.level(), Level::Notice);
    let nobody = LogLine::NoServer { backend: "be", listen: false };
    assert_eq!(nobody.to_string(), "backend be has no server available!");
    assert_eq!(nobody.level(), Level::Emerg);
    let reason = Reason { verdict: Verdict::new(Status::L4Timeout), duration: millis(1001) };
    let line = checked(backup, &reason, Health::new(2, 3));
    assert_eq!(
        line.to_string(),
        "Health check for backup server be/s failed, reason: Layer4 timeout, \
         check duration: 1001ms, status: 1/3 UP."
    );
}
