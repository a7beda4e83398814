//! Sockets between two processes of this program, over which open files go besides bytes.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};

/// Files that one call sends at most.
pub const FILES: usize = 32;

/// Sends some of the bytes, and with the first of them all of `files`, of which there may be [`FILES`]. Says how many bytes.
///
/// # Errors
/// What the operating system says; then no file was sent. [`is_no_socket`] where what was given is a pipe.
pub fn send_files(socket: &impl AsFd, parts: &[IoSlice<'_>], files: &[&File]) -> io::Result<usize> {
    let files: smallvec::SmallVec<[BorrowedFd<'_>; 4]> = files.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !files.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&files)) {
        return Err(io::Error::other("too many files at once"));
    }
    Ok(sendmsg(socket, parts, &mut control, SendFlags::NOSIGNAL)?)
}

/// Reads what has come, and appends the files that came with it. From a pipe no files come.
///
/// # Errors
/// What the operating system says.
pub fn receive_files(socket: &impl AsFd, into: &mut [u8], files: &mut VecDeque<File>) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    #[cfg(target_os = "linux")]
    let flags = RecvFlags::CMSG_CLOEXEC;
    #[cfg(not(target_os = "linux"))]
    let flags = RecvFlags::empty();
    let mut parts = [IoSliceMut::new(into)];
    match recvmsg(socket, &mut parts, &mut control, flags) {
        Ok(message) => {
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(sent) = message {
                    files.extend(sent.map(File::from));
                }
            }
            Ok(message.bytes)
        }
        Err(Errno::NOTSOCK) => Ok(rustix::io::read(socket, into)?),
        Err(error) => Err(error.into()),
    }
}

/// Whether an error says that what was given is no socket.
#[must_use]
pub fn is_no_socket(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::NOTSOCK.raw_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Seek as _, Write as _};
    use std::os::unix::net::UnixStream;

    fn file(text: &str) -> File {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(text.as_bytes()).expect("room");
        file.rewind().expect("a place");
        file
    }

    #[test]
    fn files_come_with_the_bytes_that_they_were_sent_with() {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        let (first, second) = (file("first"), file("second"));
        for (text, sent) in [("a", &[][..]), ("bc", &[&first, &second]), ("d", &[&first])] {
            let sent = send_files(&ours, &[IoSlice::new(text.as_bytes())], sent).expect("sent");
            assert_eq!(sent, text.len());
        }
        drop(ours);
        let (mut files, mut seen) = (VecDeque::new(), Vec::new());
        let mut into = [0; 1];
        while receive_files(&theirs, &mut into, &mut files).expect("bytes") > 0 {
            seen.push((into[0], files.len()));
        }
        assert_eq!(seen, [(b'a', 0), (b'b', 2), (b'c', 2), (b'd', 3)]);
        let mut text = String::new();
        files[1].read_to_string(&mut text).expect("text");
        assert_eq!(text, "second");
    }

    #[test]
    fn a_pipe_gives_bytes_alone() {
        let (from, mut to) = io::pipe().expect("a pipe");
        to.write_all(b"abc").expect("room");
        let mut into = [0; 9];
        assert_eq!(receive_files(&from, &mut into, &mut VecDeque::new()).expect("bytes"), 3);
        let error = send_files(&to, &[IoSlice::new(b"x")], &[]).expect_err("a pipe");
        assert!(is_no_socket(&error));
    }
}
