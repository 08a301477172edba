//! `close_range(2)`: many descriptors in few calls.

#![allow(unsafe_code, reason = "close_range(2) takes descriptors by number")]

use std::os::fd::{AsRawFd as _, IntoRawFd as _, OwnedFd};

/// Closes descriptors, those with neighbouring numbers in one system call, and leaves the list
/// empty. A kernel before 5.9 or a filter that does not know the call gets a close(2) for each.
pub fn all(descriptors: &mut Vec<OwnedFd>) {
    if descriptors.len() > 1 {
        descriptors.sort_unstable_by_key(|fd| fd.as_raw_fd());
    }
    let mut left = descriptors.drain(..).peekable();
    while let Some(first) = left.next() {
        let mut run = 1;
        let mut last = None;
        while let Some(next) = left.next_if(|next| next.as_raw_fd() == first.as_raw_fd() + run) {
            run += 1;
            if let Some(middle) = last.replace(next) {
                // Closed with the others.
                let _: i32 = middle.into_raw_fd();
            }
        }
        if let Some(last) = last {
            range(first, last);
        }
    }
}

/// Closes two descriptors and all between, which nobody else owns.
fn range(first: OwnedFd, last: OwnedFd) {
    let (first, last) = (first.into_raw_fd(), last.into_raw_fd());
    // SAFETY: close_range(2) reads and writes no memory. All descriptors from `first` to `last` were
    // owned by the caller's list and have been taken out of their `OwnedFd`s: nobody uses them.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    if done != 0 {
        for fd in first..=last {
            // SAFETY: as above; the call before this closed none.
            unsafe { libc::close(fd) };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

    use super::all;

    #[test]
    fn neighbours_and_strangers_are_closed_and_those_between_stay_open() {
        // Numbers far above those that other tests get meanwhile.
        let high = |number: i32| -> OwnedFd {
            let file = File::open("/dev/null").expect("a device");
            let copy = nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_DUPFD_CLOEXEC(number));
            let copy = copy.expect("a number is free");
            assert_eq!(copy, number);
            // SAFETY: fcntl(2) has just made it, so nothing else owns it.
            unsafe { OwnedFd::from_raw_fd(copy) }
        };
        let mut list: Vec<OwnedFd> = [705, 701, 703, 700, 702, 709].map(&high).into();
        let between = high(704);
        all(&mut list);
        assert!(list.is_empty());
        for number in [700, 701, 702, 703, 705, 709] {
            assert!(!std::path::Path::new(&format!("/proc/self/fd/{number}")).exists());
        }
        assert!(std::path::Path::new(&format!("/proc/self/fd/{}", between.as_raw_fd())).exists());
        all(&mut list);
    }
}
