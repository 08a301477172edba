//! What the account makes of events; the namespaces themselves are used by `compat-tests`.

use std::net::IpAddr;
use std::time::Duration;

use crate::account::{books, holds, overlaps, requests, samples, silence, unheld};
use crate::probe::understood;
use crate::{Entry, Event, Journal, Moment, Request, Stream, Subnet};

const MS: u64 = 1_000_000;

fn at(ms: u64) -> Moment {
    Moment(ms * MS)
}

fn address() -> IpAddr {
    "10.1.233.1".parse().unwrap()
}

fn held(node: &str, ms: u64, held: bool) -> Entry {
    let event = Event::Held { address: address(), held, before: at(ms - 10), samples: ms / 10 };
    Entry { at: at(ms), node: node.into(), event }
}

fn asked(number: u64, start: u64, end: u64, answer: Result<&str, &str>) -> Entry {
    let answer = answer.map(str::to_owned).map_err(str::to_owned);
    let request = Request { number, start: at(start), end: at(end), answer, via: None };
    Entry { at: at(end), node: "client".into(), event: Event::Asked(request) }
}

fn line(node: &str, text: &str) -> Entry {
    let event = Event::Line { id: 0, stream: Stream::Out, text: text.into() };
    Entry { at: at(0), node: node.into(), event }
}

#[test]
fn a_hold_lasts_from_the_first_sample_to_the_last_that_found_it() {
    let entries = [held("a", 100, true), held("a", 200, true), held("a", 250, false)];
    let found = holds(&entries, address());
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].first, found[0].last, found[0].ended), (at(100), at(240), true));
}

#[test]
fn a_handover_is_no_overlap() {
    let entries =
        [held("a", 100, true), held("b", 100, false), held("a", 500, false), held("b", 505, true)];
    assert_eq!(overlaps(&holds(&entries, address())), []);
}

#[test]
fn two_holders_are_found_and_how_long_at_least() {
    let entries = [held("a", 100, true), held("b", 300, true), held("a", 800, false)];
    let found = holds(&[&entries[..], &[held("b", 900, true)]].concat(), address());
    let both = overlaps(&found);
    assert_eq!(both.len(), 1);
    assert_eq!((&*both[0].nodes.0, &*both[0].nodes.1), ("a", "b"));
    assert_eq!((both[0].from, both[0].lasted), (at(300), Duration::from_millis(490)));
}

#[test]
fn another_address_is_not_counted() {
    let entries = [held("a", 100, true)];
    assert!(holds(&entries, "10.1.233.2".parse().unwrap()).is_empty());
    assert_eq!(samples(&entries, "10.1.233.2".parse().unwrap()), 0);
    assert_eq!(samples(&entries, address()), 10);
}

#[test]
fn the_time_between_two_holders_is_nobodys() {
    let entries = [held("a", 100, true), held("a", 500, false), held("b", 1100, true)];
    let found = holds(&entries, address());
    let gaps = unheld(&found, at(100), at(2000));
    assert_eq!(gaps, [(at(490), Duration::from_millis(610))]);
    assert_eq!(unheld(&[], at(0), at(10)), [(at(0), Duration::from_millis(10))]);
}

#[test]
fn silence_is_the_longest_time_between_answers() {
    let entries = [
        asked(0, 0, 5, Ok("cp1")),
        asked(1, 10, 510, Err("no answer in time")),
        asked(2, 700, 705, Ok("cp2")),
        asked(3, 710, 715, Ok("cp1")),
    ];
    let all = requests(&entries);
    assert_eq!(silence(&all, at(5), at(720)), Duration::from_millis(700));
    // From the fault on, and to the end when nothing comes any more.
    assert_eq!(silence(&all, at(706), at(720)), Duration::from_millis(10));
    assert_eq!(silence(&all, at(715), at(2715)), Duration::from_secs(2));
}

#[test]
fn books_that_agree_have_nothing_wrong() {
    let entries = [
        line("cp1", "GET /0"),
        line("cp1", "GET /healthz"),
        asked(0, 0, 5, Ok("cp1")),
        asked(1, 10, 510, Err("no answer in time")),
        line("client", "{\"started\":2}"),
    ];
    let books = books(&entries);
    assert_eq!(books.wrong, Vec::<String>::new());
    assert_eq!(books.answered["cp1"], 1);
    assert_eq!(books.failed["no answer in time"], 1);
}

#[test]
fn a_lost_request_and_a_forged_answer_are_wrong() {
    let entries =
        [line("cp2", "GET /0"), asked(0, 0, 5, Ok("cp1")), line("client", "{\"started\":2}")];
    let wrong = books(&entries).wrong;
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert!(wrong[0].contains("started 2 requests, and 1 ended"), "{wrong:?}");
    assert!(wrong[1].contains("cp1, which served it 0 times"), "{wrong:?}");
}

#[test]
fn a_line_of_the_client_becomes_its_request() {
    let Event::Asked(request) = asked(7, 1, 2, Ok("cp1")).event else { unreachable!() };
    let text = serde_json::to_string(&request).unwrap();
    let event = Event::Line { id: 0, stream: Stream::Out, text };
    assert!(matches!(understood(event), Event::Asked(same) if same == request));
    let other = Event::Line { id: 0, stream: Stream::Out, text: "{\"number\":".into() };
    assert!(matches!(understood(other), Event::Line { .. }));
}

#[test]
fn a_waiter_on_the_journal_sees_each_entry_once_and_gives_up_in_time() {
    let journal = Journal::default();
    journal.push(held("a", 10, true));
    journal.push(held("b", 20, true));
    let mut seen = 0;
    let found = journal.wait(0, Duration::from_millis(1), |_| {
        seen += 1;
        None::<()>
    });
    assert_eq!((found, seen, journal.len()), (None, 2, 2));
}

#[test]
fn a_subnet_is_read_and_printed() {
    let subnet: Subnet = "10.1.2.3/16".parse().unwrap();
    assert_eq!(subnet.to_string(), "10.1.2.3/16");
    assert!("10.1.2.3".parse::<Subnet>().is_err());
}

#[test]
fn every_guide_has_a_name_servers_and_files() {
    for guide in crate::guide::all() {
        assert!(guide.servers.len() >= 2, "{}", guide.name);
        assert!(guide.balancers.iter().all(|one| !one.files.is_empty() && !one.daemons.is_empty()));
    }
    assert_eq!(crate::guide::named("004").len(), 2);
    assert_eq!(crate::guide::named("001").len(), 1);
    assert!(crate::guide::named("005").is_empty());
}
