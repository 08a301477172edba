//! How long an address may stay without its master's renewal.
//!
//! A master puts its addresses on their interfaces with a lifetime, and renews it with every advert.
//! If it dies, freezes or is cut off from the processor, the kernel takes the addresses away, and
//! does so before the fastest backup puts up its own:
//!
//! ```text
//! last advert     last renewal                      latest removal      a backup takes over
//!     |-- renewals ---|------------- lifetime -----------|.. late ..|       |
//!     |-------------------- down_timer_adverts × advert_int ----------------|- skew -|
//! ```

use core::time::Duration;

/// How late the kernel may take an address away: measured, 10 to 180 ms.
pub const KERNEL_LATE: Duration = Duration::from_millis(250);
/// How early it may: several addresses expire together, in steps of a quarter of a second.
pub const KERNEL_EARLY: Duration = Duration::from_millis(250);
/// From an advert to the renewal that goes with it, at most.
pub const RENEWAL_LAG: Duration = Duration::from_millis(50);
/// How late a master that is alive may be without losing its addresses.
pub const MASTER_LATE: Duration = Duration::from_millis(300);

/// A lifetime for the addresses of a master, and how it is kept up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lease {
    /// In whole seconds, at least 1: all the kernel knows.
    pub lifetime: Duration,
    /// From one renewal to the next, counted from the last advert; longer than the time between two
    /// adverts where not each of them needs one.
    pub every: Duration,
    /// How many renewals there are between two adverts, besides the one with each advert.
    pub between: u32,
    /// No renewal later than this after the last advert.
    pub latest: Duration,
}

/// The longest lease that ends before the fastest backup takes over, if there is one.
///
/// A backup waits `down_timer_adverts` × `advert_interval` after the last advert and a skew on top,
/// which is not counted on here. None if no whole second fits, or if a master 300 ms late would lose
/// its addresses: at the usual 3 adverts, that is below an interval of 0.434 s.
///
/// ```
/// use core::time::Duration;
///
/// let lease = vrrp::lease(Duration::from_secs(1), 3).expect("there is room");
/// assert_eq!(lease.lifetime, Duration::from_secs(2));
/// assert_eq!(lease.between, 0, "the renewal with each advert is enough");
/// assert_eq!(vrrp::lease(Duration::from_millis(100), 3), None);
/// ```
#[must_use]
pub fn lease(advert_interval: Duration, down_timer_adverts: u8) -> Option<Lease> {
    let down = advert_interval.saturating_mul(down_timer_adverts.into());
    let margin = KERNEL_LATE + RENEWAL_LAG;
    // Strictly shorter than what is left: a whole number of nanoseconds less.
    let room = down.checked_sub(margin)?.checked_sub(Duration::from_nanos(1))?;
    let lifetime = Duration::from_secs(room.as_secs());
    if lifetime.is_zero() {
        return None;
    }
    let latest = down - margin - lifetime;
    let slack = KERNEL_EARLY + MASTER_LATE;
    // How late after an advert the last renewal before the next one must be.
    let last = (advert_interval + slack).saturating_sub(lifetime);
    if last > latest {
        return None;
    }
    if last.is_zero() {
        return Some(Lease { lifetime, every: advert_interval, between: 0, latest });
    }
    let longest = lifetime - slack;
    let between = last.as_nanos().div_ceil(longest.as_nanos());
    let between = u32::try_from(between).ok()?;
    Some(Lease { lifetime, every: last / between, between, latest })
}

/// A lease of one second, for intervals at which none ends before a backup takes over.
///
/// It does not keep two routers from holding an address, but bounds for how long they do: a dead or
/// frozen master's addresses are gone [`KERNEL_LATE`] and a second after its last renewal, which is no
/// later than `advert_interval` after its last advert. Adverts that come faster than it has to be
/// renewed are not all accompanied by a renewal.
///
/// ```
/// use core::time::Duration;
///
/// let lease = vrrp::lease::shortest(Duration::from_millis(100));
/// assert_eq!((lease.lifetime, lease.between), (Duration::from_secs(1), 0));
/// assert_eq!(lease.every, Duration::from_millis(350), "with every fourth advert");
/// ```
#[must_use]
pub fn shortest(advert_interval: Duration) -> Lease {
    let lifetime = Duration::from_secs(1);
    let longest = lifetime - KERNEL_EARLY - MASTER_LATE;
    let latest = advert_interval;
    if advert_interval <= longest {
        let every = (longest - advert_interval).max(advert_interval);
        return Lease { lifetime, every, between: 0, latest };
    }
    let parts = advert_interval.as_nanos().div_ceil(longest.as_nanos());
    // 255 s, the longest interval there is, has fewer than a thousand.
    let parts = u32::try_from(parts).unwrap_or(u32::MAX);
    Lease { lifetime, every: advert_interval / parts, between: parts - 1, latest }
}

#[cfg(test)]
mod tests;
