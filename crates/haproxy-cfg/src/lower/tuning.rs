//! `tune.rcvbuf.client` and its like reach every address and every server that says nothing itself.

use proxy::Config;
use proxy::config::{Outbound, SocketTuning};

/// Gives what the global section says of sockets to all of them.
pub(crate) fn spread(config: &mut Config) {
    let (client, server) = (config.process.tuning.client, config.process.tuning.server);
    if client != SocketTuning::default() {
        for bind in config.frontends.iter_mut().flat_map(|front| &mut front.binds) {
            bind.receive_buffer = bind.receive_buffer.or(client.receive);
            bind.send_buffer = bind.send_buffer.or(client.send);
            if client.unsent.is_some() {
                bind.inbound.get_or_insert_default().unsent = client.unsent;
            }
        }
    }
    if server != SocketTuning::default() {
        for backend in &mut config.backends {
            fill(backend.outbound.get_or_insert_default(), server);
            for line in backend.servers.iter_mut().filter(|line| line.source.is_some()) {
                fill(line.outbound.get_or_insert_default(), server);
            }
        }
    }
}

fn fill(outbound: &mut Outbound, server: SocketTuning) {
    let bytes = |bytes: Option<u32>| bytes.and_then(|bytes| usize::try_from(bytes).ok());
    outbound.receive_buffer = outbound.receive_buffer.or(bytes(server.receive));
    outbound.send_buffer = outbound.send_buffer.or(bytes(server.send));
    outbound.unsent = server.unsent;
}
