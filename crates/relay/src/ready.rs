//! What a socket is ready for.

use std::ops::{BitAnd, BitOr, BitOrAssign};

use nix::sys::epoll::EpollFlags;

/// What a socket is ready for, or what one waits for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Ready(u8);

impl Ready {
    /// Nothing.
    pub const NOTHING: Self = Self(0);
    /// There may be bytes, or an end, to read.
    pub const READABLE: Self = Self(1 | 4);
    /// There may be room for bytes.
    pub const WRITABLE: Self = Self(2 | 8);
    /// The peer has ended, whether or not there is something left to read.
    pub const CLOSED: Self = Self(4);
    /// It broke.
    pub const ERROR: Self = Self(16);

    pub(crate) const READ: Self = Self(1);
    const WRITE: Self = Self(2);
    const READ_CLOSED: Self = Self(4);
    const WRITE_CLOSED: Self = Self(8);
    /// Urgent data is among what is to be read: a read stops there (tcp(7)).
    pub(crate) const URGENT: Self = Self(32);
    /// All was read that will ever come.
    pub(crate) const AT_END: Self = Self(64);

    pub(crate) fn from_epoll(events: EpollFlags) -> Self {
        let mut ready = Self::NOTHING;
        for (flag, means) in [
            (EpollFlags::EPOLLIN, Self::READ),
            (EpollFlags::EPOLLOUT, Self::WRITE),
            (EpollFlags::EPOLLRDHUP, Self::READABLE),
            (EpollFlags::EPOLLPRI, Self::URGENT),
            (EpollFlags::EPOLLHUP, Self::READABLE | Self::WRITABLE),
            (EpollFlags::EPOLLERR, Self::READABLE | Self::WRITABLE | Self::ERROR),
        ] {
            if events.contains(flag) {
                ready |= means;
            }
        }
        ready
    }

    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether there may be something to read.
    #[must_use]
    pub const fn is_readable(self) -> bool {
        self.has(Self::READABLE)
    }

    /// Whether the peer has ended: what is there is the last of it.
    #[must_use]
    pub const fn is_read_closed(self) -> bool {
        self.has(Self::READ_CLOSED)
    }

    /// Whether nothing can be sent any more.
    #[must_use]
    pub const fn is_write_closed(self) -> bool {
        self.has(Self::WRITE_CLOSED)
    }

    /// Whether it broke.
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.has(Self::ERROR)
    }
}

impl BitOr for Ready {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for Ready {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl BitOrAssign for Ready {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}
