//! The processes below this one. As a subreaper it inherits every orphan of what it started, so that whatever a command
//! does (forks, sessions of its own, ends) each of its processes is a child of this one in the end.
//!
//! The process that was started is reaped last of all: as long as it is not, nobody else gets its number, which is also
//! that of the process group to be killed.

use std::fs;
use std::io;
use std::mem::MaybeUninit;

use super::rules::Exit;

/// Makes this process inherit the orphans of all that it starts.
pub fn adopt_orphans() -> io::Result<()> {
    // SAFETY: PR_SET_CHILD_SUBREAPER takes a number and touches no memory.
    check(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) })
}

/// Sends a signal to a process group; one that is gone is no error.
pub fn signal_group(group: i32, signal: i32) {
    send(-group, signal);
}

/// Sends a signal to each direct child of this process.
pub fn signal_children(signal: i32) {
    children().into_iter().for_each(|child| send(child, signal));
}

fn send(to: i32, signal: i32) {
    // SAFETY: kill takes two numbers. What they name is a child of this process that it has not reaped, or the group
    // that such a child leads.
    let _gone_already = unsafe { libc::kill(to, signal) };
}

/// What became of the processes below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// The process that was started runs.
    Main,
    /// It has ended, like this, and others are left.
    Others(Exit),
    /// Nothing is left.
    Nothing(Option<Exit>),
}

/// Reaps everything that has ended, the process that was started last.
pub fn reap(main: i32) -> Left {
    for child in children().into_iter().filter(|child| *child != main) {
        wait_for(child);
    }
    let exit = match ended(main) {
        Ok(None) => return Left::Main,
        Ok(Some(exit)) => Some(exit),
        // It was no child any more: nobody else reaps, so this is for a number that never was.
        Err(_) => None,
    };
    if children().iter().any(|child| *child != main) {
        return exit.map_or(Left::Nothing(None), Left::Others);
    }
    wait_for(main);
    // Asked of the kernel and not of the list: a child that the list does not show is there all the same.
    match (wait_for(-1), exit) {
        (Waited::NoChild, exit) => Left::Nothing(exit),
        (_, Some(exit)) => Left::Others(exit),
        (_, None) => Left::Others(Exit::Signal(libc::SIGKILL)),
    }
}

/// How a child ended, without reaping it; nothing while it runs.
fn ended(child: i32) -> io::Result<Option<Exit>> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let number = libc::id_t::try_from(child).unwrap_or(libc::id_t::MAX);
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: `info` is a live siginfo_t that the call may write; zeroes are a valid one.
    check(unsafe { libc::waitid(libc::P_PID, number, info.as_mut_ptr(), options) })?;
    // SAFETY: it was zeroed, and the call writes whole ones only.
    let info = unsafe { info.assume_init() };
    // SAFETY: waitid fills in the fields of a child's end, or leaves the zeroes.
    let (process, status) = unsafe { (info.si_pid(), info.si_status()) };
    Ok(match (process, info.si_code) {
        (0, _) => None,
        (_, libc::CLD_EXITED) => Some(Exit::Code(status)),
        _ => Some(Exit::Signal(status)),
    })
}

#[derive(PartialEq, Eq)]
enum Waited {
    Reaped,
    Runs,
    NoChild,
}

fn wait_for(child: i32) -> Waited {
    // SAFETY: waitpid without a place for the status touches no memory.
    match unsafe { libc::waitpid(child, std::ptr::null_mut(), libc::WNOHANG) } {
        -1 => Waited::NoChild,
        0 => Waited::Runs,
        _ => Waited::Reaped,
    }
}

/// The direct children of this process, zombies among them.
fn children() -> Vec<i32> {
    let me = std::process::id();
    let path = format!("/proc/{me}/task/{me}/children");
    match fs::read_to_string(path) {
        // Right for a process with a single thread, as a runner is.
        Ok(list) => list.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect(),
        // Some kernels are built without that list.
        Err(_) => search(me),
    }
}

fn search(parent: u32) -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    numbers.filter(|number| parent_of(*number) == Some(parent)).collect()
}

/// The parent of a process, if that is there.
pub fn parent_of(process: i32) -> Option<u32> {
    let stat = fs::read(format!("/proc/{process}/stat")).ok()?;
    // The name before it, in parentheses, may hold anything but ends with the last one.
    let after = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(&stat[after + 1..]).ok()?;
    rest.split_ascii_whitespace().nth(1)?.parse().ok()
}

fn check(status: i32) -> io::Result<()> {
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_its_parent() {
        let me = i32::try_from(std::process::id()).unwrap();
        assert_eq!(parent_of(me), Some(std::os::unix::process::parent_id()));
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let number = i32::try_from(child.id()).unwrap();
        assert!(search(std::process::id()).contains(&number));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(parent_of(number), None);
    }
}
