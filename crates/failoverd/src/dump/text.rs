//! Values as keepalived writes them, in its dumps and its JSON alike.

use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, UNIX_EPOCH};

use linux::clock::LocalTime;
use vrrp::State;
use vrrp::config::{Broadcast, Command, Prefix, VirtualAddress};

/// `1795269578.067723 (Sat Nov 21 13:59:38.067723 2026)`
pub(crate) fn moment(since_1970: Duration) -> String {
    let (seconds, micros) = (since_1970.as_secs(), since_1970.subsec_micros());
    let shown = LocalTime::from(UNIX_EPOCH + since_1970).c_locale().to_string();
    let (time, year) = shown.rsplit_once(' ').unwrap_or((&shown, ""));
    format!("{seconds}.{micros:06} ({time}.{micros:06} {year})")
}

/// As printf's `%g` writes seconds.
pub(crate) fn general(seconds: f64) -> String {
    let text = format!("{seconds:.6}");
    // Six significant digits.
    let digits = text.find('.').unwrap_or(text.len());
    let places = 6_usize.saturating_sub(digits.max(1));
    let text = format!("{seconds:.places$}");
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

pub(crate) const fn yes(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

pub(crate) const fn on_off(value: Option<bool>) -> &'static str {
    match value {
        None => "unset",
        Some(true) => "on",
        Some(false) => "off",
    }
}

pub(crate) const fn enabled(value: bool) -> &'static str {
    if value { "enabled" } else { "disabled" }
}

pub(crate) const fn state(state: State) -> &'static str {
    state.name()
}

/// `'/bin/x' 'a b'`
pub(crate) fn words(words: &[String]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    quoted.join(" ")
}

/// Without the length of a prefix that is all of it.
pub(crate) fn prefix(prefix: &Prefix) -> String {
    let whole = if prefix.address.is_ipv4() { 32 } else { 128 };
    if prefix.len == whole {
        prefix.address.to_string()
    } else {
        format!("{}/{}", prefix.address, prefix.len)
    }
}

/// `IFA_F_…` of an address (linux/if_addr.h), as keepalived names them, in its order.
const FLAGS: [(u32, &str); 4] =
    [(0x10, "home"), (0x100, "mngtmpaddr"), (0x200, "noprefixroute"), (0x400, "autojoin")];

/// What an address is shown by.
pub(crate) struct Shown<'a> {
    pub(crate) address: &'a VirtualAddress,
    /// The interface it is on.
    pub(crate) interface: String,
    pub(crate) set: bool,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address: of, interface, set } = self;
        let own = Prefix { address: of.address, len: of.prefix_len };
        f.write_str(&prefix(&own))?;
        if let Some(peer) = &of.peer {
            write!(f, " peer {}", prefix(peer))?;
        }
        if let (IpAddr::V4(ip), Some(broadcast)) = (of.address, of.broadcast) {
            let bits = u32::MAX.checked_shr(of.prefix_len.into()).unwrap_or(0);
            let broadcast = match broadcast {
                Broadcast::Address(broadcast) => broadcast,
                Broadcast::HostBitsSet => Ipv4Addr::from_bits(ip.to_bits() | bits),
                Broadcast::HostBitsClear => Ipv4Addr::from_bits(ip.to_bits() & !bits),
            };
            write!(f, " brd {broadcast}")?;
        }
        write!(f, " dev {interface} scope {}", scope(of.scope.unwrap_or(0)))?;
        if let Some(label) = &of.label {
            write!(f, " label {label}")?;
        }
        let ipv6 = of.address.is_ipv6();
        if ipv6 && of.detect_duplicates {
            f.write_str(" -nodad")?;
        }
        for (flag, name) in FLAGS {
            if of.flags & flag != 0 {
                write!(f, " {name}")?;
            }
        }
        match of.preferred {
            _ if !ipv6 => {}
            Some(0) => f.write_str(" deprecated")?,
            Some(seconds) => write!(f, " preferred_lft {seconds}")?,
            None => f.write_str(" preferred_lft forever")?,
        }
        if of.no_track {
            f.write_str(" no_track")?;
        }
        if let Some(group) = &of.track_group {
            write!(f, " track_group {group}")?;
        }
        if *set { f.write_str(" set") } else { Ok(()) }
    }
}

/// Names of the scopes that have one everywhere.
pub(crate) fn scope(number: u8) -> String {
    let name = match number {
        0 => "global",
        200 => "site",
        253 => "link",
        254 => "host",
        255 => "nowhere",
        other => return other.to_string(),
    };
    name.to_owned()
}

/// The address of the kind the other is, that means none.
pub(crate) const fn unspecified(ipv4: bool) -> IpAddr {
    if ipv4 { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) }
}

/// Who runs `command`, as numbers: as its user says, else the configuration's script user, else
/// ourselves. It may ask the user database, and is for a thread that can wait.
pub(crate) fn owner(command: &Command, globals: &vrrp::config::Globals) -> (u32, u32) {
    identity(command.user.as_deref(), command.group.as_deref(), globals)
}

/// See [`owner`].
pub(crate) fn identity(
    user: Option<&str>,
    group: Option<&str>,
    globals: &vrrp::config::Globals,
) -> (u32, u32) {
    let (user, group) = match (user, &globals.script_user) {
        (Some(user), _) => (user, group),
        (None, Some(user)) => (user.as_str(), globals.script_group.as_deref()),
        (None, None) => ("keepalived_script", None),
    };
    let found = linux::user::Identity::of(user, group).ok().flatten();
    let identity = found.unwrap_or_else(linux::user::Identity::current);
    (identity.uid, identity.gid)
}

/// A line of a dump.
pub(crate) fn put(out: &mut String, line: fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{line}");
}

/// Appends a formatted line.
macro_rules! line {
    ($out:expr, $($what:tt)*) => { $crate::dump::text::put($out, format_args!($($what)*)) };
}
pub(crate) use line;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_look_as_printf_writes_them() {
        let cases = [
            (0.5, "0.5"),
            (5.0, "5"),
            (0.001, "0.001"),
            (1000.0, "1000"),
            (2.25, "2.25"),
            (0.0, "0"),
            (0.01, "0.01"),
        ];
        for (number, text) in cases {
            assert_eq!(general(number), text);
        }
    }

    #[test]
    fn addresses_look_as_keepalived_2_2_7_writes_them() {
        let shown = |address: VirtualAddress, set| {
            Shown { address: &address, interface: "eth0".into(), set }.to_string()
        };
        let of = |text: &str| VirtualAddress::host(text.parse().expect("an address"));
        let plain = of("192.168.200.60");
        assert_eq!(shown(plain, true), "192.168.200.60 dev eth0 scope global set");
        let broadcast = VirtualAddress {
            prefix_len: 24,
            broadcast: Some(Broadcast::HostBitsClear),
            no_track: true,
            scope: Some(253),
            label: Some("eth0:1".into()),
            ..of("192.168.200.12")
        };
        assert_eq!(
            shown(broadcast, false),
            "192.168.200.12/24 brd 192.168.200.0 dev eth0 scope link label eth0:1 no_track"
        );
        assert_eq!(
            shown(of("2001:db8::1"), true),
            "2001:db8::1 dev eth0 scope global deprecated set"
        );
        let flags =
            VirtualAddress { prefix_len: 64, flags: 0x300, preferred: None, ..of("2001:db8::6") };
        assert_eq!(
            shown(flags, false),
            "2001:db8::6/64 dev eth0 scope global mngtmpaddr noprefixroute preferred_lft forever"
        );
    }
}
