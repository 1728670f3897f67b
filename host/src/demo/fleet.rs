//! The processes of a demo. They die with it: by order when it ends, by the kernel when it is killed.

use std::fs::File;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::supervisor::children_of;

/// Lines of a log that are shown when its process fails.
const TAIL: usize = 12;
/// How long processes may take to end in order.
const ORDERLY: Duration = Duration::from_secs(3);
/// How often ends are looked for.
const LOOK: Duration = Duration::from_millis(10);

/// One process and its log.
#[derive(Debug)]
struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

/// A process that ended though nobody asked it to.
#[derive(Debug)]
pub struct Ended {
    /// Its name.
    pub name: String,
    /// How, in words.
    pub how: String,
    /// The end of its log.
    pub log: String,
}

/// All processes. Dropping it kills them.
#[derive(Debug)]
pub struct Fleet {
    program: PathBuf,
    directory: PathBuf,
    processes: Vec<Process>,
}

impl Fleet {
    /// No processes yet; their files go to `directory`.
    ///
    /// Processes must be started by the thread that lives longest, the main one: the kernel ties their lives to it.
    pub fn new(program: PathBuf, directory: &Path) -> Self {
        Fleet { program, directory: directory.to_path_buf(), processes: Vec::new() }
    }

    /// Starts a process of this program; returns its number.
    pub fn start(&mut self, name: &str, arguments: &[String]) -> io::Result<u32> {
        let log = self.directory.join(format!("{name}.log"));
        let lines = File::options().create(true).append(true).open(&log)?;
        let child = self.command(arguments).stdout(lines.try_clone()?).stderr(lines).spawn()?;
        let id = child.id();
        self.processes.push(Process { name: name.to_owned(), child, log });
        Ok(id)
    }

    /// Runs a command of this program to its end; what it said, if it failed.
    pub fn run(&self, arguments: &[String]) -> io::Result<Result<(), String>> {
        let output = self.command(arguments).output()?;
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Ok(if output.status.success() { Ok(()) } else { Err(said) })
    }

    fn command(&self, arguments: &[String]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).stdin(Stdio::null()).process_group(0);
        command.env("HOME", &self.directory).env("XDG_STATE_HOME", &self.directory);
        let settings = std::env::vars_os().map(|(name, _)| name);
        for name in settings.filter(|name| name.to_string_lossy().starts_with("NITRO_ELECT_")) {
            command.env_remove(name);
        }
        let parent = std::process::id();
        // SAFETY: between fork and exec the closure makes async-signal-safe system calls only (prctl, getppid) and
        // touches no memory but its own copy of a number.
        unsafe { command.pre_exec(move || die_with(parent)) };
        command
    }

    /// Kills a node at once, but not its supervisor, and waits until both are gone. Returns the node's number.
    pub fn kill_node(&mut self, name: &str) -> io::Result<u32> {
        let at =
            self.processes.iter().position(|process| process.name == name).ok_or(io::ErrorKind::NotFound)?;
        let node = *children_of(self.processes[at].child.id())?.first().ok_or(io::ErrorKind::NotFound)?;
        send(node, libc::SIGKILL);
        self.processes.remove(at).child.wait()?;
        Ok(node)
    }

    /// A process that ended of its own accord, if there is one. It is not told of again.
    pub fn ended(&mut self) -> Option<Ended> {
        let ended = |process: &mut Process| process.child.try_wait().ok().flatten();
        let (at, status) =
            self.processes.iter_mut().enumerate().find_map(|(at, process)| Some((at, ended(process)?)))?;
        let process = self.processes.remove(at);
        Some(Ended { log: tail(&process.log), how: in_words(status), name: process.name })
    }

    /// Asks all processes to end, and kills those that do not. Returns the names of those that had to be killed or
    /// ended with a failure.
    pub fn end(&mut self) -> Vec<String> {
        for process in &self.processes {
            send(process.child.id(), libc::SIGTERM);
        }
        let last = Instant::now() + ORDERLY;
        let mut failed = Vec::new();
        for mut process in std::mem::take(&mut self.processes) {
            if !ends_well(&mut process.child, last) {
                failed.push(process.name);
            }
        }
        failed
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for process in &mut self.processes {
            // A process that is gone already can be neither killed nor missed.
            let _gone = process.child.kill();
        }
        for process in &mut self.processes {
            let _gone = process.child.wait();
        }
    }
}

/// Runs in the child: it is killed when the thread that started it ends, or at once if that has happened.
fn die_with(parent: u32) -> io::Result<()> {
    // SAFETY: prctl with PR_SET_PDEATHSIG takes a signal number and touches no memory.
    if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } != 0 {
        return Err(io::Error::last_os_error());
    }
    if std::os::unix::process::parent_id() != parent {
        return Err(io::ErrorKind::BrokenPipe.into());
    }
    Ok(())
}

/// Signals a process that is our child, or below it, and was seen a moment ago.
fn send(process: u32, signal: libc::c_int) {
    if let Ok(process) = libc::pid_t::try_from(process) {
        // SAFETY: kill takes two numbers and touches no memory.
        unsafe { libc::kill(process, signal) };
    }
}

fn ends_well(child: &mut Child, last: Instant) -> bool {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if Instant::now() < last => std::thread::sleep(LOOK),
            _ => {
                let _gone = child.kill();
                let _gone = child.wait();
                return false;
            }
        }
    }
}

fn in_words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".into(),
    }
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}
