//! Answers of our own: pages, redirections, what rules say.

use std::sync::Arc;

use http::{Headers, Response, Version};
use rules::http::{Answer, Body};

use super::pages;

/// What is to be sent: a head, which rules may still change, and a body.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) head: Response,
    pub(super) body: Vec<u8>,
}

impl Own {
    /// A body of this type.
    pub(super) fn new(status: u16, kind: &str, body: Vec<u8>) -> Self {
        let mut own = Self::bare(status, body);
        own.head.headers.add("content-type", kind.as_bytes());
        own
    }

    fn bare(status: u16, body: Vec<u8>) -> Self {
        let mut head = Response::new(status);
        if status != 204 && status != 304 {
            head.headers.add("content-length", body.len().to_string().as_bytes());
        }
        Self { head, body }
    }

    /// The page of a status: the proxy's own if it has one.
    pub(super) fn page(status: u16, errors: &[(u16, Arc<[u8]>)]) -> Self {
        if let Some((_, message)) = errors.iter().find(|(known, _)| *known == status) {
            return Self::message(message);
        }
        let body = pages::body(status).unwrap_or_default();
        let mut own = Self::bare(status, body);
        if let Some((reason, _)) = pages::page(status) {
            reason.clone_into(&mut own.head.reason);
        }
        own.head.headers.add("cache-control", b"no-cache");
        own.head.headers.add("content-type", b"text/html");
        own
    }

    /// A whole message from a file; one that is none is empty.
    fn message(bytes: &[u8]) -> Self {
        match Response::parse(bytes) {
            Ok(Some((mut head, length))) => {
                let body = bytes[length..].to_vec();
                head.version = Version::Http11;
                for name in ["connection", "content-length", "transfer-encoding", "keep-alive"] {
                    head.headers.remove(name);
                }
                let mut headers = Headers::new();
                headers.add("content-length", body.len().to_string().as_bytes());
                for (name, value) in head.headers.iter() {
                    headers.add(name, value);
                }
                head.headers = headers;
                Self { head, body }
            }
            _ => Self::bare(500, Vec::new()),
        }
    }

    /// What rules say.
    pub(super) fn of(answer: Answer, errors: &[(u16, Arc<[u8]>)]) -> Self {
        let mut own = match answer.body {
            Body::Page => Self::page(answer.status, errors),
            Body::Bytes(body) => Self::bare(answer.status, body),
            Body::Message(message) => Self::message(&message),
        };
        for (name, value) in answer.headers.iter() {
            own.head.headers.add(name, value);
            if name == "location" && matches!(answer.status, 302 | 303 | 307) {
                own.head.headers.add("cache-control", b"no-cache");
            }
        }
        own
    }
}
