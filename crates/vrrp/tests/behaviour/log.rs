//! Whole runs, line by line.

use crate::common::*;
use vrrp::Event;
use vrrp::config::InstanceConfig;

/// What keepalived logged in two runs with `-D`: master until its link went down; backup until
/// the master was gone, and taken over from later.
#[test]
fn whole_runs_are_logged_as_keepalived_logs_them() {
    let mut said = vec![];
    let mut bench = Bench::new(InstanceConfig { priority: 150, ..config() });
    bench.tell(Event::Start);
    said.extend(bench.said());
    while bench.now < machine::Instant::ZERO + secs(9) {
        bench.expire();
        said.extend(bench.said());
    }
    bench.tell(Event::Link { interface: "eth0", up: false });
    said.extend(bench.said());
    let block = [
        "(VI_1) Sending/queueing gratuitous ARPs on eth0 for 192.0.2.100",
        "Sending gratuitous ARP on eth0 for 192.0.2.100",
        "Sending gratuitous ARP on eth0 for 192.0.2.100",
        "Sending gratuitous ARP on eth0 for 192.0.2.100",
        "Sending gratuitous ARP on eth0 for 192.0.2.100",
        "Sending gratuitous ARP on eth0 for 192.0.2.100",
    ];
    let mut expected = vec![
        "(VI_1) removing VIPs.",
        "(VI_1) Entering BACKUP STATE (init)",
        "(VI_1) Receive advertisement timeout",
        "(VI_1) Entering MASTER STATE",
        "(VI_1) setting VIPs.",
    ];
    expected.extend(block);
    expected.extend(block);
    expected.extend([
        "(VI_1) Entering FAULT STATE",
        "(VI_1) sent 0 priority",
        "(VI_1) removing VIPs.",
    ]);
    assert_eq!(said, expected);

    let mut bench = Bench::started(config());
    bench.hear(LOW, 150);
    let mut said = bench.said();
    bench.expire();
    said.extend(bench.said());
    bench.take_addresses();
    said.extend(bench.said().into_iter().filter(|line| !line.contains("gratuitous")));
    bench.hear(LOW, 150);
    // Of a master that returns keepalived says nothing.
    said.extend(bench.said().into_iter().filter(|line| !line.contains("which fell silent")));
    assert_eq!(
        said,
        [
            "(VI_1) master set to 192.0.2.1",
            "(VI_1) Receive advertisement timeout",
            "(VI_1) Entering MASTER STATE",
            "(VI_1) setting VIPs.",
            "(VI_1) Master received advert from 192.0.2.1 with higher priority 150, ours 100",
            "(VI_1) Entering BACKUP STATE",
            "(VI_1) removing VIPs.",
            "(VI_1) master set to 192.0.2.1",
        ]
    );
}
