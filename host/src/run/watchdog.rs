//! Signs of life of a command: `WATCHDOG=1` at the socket that `NOTIFY_SOCKET` names, as `sd_notify` sends it.
//!
//! Who sent a datagram is what the kernel says of it: only processes below the runner count, so that nobody else can
//! keep a stuck command alive. The socket has a name that cannot be guessed and no file that could be left behind.

use ring::rand::{SecureRandom, SystemRandom};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, RawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use super::children::parent_of;
use super::limits::{BEAT_MAX, BEATS_AT_ONCE};

/// How far up the parents of a sender are followed.
const ANCESTORS_MAX: usize = 64;

/// Where a command's signs of life arrive.
#[derive(Debug)]
pub struct Watchdog {
    socket: UnixDatagram,
    name: String,
}

impl Watchdog {
    /// Listens under a new name.
    pub fn listen() -> io::Result<Watchdog> {
        let mut drawn = [0_u8; 16];
        SystemRandom::new().fill(&mut drawn).expect("the operating system has random bytes");
        let name = format!("nitro-elect/watchdog/{}", nitro_elect_protocol::hash::to_hex(&drawn));
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
        socket.set_nonblocking(true)?;
        let on: libc::c_int = 1;
        let length = libc::socklen_t::try_from(size_of_val(&on)).unwrap_or(4);
        let fd = socket.as_raw_fd();
        // SAFETY: the pointer and the length are those of a live integer.
        let set = unsafe {
            libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_PASSCRED, (&raw const on).cast(), length)
        };
        if set == 0 { Ok(Watchdog { socket, name }) } else { Err(io::Error::last_os_error()) }
    }

    /// What `NOTIFY_SOCKET` says.
    pub fn address(&self) -> String {
        format!("@{}", self.name)
    }

    /// Whether a process below this one gave a sign of life since last asked.
    pub fn beat(&self) -> bool {
        (0..BEATS_AT_ONCE).map_while(|_| self.receive().ok()).fold(false, |beat, one| beat | one)
    }

    /// Takes one datagram; whether it is a sign of life.
    fn receive(&self) -> io::Result<bool> {
        let mut bytes = [0_u8; BEAT_MAX];
        let mut control = MaybeUninit::<[libc::cmsghdr; 8]>::zeroed();
        let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
        // SAFETY: zeroes are a valid msghdr.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control);
        let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
        // SAFETY: `message` names live, writable buffers with their lengths.
        let read = unsafe { libc::recvmsg(self.socket.as_raw_fd(), &raw mut message, flags) };
        let read = usize::try_from(read).map_err(|_| io::Error::last_os_error())?;
        // SAFETY: recvmsg has filled in `message`, whose buffers are still alive.
        let sender = unsafe { sender(&message) };
        let is_beat = bytes[..read].split(|byte| *byte == b'\n').any(|line| line == b"WATCHDOG=1");
        Ok(is_beat && sender.is_some_and(is_below))
    }
}

/// The process that sent a message, by the kernel's word; descriptors that came with it are closed.
///
/// # Safety
/// `message` must have been filled in by `recvmsg`, and its buffers be alive.
unsafe fn sender(message: &libc::msghdr) -> Option<i32> {
    let mut found = None;
    // SAFETY: as the caller promises.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !header.is_null() {
        // SAFETY: the macros give aligned headers within the control buffer, or null.
        let (level, kind, data, length) = unsafe {
            ((*header).cmsg_level, (*header).cmsg_type, libc::CMSG_DATA(header), (*header).cmsg_len)
        };
        if (level, kind) == (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) {
            // SAFETY: the kernel puts a whole ucred there; it need not be aligned.
            found = Some(unsafe { data.cast::<libc::ucred>().read_unaligned() }.pid);
        } else if (level, kind) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
            // SAFETY: CMSG_LEN takes a number.
            let head = unsafe { libc::CMSG_LEN(0) } as usize;
            for index in 0..length.saturating_sub(head) / size_of::<libc::c_int>() {
                // SAFETY: the kernel puts so many descriptors there, which are ours to close.
                unsafe { libc::close(data.cast::<libc::c_int>().add(index).read_unaligned()) };
            }
        }
        // SAFETY: as the caller promises.
        header = unsafe { libc::CMSG_NXTHDR(message, header) };
    }
    found
}

/// Whether a process is below this one.
fn is_below(process: i32) -> bool {
    let me = std::process::id();
    let mut at = process;
    for _ in 0..ANCESTORS_MAX {
        match parent_of(at) {
            Some(parent) if parent == me => return true,
            Some(parent) if parent > 1 => at = i32::try_from(parent).unwrap_or(1),
            _ => return false,
        }
    }
    false
}

impl AsRawFd for Watchdog {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn send(address: &str, text: &str) {
        let name = address.strip_prefix('@').unwrap();
        let to = SocketAddr::from_abstract_name(name).unwrap();
        UnixDatagram::unbound().unwrap().send_to_addr(text.as_bytes(), &to).unwrap();
    }

    #[test]
    fn what_is_not_below_the_runner_gives_no_sign_of_life() {
        let watchdog = Watchdog::listen().unwrap();
        send(&watchdog.address(), "WATCHDOG=1");
        assert!(!watchdog.beat(), "this process is not below itself");
    }

    #[test]
    fn a_process_below_gives_a_sign_of_life_and_only_by_the_right_word() {
        let watchdog = Watchdog::listen().unwrap();
        let address = watchdog.address();
        let script = "use Socket; socket(my $s, AF_UNIX, SOCK_DGRAM, 0); $| = 1; \
            send($s, $ARGV[1], 0, pack_sockaddr_un(\"\\0\" . substr($ARGV[0], 1))) or die; print \"sent\\n\"; sleep 60";
        for (text, is_beat) in [("STATUS=up\nWATCHDOG=1", true), ("WATCHDOG=10", false), ("READY=1", false)] {
            let mut command = Command::new("perl");
            command.args(["-e", script, &address, text]).stdout(std::process::Stdio::piped());
            let mut child = command.spawn().unwrap();
            let mut line = String::new();
            let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
            std::io::BufRead::read_line(&mut output, &mut line).unwrap();
            assert_eq!(line, "sent\n");
            assert_eq!(watchdog.beat(), is_beat, "{text}");
            assert!(!watchdog.beat(), "each counts once");
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}
