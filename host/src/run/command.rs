//! Starting the command: a process group of its own, dead with its runner, and what it needs to know in its environment.

use std::ffi::OsString;
use std::io::{self, IsTerminal, stdin};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nitro_elect_protocol::ids::Term;

use super::cgroup::{self, Cgroup};
use super::rules::Settings;
use super::wakeups::unblock_all;
use super::watchdog::Watchdog;

/// The variable with the term: the fencing token.
pub const TERM_VARIABLE: &str = "NITRO_ELECT_TERM";
/// The variable with the path of the newest proof that this node leads.
pub const PROOF_VARIABLE: &str = "NITRO_ELECT_PROOF_FILE";
/// The exit code by which shells tell of a command that is there and cannot be started.
pub const CANNOT_START: u8 = 126;
/// Where the system looks without a path.
const PATH_DEFAULT: &str = "/bin:/usr/bin";
/// What `sd_notify` and `sd_watchdog_enabled` read.
const WATCHDOG_VARIABLES: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];

/// What is started each time.
#[derive(Debug)]
pub struct Program<'a> {
    /// The command and its arguments.
    pub line: &'a [OsString],
    /// The rules' settings.
    pub settings: Settings,
    /// Where the proof is.
    pub proof_file: &'a Path,
    /// Where its signs of life go, if it gives any.
    pub watchdog: Option<&'a Watchdog>,
    /// The cgroup that holds it, if there is one.
    pub cgroup: Option<&'a Cgroup>,
}

impl Program<'_> {
    /// Starts it under a term; its process, which leads its process group.
    ///
    /// Must be called by the thread that lives as long as the runner: the kernel ties the command's life to it.
    pub fn start(&self, term: Term) -> io::Result<i32> {
        let (program, arguments) = self.line.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = Command::new(program);
        command.args(arguments).process_group(0);
        command.env(TERM_VARIABLE, term.to_string()).env(PROOF_VARIABLE, self.proof_file);
        // Those of whatever runs the node are not the command's.
        for name in WATCHDOG_VARIABLES {
            command.env_remove(name);
        }
        if let (Some(watchdog), Some(span)) = (self.watchdog, self.settings.watchdog) {
            command.env("NOTIFY_SOCKET", watchdog.address());
            command.env("WATCHDOG_USEC", span.as_micros().to_string());
        }
        if stdin().is_terminal() {
            // A process group in the background that reads its terminal is stopped.
            command.stdin(Stdio::null());
        }
        let entrance = self.cgroup.map(Cgroup::entrance).transpose()?;
        let runner = std::process::id();
        let prepare = move || {
            die_with(runner)?;
            entrance.as_ref().map_or(Ok(()), cgroup::enter)?;
            unblock_all()
        };
        // SAFETY: between fork and exec the closure makes async-signal-safe system calls only (prctl, getppid, open,
        // write, close, sigprocmask) on memory that was made before the fork.
        unsafe { command.pre_exec(prepare) };
        let child = command.spawn()?;
        // What becomes of it is seen by `children`, which reaps everything: dropping the handle does nothing.
        i32::try_from(child.id()).map_err(io::Error::other)
    }
}

/// Runs in the child: it is killed when the runner ends, or at once if that has happened.
fn die_with(runner: u32) -> io::Result<()> {
    // SAFETY: prctl with PR_SET_PDEATHSIG takes a signal number and touches no memory.
    if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } != 0 {
        return Err(io::Error::last_os_error());
    }
    if std::os::unix::process::parent_id() != runner {
        return Err(io::ErrorKind::BrokenPipe.into());
    }
    Ok(())
}

/// Why there is nothing to start.
#[derive(Debug, thiserror::Error)]
pub enum NoCommand {
    /// No such file, in the path or where it is named.
    #[error("there is no command {0:?}")]
    Missing(OsString),
    /// It is not for this user to run, or is no program.
    #[error("{0:?} is no program that this user may run")]
    NotExecutable(OsString),
}

impl NoCommand {
    /// The exit code by which shells tell of it.
    pub fn exit_code(&self) -> u8 {
        match self {
            NoCommand::Missing(_) => 127,
            NoCommand::NotExecutable(_) => CANNOT_START,
        }
    }
}

impl crate::help::Help for NoCommand {
    fn help(&self) -> String {
        match self {
            NoCommand::Missing(_) => "give its whole path, or one that PATH leads to".into(),
            NoCommand::NotExecutable(_) => {
                "check its permissions: `chmod +x`, and a first line such as #!/bin/sh".into()
            }
        }
    }
}

/// Looks whether a command can be started, before anybody leads for it.
pub fn look_for(program: &OsString) -> Result<(), NoCommand> {
    let named = Path::new(program);
    if program.to_string_lossy().contains('/') {
        return match (named.exists(), is_executable(named)) {
            (_, true) => Ok(()),
            (true, false) => Err(NoCommand::NotExecutable(program.clone())),
            (false, _) => Err(NoCommand::Missing(program.clone())),
        };
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| PATH_DEFAULT.into());
    let places: Vec<_> = std::env::split_paths(&path).map(|place| place.join(named)).collect();
    if places.iter().any(|place| is_executable(place)) {
        return Ok(());
    }
    let is_there = places.iter().any(|place| place.is_file());
    Err(if is_there {
        NoCommand::NotExecutable(program.clone())
    } else {
        NoCommand::Missing(program.clone())
    })
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::ffi::OsStrExt;
    let Ok(name) = std::ffi::CString::new(path.as_os_str().as_bytes()) else { return false };
    // SAFETY: the path ends with a zero.
    path.is_file() && unsafe { libc::access(name.as_ptr(), libc::X_OK) } == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_looked_for_before_anybody_leads_for_it() {
        assert!(look_for(&"sh".into()).is_ok());
        assert!(look_for(&"/bin/sh".into()).is_ok());
        let missing = look_for(&"no-such-command".into()).unwrap_err();
        assert_eq!(missing.exit_code(), 127);
        assert_eq!(look_for(&"/no/such".into()).unwrap_err().exit_code(), 127);
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(look_for(&dir.path().into()).unwrap_err().exit_code(), 126);
        let plain = dir.path().join("plain");
        std::fs::write(&plain, "text").unwrap();
        assert_eq!(look_for(&plain.into()).unwrap_err().exit_code(), 126);
    }
}
