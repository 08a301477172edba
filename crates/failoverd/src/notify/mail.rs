//! Mail about transitions, as keepalived words it.

use linux::clock::LocalTime;
use vrrp::config::MailConfig;

use super::{Kind, Notice, Told};

/// What a relay is told, and for whom (RFC 5321 §3.3).
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Mail {
    /// The relay, a name or an address.
    pub(super) server: String,
    pub(super) port: u16,
    pub(super) timeout: std::time::Duration,
    pub(super) helo: String,
    pub(super) from: String,
    pub(super) to: Vec<String>,
    /// Header and body, lines ended by CRLF, without the dot at the end.
    pub(super) text: String,
}

/// Mail about `notice`, if somebody wants any.
pub(super) fn about(
    notice: &Notice<'_>,
    config: &MailConfig,
    router: &str,
    (user, host): (&str, &str),
    date: LocalTime,
) -> Option<Mail> {
    let server = config.server.clone()?;
    if config.recipients.is_empty() || (config.no_faults && notice.told == Told::Fault) {
        return None;
    }
    let (what, body) = words(notice)?;
    let from = config.from.clone().unwrap_or_else(|| format!("{user}@{host}"));
    let kind = match notice.kind {
        Kind::Instance => "Instance",
        Kind::Group => "Group",
    };
    let text = format!(
        "Date: {}\r\nFrom: {}\r\nSubject: [{}] VRRP {kind} {} - {what}\r\n\
         X-Mailer: Keepalived\r\nTo: {}\r\n\r\n{body}\r\n\r\n",
        date.rfc5322(),
        one_line(&from),
        one_line(router),
        one_line(notice.name),
        one_line(&config.recipients.join(", ")),
    );
    Some(Mail {
        server,
        port: config.port,
        timeout: config.timeout,
        helo: one_line(config.helo_name.as_deref().unwrap_or(host)),
        from: address(&from),
        to: config.recipients.iter().map(|recipient| address(recipient)).collect(),
        text,
    })
}

/// What the subject and the body say.
fn words(notice: &Notice<'_>) -> Option<(&'static str, &'static str)> {
    const GONE: &str = "=> VRRP Instance is no longer owning VRRP VIPs <=";
    Some(match (notice.kind, notice.told) {
        (Kind::Instance, Told::Master) => {
            ("Entering MASTER state", "=> VRRP Instance is now owning VRRP VIPs <=")
        }
        (Kind::Instance, Told::Backup) => ("Entering BACKUP state", GONE),
        (Kind::Instance, Told::Fault) => ("Entering FAULT state", GONE),
        (Kind::Instance, Told::Stop) => ("Stopping", "=> VRRP Instance stopping <="),
        (Kind::Instance, Told::Deleted) => ("Deleted", "=> VRRP Deleted at reload <="),
        (Kind::Group, Told::Master) => {
            ("Entering MASTER state", "=> All VRRP group instances are now in MASTER state <=")
        }
        (Kind::Group, Told::Backup) => {
            ("Entering BACKUP state", "=> All VRRP group instances are now in BACKUP state <=")
        }
        (Kind::Group, Told::Fault) => {
            ("Entering FAULT state", "=> All VRRP group instances are now in FAULT state <=")
        }
        (Kind::Group, Told::Stop) => {
            ("Stopping", "=> All VRRP group instances are now stopping <=")
        }
        (Kind::Group, Told::Deleted)
        | (_, Told::HeardLowerPriority | Told::MasterPriority | Told::BackupPriority) => {
            return None;
        }
    })
}

/// What stands between angle brackets, if anything does, as in `Joe <joe@example.com>`. keepalived
/// takes the whole, which no relay understands.
fn address(text: &str) -> String {
    let inside = text.rsplit_once('<').and_then(|(_, rest)| rest.split_once('>'));
    one_line(inside.map_or(text, |(address, _)| address))
}

/// Names come from a configuration, and cannot end a line of the conversation.
fn one_line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use vrrp::config::NotifyConfig;

    use super::*;

    const DATE: LocalTime = LocalTime {
        year: 2026,
        month: 11,
        day: 21,
        weekday: 6,
        hour: 14,
        minute: 2,
        second: 33,
        micros: 0,
        offset: 0,
    };

    fn config() -> MailConfig {
        MailConfig {
            recipients: vec!["a@b.c".into(), "Joe D <d@e.f>".into()],
            from: Some("x@y.z".into()),
            server: Some("127.0.0.1".into()),
            port: 2525,
            timeout: Duration::from_secs(3),
            helo_name: Some("helo.name".into()),
            no_faults: false,
        }
    }

    fn notice(config: &NotifyConfig, kind: Kind, told: Told) -> Notice<'_> {
        Notice { kind, name: "VI_1", told, priority: 150, config }
    }

    #[test]
    fn a_mail_is_keepalived_s_byte_for_byte() {
        let none = NotifyConfig::default();
        let about_it = notice(&none, Kind::Instance, Told::Backup);
        let mail = about(&about_it, &config(), "R_ID", ("root", "host"), DATE).expect("wanted");
        assert_eq!(
            mail.text,
            "Date: Sat, 21 Nov 2026 14:02:33 +0000\r\nFrom: x@y.z\r\n\
             Subject: [R_ID] VRRP Instance VI_1 - Entering BACKUP state\r\n\
             X-Mailer: Keepalived\r\nTo: a@b.c, Joe D <d@e.f>\r\n\r\n\
             => VRRP Instance is no longer owning VRRP VIPs <=\r\n\r\n"
        );
        assert_eq!(mail.from, "x@y.z");
        assert_eq!(mail.to, ["a@b.c", "d@e.f"]);
        assert_eq!(mail.helo, "helo.name");
    }

    #[test]
    fn each_state_has_its_words() {
        let none = NotifyConfig::default();
        let subject = |kind, told| {
            let mail = about(&notice(&none, kind, told), &config(), "R", ("u", "h"), DATE)?;
            let line = mail.text.lines().find(|line| line.starts_with("Subject: "))?.to_owned();
            Some((line, mail.text.trim_end().lines().last()?.to_owned()))
        };
        let pair = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        assert_eq!(
            subject(Kind::Group, Told::Stop),
            pair(
                "Subject: [R] VRRP Group VI_1 - Stopping",
                "=> All VRRP group instances are now stopping <="
            )
        );
        assert_eq!(
            subject(Kind::Instance, Told::Deleted),
            pair("Subject: [R] VRRP Instance VI_1 - Deleted", "=> VRRP Deleted at reload <=")
        );
        assert_eq!(subject(Kind::Instance, Told::MasterPriority), None);
    }

    #[test]
    fn nobody_gets_mail_who_wants_none() {
        let none = NotifyConfig::default();
        let fault = notice(&none, Kind::Instance, Told::Fault);
        let ask = |config: &MailConfig| about(&fault, config, "R", ("u", "h"), DATE).is_some();
        assert!(ask(&config()));
        assert!(!ask(&MailConfig { no_faults: true, ..config() }));
        assert!(!ask(&MailConfig { server: None, ..config() }));
        assert!(!ask(&MailConfig { recipients: Vec::new(), ..config() }));
    }

    #[test]
    fn no_name_can_add_a_line() {
        let none = NotifyConfig::default();
        let evil = Notice { name: "x\r\nBcc: all@b.c", ..notice(&none, Kind::Group, Told::Stop) };
        let mail = about(&evil, &config(), "R\r\n.\r\n", ("u", "h"), DATE).expect("wanted");
        assert!(mail.text.contains("Subject: [R.] VRRP Group xBcc: all@b.c - Stopping\r\n"));
    }
}
