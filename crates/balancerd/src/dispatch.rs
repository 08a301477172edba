//! Connections that go past the servers of their backend, and those whose server their own first
//! bytes name.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use balance::{Again, Retries, ServerId, State};
use proxy::{Backend, Cause, Elsewhere, Phase, Termination};
use relay::{Stream, Target};

use crate::backend::{Attempt, Connecting, Slot, Towards};
use crate::outbound::Ways;
use crate::state::BackendState;

impl Connecting {
    /// `dispatch` and `option transparent`: tried again as a server would be.
    pub(crate) async fn dispatch(
        &mut self,
        backend: &'static Backend,
        elsewhere: &'static Elsewhere,
        index: u32,
    ) -> Result<(Stream, Slot), Termination> {
        let target = match elsewhere {
            Elsewhere::Address(address) => Target::Inet(*address),
            Elsewhere::Unix(path) => Target::Unix(path.clone()),
            // The client's own destination takes the place of an address without one.
            Elsewhere::Original => Target::Inet((Ipv4Addr::UNSPECIFIED, 0).into()),
        };
        if self.session.queue_time < 0 {
            self.session.queue_time = self.session.age();
        }
        let traffic = &self.session.shared.backends[index as usize].traffic;
        let how = Towards {
            server: usize::MAX,
            target: &target,
            source: self.session.local_address(backend),
            ways: Ways::of_backend(backend),
            header: None,
        };
        let mut retries = Retries::new(backend.retries, None, backend.connect_timeout);
        loop {
            let timed_out = match self.attempt(backend, how).await {
                Ok(stream) => {
                    let shared = self.session.shared;
                    return Ok((stream, Slot::elsewhere(shared, index)));
                }
                Err(Attempt::Over(termination)) => {
                    traffic.connect_errors.fetch_add(1, Relaxed);
                    return Err(termination);
                }
                Err(Attempt::Failed { timed_out }) => timed_out,
            };
            let pause = match retries.failed(timed_out, false) {
                Again::GiveUp => {
                    traffic.connect_errors.fetch_add(1, Relaxed);
                    let cause = if timed_out { Cause::ServerTimeout } else { Cause::Server };
                    return Err(Termination::new(cause, Phase::Connect));
                }
                Again::Same(pause) | Again::Other(pause) => pause,
            };
            self.session.retries = self.session.retries.saturating_add(1);
            traffic.retries.fetch_add(1, Relaxed);
            self.pause(pause.max(Duration::ZERO)).await?;
        }
    }

    /// `persist rdp-cookie`: the server a client's cookie names, if it may be used.
    pub(crate) fn rdp_server(
        &mut self,
        backend: &'static Backend,
        state: &BackendState,
    ) -> Option<ServerId> {
        let expr = backend.rdp_cookie.as_ref()?;
        let wanted = address(&self.hash_key(expr))?;
        let at = (0..backend.servers.len()).find(
            |at| matches!(state.servers[*at].target(), Target::Inet(address) if address == wanted),
        )?;
        let server = ServerId(at);
        let insists = backend.rules.as_ref().is_some_and(|rules| rules.stick.persist);
        let down = state.balancer.look(|pool| pool.server(server).state == State::Down);
        (!down || insists).then_some(server)
    }
}

/// The address in a cookie of a terminal server: `3640205228.15629.0000`, where both numbers are
/// those of the wire, read the other way round (`tcp_persist_rdp_cookie` of HAProxy).
fn address(cookie: &[u8]) -> Option<SocketAddr> {
    let text = std::str::from_utf8(cookie).ok()?;
    let mut parts = text.splitn(3, '.');
    let ip: u32 = parts.next()?.parse().ok()?;
    let port: u16 = parts.next()?.parse().ok()?;
    parts.next()?;
    Some((Ipv4Addr::from(ip.swap_bytes()), port.swap_bytes()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_of_a_terminal_server_names_an_address_and_a_port() {
        // The example of HAProxy's manual for `persist rdp-cookie`, worked out by hand.
        let found = address(b"3640205228.15629.0000");
        assert_eq!(found, Some("172.31.249.216:3389".parse().expect("an address")));
        for broken in ["", "1", "1.2", "x.1.0000", "4294967296.1.0", "1.65536.0"] {
            assert_eq!(address(broken.as_bytes()), None, "{broken}");
        }
    }
}
