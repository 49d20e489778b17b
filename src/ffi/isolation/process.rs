//! Starting a worker process, being one, and passing messages with descriptors between them.
#![allow(
    unsafe_code,
    reason = "prctl, sendmsg and the like are C functions; a child is prepared between fork and exec"
)]

use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

/// Starts `command` as a worker of this thread: it is killed when the thread ends, is no part of the terminal's
/// foreground group, and inherits no descriptor but the standard three.
///
/// The kernel ties a child's life to the thread that started it, so that thread must outlive the worker.
pub(crate) fn spawn(command: &mut Command) -> io::Result<Child> {
    let parent = std::process::id();
    let prepare = move || {
        // SAFETY: takes numbers. The child dies with the thread that started it, however that ends.
        if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: no preconditions. The parent may have died before it could be tied to.
        if i64::from(unsafe { libc::getppid() }) != i64::from(parent) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        // Descriptors of C libraries in this program, which do not close themselves. Kernels before 5.11 do not know
        // the call; then the worker inherits them, as any child of the program would.
        // SAFETY: takes numbers; closing happens at exec, when nobody uses them any more.
        unsafe {
            libc::syscall(
                libc::SYS_close_range,
                3,
                u32::MAX,
                libc::CLOSE_RANGE_CLOEXEC,
            );
        }
        Ok(())
    };
    // SAFETY: the closure makes system calls and allocates nothing, so it may run between fork and exec.
    unsafe { command.pre_exec(prepare) };
    command.process_group(0).spawn()
}

/// The socket on descriptor 0, if there is one; `/dev/null` takes its place.
pub(crate) fn take_control_socket() -> Option<UnixStream> {
    let mut kind: c_int = 0;
    let mut len = size_of::<c_int>() as libc::socklen_t;
    let place: *mut c_void = (&raw mut kind).cast();
    // SAFETY: the place has room for the number, and its length says so.
    let status = unsafe {
        libc::getsockopt(
            libc::STDIN_FILENO,
            libc::SOL_SOCKET,
            libc::SO_DOMAIN,
            place,
            &raw mut len,
        )
    };
    if status < 0 || kind != libc::AF_UNIX {
        return None;
    }
    // SAFETY: descriptor 0 is open, as getsockopt found.
    let copy = unsafe { libc::fcntl(libc::STDIN_FILENO, libc::F_DUPFD_CLOEXEC, 3) };
    if copy < 0 {
        return None;
    }
    // SAFETY: the descriptor was just made and nobody else knows it.
    let socket = unsafe { UnixStream::from_raw_fd(copy) };
    let null = std::fs::File::open("/dev/null").ok()?;
    // SAFETY: both numbers are open descriptors; replacing 0 in one step leaves no moment without one.
    let status = unsafe { libc::dup2(null.as_raw_fd(), libc::STDIN_FILENO) };
    (status >= 0).then_some(socket)
}

/// Makes this process a good worker: signals for the application are not for it, and its death leaves no core file.
pub(crate) fn settle_as_worker() {
    for signal in [
        libc::SIGINT,
        libc::SIGTERM,
        libc::SIGHUP,
        libc::SIGQUIT,
        libc::SIGUSR1,
        libc::SIGUSR2,
        libc::SIGTSTP,
    ] {
        // SAFETY: SIG_IGN is a valid disposition of all of these. The application decides when the worker ends.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    // One byte, not none: with zero a core handler behind a pipe is started all the same (core(5)).
    let limit = libc::rlimit {
        rlim_cur: 1,
        rlim_max: 1,
    };
    // SAFETY: the limit is a valid place. A failure leaves core files on, nothing else.
    unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const limit) };
}

/// Waits until the other end of `socket` is closed.
pub(crate) fn wait_for_hang_up(socket: &UnixStream) {
    let mut entry = libc::pollfd {
        fd: socket.as_raw_fd(),
        events: libc::POLLRDHUP,
        revents: 0,
    };
    loop {
        // SAFETY: one entry, and the count says so.
        let count = unsafe { libc::poll(&raw mut entry, 1, -1) };
        let interrupted =
            count < 0 && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted;
        if !interrupted && count != 0 {
            return;
        }
    }
}

/// Ends the process at once: no destructors, which could wait for a device that is gone.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: no preconditions; never returns.
    unsafe { libc::_exit(code) }
}

/// Room for one descriptor beside a message. A union with the header for its alignment.
#[repr(C)]
union Ancillary {
    _header: libc::cmsghdr,
    bytes: [u8; 64],
}

