//! Counters of HTTP.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU32, AtomicU64};

use stick::Data;

use crate::session::Session;
use crate::state::{Rate, Traffic, unix_seconds};

/// Something that is counted.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// How many.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Counters of a frontend, a backend or a server that speaks HTTP.
#[derive(Debug, Default)]
pub struct Count {
    /// Requests.
    pub requests: Counter,
    /// Requests per second.
    pub request_rate: Rate,
    /// Answers by their first digit: others, 1xx … 5xx.
    pub answers: [Counter; 6],
    /// Requests a rule denied.
    pub denied_requests: Counter,
    /// Answers a rule denied.
    pub denied_answers: Counter,
    /// Requests that were none, or came too late.
    pub bad_requests: Counter,
    /// Requests answered here.
    pub intercepted: Counter,
    /// Milliseconds servers took to answer, of all requests they did answer.
    pub response_time: AtomicU64,
    /// The longest of them.
    pub longest_response: AtomicU32,
}

impl Count {
    /// Milliseconds a server took to answer on average, and at most.
    pub(crate) fn response_times(&self) -> (u64, u32) {
        let answers = self.requests.get().max(1);
        (self.response_time.load(Relaxed) / answers, self.longest_response.load(Relaxed))
    }

    fn request(&self, second: u64) {
        self.requests.add();
        self.request_rate.count(second);
    }

    fn answer(&self, status: i32) {
        let class = match status {
            100..=599 => status / 100,
            _ => 0,
        };
        self.answers[usize::try_from(class).unwrap_or(0)].add();
    }
}

impl Session {
    /// A rule denied what the server answered: its proxies and the server count that.
    pub(crate) fn count_denied_answer(&self) {
        self.traffic().http.denied_answers.add();
        let Some(backend) = self.backend() else { return };
        let backend = &self.shared.backends[backend];
        backend.traffic.http.denied_answers.add();
        if let Some(server) = self.server() {
            backend.servers[server].traffic.http.denied_answers.add();
        }
    }

    /// The counters of its frontend.
    pub(crate) fn traffic(&self) -> &'static Traffic {
        &self.shared.frontends[self.frontend as usize].traffic
    }

    /// A request came.
    pub(super) fn count_request(&self) {
        self.traffic().http.request(unix_seconds());
        self.count_in_tables(Data::HttpReqCnt, Data::HttpReqRate);
    }

    /// One more of something for all that is tracked.
    fn count_in_tables(&self, count: Data, rate: Data) {
        if let Some(extra) = &self.extra {
            let counters = &extra.rules.record.counters;
            counters.count(count);
            counters.count(rate);
        }
    }

    /// An answer was given, by a server or here.
    pub(super) fn count_answer(&self, status: i32) {
        if status < 0 {
            return;
        }
        self.traffic().http.answer(status);
        let codes = &self.shared.config.process.global.codes;
        let code = u16::try_from(status).unwrap_or(0);
        if codes.errors.has(code) {
            self.count_in_tables(Data::HttpErrCnt, Data::HttpErrRate);
        }
        if codes.failures.has(code) {
            self.count_in_tables(Data::HttpFailCnt, Data::HttpFailRate);
        }
        let Some(backend) = self.backend().map(|at| &self.shared.backends[at]) else {
            self.traffic().http.intercepted.add();
            return;
        };
        let second = unix_seconds();
        backend.traffic.http.request(second);
        backend.traffic.http.answer(status);
        if let Some(server) = self.server() {
            let count = &backend.servers[server].traffic.http;
            count.request(second);
            count.answer(status);
        }
    }
}
