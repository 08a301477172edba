//! What few `global` sections say.

use std::time::Duration;

/// Parts of [`Process`](super::Process) that few files mention.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Global {
    /// `grace`: how long clients are still accepted after a process was told to end.
    pub grace: Option<Duration>,
    /// `harden.reject-privileged-ports.tcp on`: connections from ports below 1024 are closed at once.
    pub reject_privileged_ports: bool,
    /// `setcap`: capabilities that are kept when the user changes, by their names in Linux.
    pub capabilities: Vec<&'static str>,
    /// `dns-accept-family`: which addresses of names are used.
    pub families: Families,
    /// `http-err-codes` and `http-fail-codes`: which answers of HTTP count as what.
    pub codes: Codes,
    /// `anonkey`: what names are made unrecognisable with by default; 0 is none.
    pub anonymity: u32,
}

/// Families of addresses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Families {
    /// Those of IPv4.
    pub v4: bool,
    /// Those of IPv6.
    pub v6: bool,
}

impl Default for Families {
    /// Both.
    fn default() -> Self {
        Self { v4: true, v6: true }
    }
}

impl Families {
    /// Whether this address is of one of them.
    #[must_use]
    pub fn takes(self, ip: std::net::IpAddr) -> bool {
        if ip.is_ipv4() { self.v4 } else { self.v6 }
    }
}

/// Which answers count as whose fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Codes {
    /// Errors of the client: 400 to 499.
    pub errors: StatusCodes,
    /// Failures of the server: 500 to 599 without 501 and 505.
    pub failures: StatusCodes,
}

impl Default for Codes {
    fn default() -> Self {
        let (mut errors, mut failures) = (StatusCodes::NONE, StatusCodes::NONE);
        errors.set(400, 499, true);
        failures.set(500, 599, true);
        failures.set(501, 501, false);
        failures.set(505, 505, false);
        Self { errors, failures }
    }
}

/// A set of status codes from 100 to 599.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StatusCodes([u64; 8]);

impl StatusCodes {
    /// No code at all.
    pub const NONE: Self = Self([0; 8]);

    /// Whether a code is in it.
    #[must_use]
    pub fn has(&self, code: u16) -> bool {
        let at = usize::from(code.wrapping_sub(100));
        self.0.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
    }

    /// Adds or removes the codes from one to another, both included. Codes that do not exist are
    /// left out.
    pub fn set(&mut self, from: u16, to: u16, wanted: bool) {
        for code in from.max(100)..=to.min(599) {
            let at = usize::from(code - 100);
            let bit = 1 << (at % 64);
            if wanted {
                self.0[at / 64] |= bit;
            } else {
                self.0[at / 64] &= !bit;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_codes_has_what_was_added_and_not_what_was_removed() {
        let mut codes = Codes::default().errors;
        assert!(codes.has(400) && codes.has(499) && !codes.has(399) && !codes.has(500));
        codes.set(404, 404, false);
        codes.set(599, 700, true);
        assert!(!codes.has(404) && codes.has(405) && codes.has(599));
        assert!(!codes.has(99) && !codes.has(600) && !codes.has(u16::MAX));
        let failures = Codes::default().failures;
        assert!(failures.has(500) && !failures.has(501) && !failures.has(505) && failures.has(599));
    }
}