/// Sends all of `bytes`, and `file` with the first of them. A closed socket is an error, never a signal.
pub(crate) fn send(
    socket: &UnixStream,
    mut bytes: &[u8],
    mut file: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    while !bytes.is_empty() {
        let mut part = libc::iovec {
            iov_base: bytes.as_ptr().cast_mut().cast(),
            iov_len: bytes.len(),
        };
        let mut ancillary = Ancillary { bytes: [0; 64] };
        let mut message = empty_message(&mut part);
        if let Some(file) = file {
            attach(&mut message, &mut ancillary, file);
        }
        // SAFETY: the message, its part and the ancillary bytes live until the call returns and have the lengths given.
        let sent =
            unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL) };
        match usize::try_from(sent) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(sent) => {
                bytes = bytes.get(sent..).unwrap_or_default();
                file = None;
            }
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
    Ok(())
}

/// Receives up to `bytes.len()` bytes, and a descriptor if one came with them. 0 bytes: the other end is closed.
pub(crate) fn receive(
    socket: &UnixStream,
    bytes: &mut [u8],
) -> io::Result<(usize, Option<OwnedFd>)> {
    let mut ancillary = Ancillary { bytes: [0; 64] };
    loop {
        let mut part = libc::iovec {
            iov_base: bytes.as_mut_ptr().cast(),
            iov_len: bytes.len(),
        };
        let mut message = empty_message(&mut part);
        message.msg_control = (&raw mut ancillary).cast();
        message.msg_controllen = size_of::<Ancillary>() as _;
        // SAFETY: the message, its part and the ancillary bytes live until the call returns and have the lengths given.
        let received =
            unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC) };
        match usize::try_from(received) {
            Ok(received) => return Ok((received, detach(&message))),
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
}

fn empty_message(part: &mut libc::iovec) -> libc::msghdr {
    // SAFETY: a message header of zeros is one without address, parts and ancillary bytes.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = part;
    message.msg_iovlen = 1;
    message
}

/// Puts one descriptor beside a message.
fn attach(message: &mut libc::msghdr, ancillary: &mut Ancillary, file: BorrowedFd<'_>) {
    let file = file.as_raw_fd();
    let payload = size_of::<RawFd>() as u32;
    message.msg_control = std::ptr::from_mut(ancillary).cast();
    // SAFETY: arithmetic on a number.
    message.msg_controllen = unsafe { libc::CMSG_SPACE(payload) } as _;
    // SAFETY: the message's ancillary bytes are set just above and longer than a header.
    let header = unsafe { libc::CMSG_FIRSTHDR(message) };
    // SAFETY: a header of zeros is a valid one; some C libraries have private padding in it.
    let mut filled: libc::cmsghdr = unsafe { std::mem::zeroed() };
    // SAFETY: arithmetic on a number.
    filled.cmsg_len = unsafe { libc::CMSG_LEN(payload) } as _;
    filled.cmsg_level = libc::SOL_SOCKET;
    filled.cmsg_type = libc::SCM_RIGHTS;
    // SAFETY: the header lies in the ancillary bytes, aligned by their type.
    unsafe { header.write(filled) };
    // SAFETY: as above.
    let data = unsafe { libc::CMSG_DATA(header) };
    // SAFETY: CMSG_SPACE left room for one descriptor behind the header; it need not be aligned.
    unsafe { data.cast::<RawFd>().write_unaligned(file) };
}

/// The descriptor beside a message that was received.
fn detach(message: &libc::msghdr) -> Option<OwnedFd> {
    // SAFETY: the kernel has filled the ancillary bytes and set their length.
    let header = unsafe { libc::CMSG_FIRSTHDR(message) };
    // SAFETY: null, or a header that the kernel wrote into bytes that are alive and aligned.
    let found = unsafe { header.as_ref() }?;
    if found.cmsg_level != libc::SOL_SOCKET || found.cmsg_type != libc::SCM_RIGHTS {
        return None;
    }
    // SAFETY: the header is valid, as above.
    let data = unsafe { libc::CMSG_DATA(header) };
    // SAFETY: SCM_RIGHTS carries at least one descriptor; it need not be aligned.
    let file = unsafe { data.cast::<RawFd>().read_unaligned() };
    // SAFETY: the kernel made the descriptor for this process with this message.
    Some(unsafe { OwnedFd::from_raw_fd(file) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::fd::AsFd;

    #[test]
    fn a_descriptor_travels_with_its_message() {
        let (here, there) = UnixStream::pair().expect("a socket");
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        send(&here, b"abc", Some(writer.as_fd())).expect("sent");
        drop(writer);
        let mut bytes = [0; 8];
        let (count, file) = receive(&there, &mut bytes).expect("received");
        assert_eq!(&bytes[..count], b"abc");
        let mut writer = std::fs::File::from(file.expect("a descriptor"));
        writer.write_all(b"through").expect("the pipe is open");
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("text");
        assert_eq!(text, "through");
    }

    #[test]
    fn a_closed_socket_is_an_error_and_an_end() {
        let (here, there) = UnixStream::pair().expect("a socket");
        drop(there);
        assert!(send(&here, b"abc", None).is_err());
        assert_eq!(receive(&here, &mut [0; 8]).expect("the end").0, 0);
        wait_for_hang_up(&here);
    }
}
