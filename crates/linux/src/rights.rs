//! Open files that go from one process to another over a UNIX socket (unix(7), `SCM_RIGHTS`).

#![allow(unsafe_code, reason = "a number that arrives is made an owned descriptor")]

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use nix::cmsg_space;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

/// How many go with one message: the kernel's SCM_MAX_FD.
pub const MOST: usize = 253;

/// Sends `bytes`, which are not empty, and with them at most [`MOST`] open files.
///
/// # Errors
///
/// Those of sendmsg(2); `WriteZero` if the socket took only some of the bytes.
pub fn send(socket: impl AsFd, bytes: &[u8], files: &[BorrowedFd<'_>]) -> io::Result<()> {
    let numbers: Vec<RawFd> = files.iter().map(BorrowedFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&numbers)];
    let rights = if files.is_empty() { &[][..] } else { &rights[..] };
    let socket = socket.as_fd().as_raw_fd();
    let sent = sendmsg::<()>(socket, &[IoSlice::new(bytes)], rights, MsgFlags::MSG_NOSIGNAL, None)?;
    if sent < bytes.len() {
        return Err(io::ErrorKind::WriteZero.into());
    }
    Ok(())
}

/// Receives what there is, at most a buffer full; the files that came with it are closed on exec.
/// No bytes: the other side has gone.
///
/// # Errors
///
/// Those of recvmsg(2); `InvalidData` if the system had no room for the files.
pub fn receive(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = cmsg_space!([RawFd; MOST]);
    let mut slices = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let socket = socket.as_fd().as_raw_fd();
    let message = recvmsg::<()>(socket, &mut slices, Some(&mut space), flags)?;
    // Those that did arrive are not told of then; they stay open.
    if message.flags.contains(MsgFlags::MSG_CTRUNC) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut files = Vec::new();
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(numbers) = part {
            // SAFETY: unix(7): receiving SCM_RIGHTS installs new descriptors in this process, which
            // nobody else knows of; each is taken once.
            files.extend(numbers.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
        }
    }
    Ok((message.bytes, files))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Seek as _, Write as _};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn files_arrive_in_order_with_the_bytes_they_were_sent_with() {
        let (here, there) = UnixStream::pair().unwrap();
        let files: Vec<_> = ["one", "two"]
            .map(|text| crate::file::memory_file("t", text.as_bytes()).unwrap())
            .into();
        let borrowed: Vec<_> = files.iter().map(AsFd::as_fd).collect();
        send(&here, b"head", &borrowed).unwrap();
        drop(files);
        let mut buffer = [0; 16];
        let (length, files) = receive(&there, &mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"head");
        let texts: Vec<_> = files
            .into_iter()
            .map(|fd| {
                let (mut file, mut text) = (std::fs::File::from(fd), String::new());
                file.rewind().unwrap();
                file.read_to_string(&mut text).unwrap();
                text
            })
            .collect();
        assert_eq!(texts, ["one", "two"]);
    }

    #[test]
    fn bytes_may_come_alone_and_the_end_is_no_bytes() {
        let (mut here, there) = UnixStream::pair().unwrap();
        here.write_all(b"x").unwrap();
        let mut buffer = [0; 4];
        assert!(matches!(receive(&there, &mut buffer), Ok((1, files)) if files.is_empty()));
        drop(here);
        assert!(matches!(receive(&there, &mut buffer), Ok((0, files)) if files.is_empty()));
        assert!(send(&there, b"x", &[]).is_err());
    }

    #[test]
    fn as_many_files_as_the_kernel_takes_go_at_once() {
        let (here, there) = UnixStream::pair().unwrap();
        let many = vec![here.as_fd(); MOST];
        send(&here, b"x", &many).unwrap();
        assert_eq!(receive(&there, &mut [0]).unwrap().1.len(), MOST);
        assert!(send(&here, b"x", &vec![here.as_fd(); MOST + 1]).is_err());
    }
}
