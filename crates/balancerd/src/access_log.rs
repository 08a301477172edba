//! nginx's `access_log`: a line for each session.

use proxy::AccessTarget;

use crate::session::Session;

/// Writes the lines of a session that has ended.
pub(crate) fn write(session: &mut Session) {
    let Some(nginx) = session.config().nginx.as_deref() else { return };
    let shared = session.shared;
    let sinks = &shared.frontends[session.frontend as usize].access;
    for (log, sink) in nginx.access_logs.iter().zip(sinks) {
        if let Some(condition) = &log.condition {
            let value = session.text(condition);
            if value.is_empty() || value == b"0" {
                continue;
            }
        }
        let mut line = session.evaluate(|session, values| {
            shared.program.log(&log.format, log.escape, session, values)
        });
        match &log.target {
            AccessTarget::Syslog { .. } => {
                shared.log.send_access(sink, &line);
            }
            AccessTarget::File(_) => {
                line.push(b'\n');
                shared.log.append(sink, &line);
            }
            AccessTarget::Files { prefix, name, .. } => {
                line.push(b'\n');
                let name = session.text(name);
                let name = String::from_utf8_lossy(&name).into_owned();
                // An empty name, or one that climbs out by what a client sent, is none.
                if name.is_empty() || name.contains('\0') {
                    continue;
                }
                shared.log.append_to(sink, prefix.join(name), &line);
            }
        }
    }
}
