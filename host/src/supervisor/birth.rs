//! How a supervisor starts its node, and how a process learns that it is one.
//!
//! The node is the same program with the same arguments. One variable of its environment says which descriptor is its
//! line and who its supervisor is; it is taken out before anything else begins, so that what the node starts does not
//! inherit it, and a process that has it from elsewhere is started by a user like any other.

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{Pid, getppid};
use socket2::{Domain, Socket, Type};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::link::Link;

/// Tells a node its descriptor and its supervisor's process number: `FD,PID`.
const MARK: &str = "NITRO_ELECT_SUPERVISOR";
/// This program, even if another file has its name by now.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// What a process was started as.
pub enum Birth {
    /// As a supervisor's node.
    Node(Link),
    /// By somebody else.
    ByUser,
}

/// Learns what this process was started as.
///
/// Must be called while the process has one thread.
pub fn birth() -> io::Result<Birth> {
    let mark = std::env::var(MARK).unwrap_or_default();
    // SAFETY: the caller sees to it that no other thread reads or writes the environment meanwhile.
    unsafe { std::env::remove_var(MARK) };
    let Some(descriptor) = descriptor(&mark).filter(|descriptor| is_line(*descriptor)) else {
        return Ok(Birth::ByUser);
    };
    // SAFETY: it was just seen to be open. Our supervisor handed it to this process alone, for this purpose; nothing else
    // here knows of it, as `mark` is read once.
    let owned = unsafe { OwnedFd::from_raw_fd(descriptor) };
    fcntl(&owned, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    prctl::set_name(c"nitro-elect")?;
    Ok(Birth::Node(Link::over(owned.into())?))
}

/// The descriptor in a mark that this process's own parent made.
fn descriptor(mark: &str) -> Option<RawFd> {
    let (descriptor, supervisor) = mark.split_once(',')?;
    let supervisor = Pid::from_raw(supervisor.parse().ok()?);
    descriptor.parse().ok().filter(|descriptor| *descriptor > 2 && supervisor == getppid())
}

/// Whether a descriptor is open, and a socket of the kind of the line.
fn is_line(descriptor: RawFd) -> bool {
    // SAFETY: it is borrowed for one system call that fails if it is not open, and closed by nobody meanwhile.
    let borrowed = unsafe { BorrowedFd::borrow_raw(descriptor) };
    socket2::SockRef::from(&borrowed).r#type().is_ok_and(|kind| kind == Type::SEQPACKET)
}

/// Starts the node; returns its process number and the supervisor's end of the line.
///
/// The calling thread must live as long as the process: the kernel ties the node's life to it.
pub fn start() -> io::Result<(Pid, Socket)> {
    let (ours, theirs) = Socket::pair(Domain::UNIX, Type::SEQPACKET, None)?;
    ours.set_nonblocking(true)?;
    let supervisor = Pid::this();
    let mut arguments = std::env::args_os();
    let mut command = Command::new(THIS_PROGRAM);
    command.arg0(arguments.next().unwrap_or_else(|| "nitro-elect".into())).args(arguments);
    command.env(MARK, format!("{},{supervisor}", theirs.as_raw_fd()));
    let line = theirs.as_raw_fd();
    // SAFETY: between fork and exec the closure makes async-signal-safe system calls only (fcntl, sigprocmask, prctl,
    // getppid) and touches no memory but its own copies of two numbers; `theirs` is open until spawn has returned.
    let node = unsafe { command.pre_exec(move || become_node(line, supervisor)) }.spawn()?;
    let node = i32::try_from(node.id()).map_err(|_| io::ErrorKind::InvalidData)?;
    Ok((Pid::from_raw(node), ours))
}

/// Runs in the child: it keeps the line, takes signals, and is killed when its supervisor ends, or at once if it has.
fn become_node(line: RawFd, supervisor: Pid) -> io::Result<()> {
    // SAFETY: the descriptor was open when this process was forked, and nothing here closes it.
    let line = unsafe { BorrowedFd::borrow_raw(line) };
    fcntl(line.as_fd(), FcntlArg::F_SETFD(FdFlag::empty()))?;
    SigSet::empty().thread_set_mask()?;
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    // A supervisor that ended before the line above does not end the node any more.
    if getppid() == supervisor { Ok(()) } else { Err(Errno::ESRCH.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_of_another_parent_or_one_that_cannot_be_read_is_nobodys() {
        let parent = getppid();
        assert_eq!(descriptor(&format!("7,{parent}")), Some(7));
        let others = [
            format!("7,{}", Pid::this()),
            format!("2,{parent}"),
            format!("-1,{parent}"),
            format!("x,{parent}"),
        ];
        for mark in others.iter().map(String::as_str).chain(["", "7", ",", "7,"]) {
            assert_eq!(descriptor(mark), None, "{mark}");
        }
    }

    #[test]
    fn only_a_socket_that_keeps_messages_apart_is_a_line() {
        let (line, _other) = Socket::pair(Domain::UNIX, Type::SEQPACKET, None).unwrap();
        let (stream, _other) = Socket::pair(Domain::UNIX, Type::STREAM, None).unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(is_line(line.as_raw_fd()));
        assert!(!is_line(stream.as_raw_fd()) && !is_line(file.as_raw_fd()) && !is_line(1_000_000));
    }
}
