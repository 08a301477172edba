//! The parts of a request's target: origin, absolute, authority and asterisk form (RFC 9112 §3.2).

use crate::Request;

impl Request {
    /// Where the path begins in the target; `None` for `*` and what CONNECT names.
    fn path_at(&self) -> Option<usize> {
        if self.target.starts_with(b"/") {
            return Some(0);
        }
        let scheme = self.target.windows(3).position(|part| part == b"://")?;
        let behind = scheme + 3;
        let path = self.target[behind..].iter().position(|byte| matches!(byte, b'/' | b'?'));
        Some(path.map_or(self.target.len(), |at| behind + at))
    }

    /// Path and query.
    pub fn path_and_query(&self) -> Option<&[u8]> {
        let at = self.path_at()?;
        let found = &self.target[at..];
        let end = found.iter().position(|byte| *byte == b'#').unwrap_or(found.len());
        Some(&found[..end])
    }

    /// The path: what stands before `?`.
    pub fn path(&self) -> Option<&[u8]> {
        let all = self.path_and_query()?;
        Some(&all[..all.iter().position(|byte| *byte == b'?').unwrap_or(all.len())])
    }

    /// What stands behind `?`; empty if there is none.
    pub fn query(&self) -> &[u8] {
        let all = self.path_and_query().unwrap_or_default();
        all.iter().position(|byte| *byte == b'?').map_or(&[], |at| &all[at + 1..])
    }

    /// Scheme and authority of an absolute target, and the authority alone.
    pub fn authority(&self) -> Option<&[u8]> {
        if self.method == "CONNECT" {
            return Some(&self.target);
        }
        if self.target.starts_with(b"/") {
            return None;
        }
        let scheme = self.target.windows(3).position(|part| part == b"://")?;
        Some(&self.target[scheme + 3..self.path_at()?])
    }

    /// The host the request is for: that of the target, else of its `host` field.
    pub fn host(&self) -> Option<&[u8]> {
        self.authority().or_else(|| self.headers.get("host"))
    }

    /// Replaces the path; the query stays.
    pub fn set_path(&mut self, path: &[u8]) {
        let query = self.query_with_mark();
        self.set_path_and_query(&[path, &query].concat());
    }

    /// Replaces what stands behind `?`; a leading `?` of `query` is not needed. Nothing removes it.
    pub fn set_query(&mut self, query: &[u8]) {
        let Some(path) = self.path().map(<[u8]>::to_vec) else { return };
        let query = query.strip_prefix(b"?").unwrap_or(query);
        let mark: &[u8] = if query.is_empty() { b"" } else { b"?" };
        self.set_path_and_query(&[&path, mark, query].concat());
    }

    /// Replaces path and query.
    pub fn set_path_and_query(&mut self, new: &[u8]) {
        let Some(at) = self.path_at() else { return };
        self.target.truncate(at);
        self.target.extend(new.iter().filter(|byte| byte.is_ascii_graphic() || **byte >= 0x80));
    }

    /// Replaces the target.
    pub fn set_uri(&mut self, uri: &[u8]) {
        let good = |byte: &&u8| byte.is_ascii_graphic() || **byte >= 0x80;
        self.target = uri.iter().filter(good).copied().collect();
    }

    fn query_with_mark(&self) -> Vec<u8> {
        let all = self.path_and_query().unwrap_or_default();
        all.iter().position(|byte| *byte == b'?').map_or(Vec::new(), |at| all[at..].to_vec())
    }
}
