//! Making an end of what a node left behind, or an `exec` whose runner is gone.
//!
//! The supervisor is the subreaper of everything below it: whoever descends from the node, by however many forks and
//! sessions, hangs somewhere below the supervisor, and becomes its own child when all between are gone. So "no child is
//! left" means that nothing is left, and needs no list of what was started. The exceptions are what never descended from
//! the node: a process that some other service started at its wish. An `exec` is the same to what its runner starts.

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, getpgid};
use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::estate::End;

/// How often it is looked whether the killed are gone: a process dies in less than that.
const LOOK: Duration = Duration::from_micros(500);
/// Processes that a line names.
const NAMED: usize = 4;

/// A child that ended, if one has; none left at all is an answer of its own.
pub enum Reaped {
    /// This one.
    One(Pid, End),
    /// All that there are still live.
    AllLive,
    /// There are none.
    NoneLeft,
}

/// Takes the end of one child, if there is one to take.
pub fn reap() -> Reaped {
    let mut status = 0;
    loop {
        // SAFETY: `status` is a live, writable integer.
        let child = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
        match child {
            0 => return Reaped::AllLive,
            child if child > 0 => return Reaped::One(Pid::from_raw(child), end(status)),
            _ if Errno::last() == Errno::EINTR => {}
            _ => return Reaped::NoneLeft,
        }
    }
}

fn end(status: i32) -> End {
    let byte = |number: i32| u8::try_from(number).unwrap_or(u8::MAX);
    match libc::WIFSIGNALED(status) {
        true => End::Signal(byte(libc::WTERMSIG(status))),
        false => End::Code(byte(libc::WEXITSTATUS(status))),
    }
}

/// Kills whatever is below this process until nothing is, and the cgroup of every command is empty; or says what is not.
///
/// `commands` are process groups that can be killed with one stroke, each with its cgroup. This process must be a
/// subreaper, and all its children those of its first thread.
pub fn sweep<'a>(
    commands: impl IntoIterator<Item = (i32, Option<&'a PathBuf>)>,
    within: Duration,
) -> Result<(), String> {
    let last = Instant::now() + within;
    let (groups, cgroups): (BTreeSet<i32>, Vec<_>) = commands.into_iter().unzip();
    let cgroups: Vec<&PathBuf> = cgroups.into_iter().flatten().collect();
    loop {
        let children = reap_all();
        let full: Vec<_> = cgroups.iter().filter(|cgroup| !is_empty(cgroup)).collect();
        if !children && full.is_empty() {
            return Ok(());
        }
        let mut living = Vec::new();
        if children {
            living = own_children()?;
            living.iter().for_each(|child| end_child(*child, &groups));
        }
        full.iter().for_each(|cgroup| end_cgroup(cgroup));
        if Instant::now() >= last {
            return Err(complaint(&living, full.first().map(|path| path.as_path())));
        }
        std::thread::sleep(LOOK);
    }
}

/// Takes the ends of all that ended; whether any child lives.
fn reap_all() -> bool {
    loop {
        match reap() {
            Reaped::One(..) => {}
            Reaped::AllLive => return true,
            Reaped::NoneLeft => return false,
        }
    }
}

/// The children of a process of one thread, as the system lists them: of a supervisor, its node first.
///
/// Of this process, which is the only one to reap them, the numbers stay theirs until it does.
pub fn children_of(process: u32) -> io::Result<Vec<u32>> {
    let text = std::fs::read_to_string(children_list(process))?;
    Ok(text.split_whitespace().filter_map(|number| number.parse().ok()).collect())
}

fn children_list(process: u32) -> String {
    format!("/proc/{process}/task/{process}/children")
}

fn own_children() -> Result<Vec<Pid>, String> {
    let own = std::process::id();
    let listed = children_of(own);
    let listed = listed
        .map_err(|error| format!("what it left behind cannot be listed: {}: {error}", children_list(own)))?;
    Ok(listed.into_iter().filter_map(|child| i32::try_from(child).ok()).map(Pid::from_raw).collect())
}

/// Kills a child, and with it its whole group if that is a command's: as the child is in it, the number is no other
/// group's.
fn end_child(child: Pid, groups: &BTreeSet<i32>) {
    let group = getpgid(Some(child)).ok().filter(|group| groups.contains(&group.as_raw()));
    // One that may not be killed stays, and is told of.
    let _stays = group.map(|group| killpg(group, Signal::SIGKILL));
    let _stays = kill(child, Signal::SIGKILL);
}

/// Whether no process is in a cgroup, or it is gone.
fn is_empty(cgroup: &Path) -> bool {
    match std::fs::read_to_string(cgroup.join("cgroup.events")) {
        Ok(events) => events.lines().any(|line| line == "populated 0"),
        Err(error) => error.kind() == ErrorKind::NotFound && !cgroup.exists(),
    }
}

fn end_cgroup(cgroup: &Path) {
    // One that cannot be ended stays full, and is told of.
    let _stays = std::fs::write(cgroup.join("cgroup.kill"), "1");
}

fn complaint(living: &[Pid], cgroup: Option<&Path>) -> String {
    match cgroup.filter(|_| living.is_empty()) {
        Some(cgroup) => format!("processes in its cgroup {} do not end", cgroup.display()),
        None => {
            let named: Vec<String> = living.iter().take(NAMED).map(ToString::to_string).collect();
            let more = if living.len() > NAMED { " and more" } else { "" };
            format!("what it started does not end: process {}{more}", named.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cgroup_is_empty_when_it_says_so_or_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let events = directory.path().join("cgroup.events");
        assert!(!is_empty(directory.path()), "a directory that says nothing");
        std::fs::write(&events, "populated 1\nfrozen 0\n").unwrap();
        assert!(!is_empty(directory.path()));
        std::fs::write(&events, "populated 0\nfrozen 0\n").unwrap();
        assert!(is_empty(directory.path()));
        assert!(is_empty(&directory.path().join("gone")));
    }

    #[test]
    fn an_end_is_a_code_or_a_signal() {
        assert_eq!((end(0), end(4 << 8), end(9), end(6 | 0x80)), {
            (End::Code(0), End::Code(4), End::Signal(9), End::Signal(6))
        });
        assert_eq!((End::Code(4).exit_code(), End::Signal(9).exit_code()), (4, 137));
    }
}
