//! The owner's end of a runner: starts it, gives it orders, hears what it tells.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::cgroup;
use super::children::{parent_of, signal_group};
use super::due::Due;
use super::limits::{LINES_WAITING, ORDER_DEADLINE, RUNNER_BEGINS};
use super::message::{FromRunner, Lines, Setup, ToRunner, line};
use super::rules::{Order, Settings, Telling};
use crate::clock;
use crate::help::Help;

/// This program, even if another file has its name by now.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// Why there is no runner.
#[derive(Debug, thiserror::Error)]
pub enum NoRunner {
    /// It could not be started.
    #[error("no runner could be started: {0}")]
    NotStarted(#[from] io::Error),
    /// It did not say that it can begin.
    #[error("the runner ended before it began, or did not begin within {} s", RUNNER_BEGINS.as_secs())]
    NotReady,
    /// It does not answer any more.
    #[error("the runner of the command is gone or stopped: nobody sees whether the command has ended")]
    Lost,
}

impl Help for NoRunner {
    fn help(&self) -> String {
        match self {
            NoRunner::Lost => "it was killed or stopped by somebody; start this process again".into(),
            _ => "check that /proc is there, and the limits of this user: processes, open files".into(),
        }
    }
}

/// A runner and what it was told last.
#[derive(Debug)]
pub struct Runner {
    process: i32,
    writer: OwnedWriteHalf,
    reports: mpsc::Receiver<FromRunner>,
    order: Order,
    settings: Settings,
    due: Due,
    /// The process group of the command while it is there.
    group: Option<i32>,
    /// The cgroup that its command is in, if there is one.
    pub cgroup: Option<PathBuf>,
}

impl Runner {
    /// Starts a runner for this command. Nothing else starts before the first order.
    pub async fn begin(command: &[OsString], setup: Setup) -> Result<Runner, NoRunner> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let process = spawn(command, theirs)?;
        let (reader, writer) = UnixStream::from_std(ours)?.into_split();
        let (tell, reports) = mpsc::channel(LINES_WAITING);
        tokio::spawn(listen(reader, tell));
        let (order, due, settings) = (Order::default(), Due::default(), setup.settings);
        let mut runner = Runner { process, writer, reports, order, settings, due, group: None, cgroup: None };
        runner.say(&ToRunner::Setup(setup)).await?;
        match timeout(RUNNER_BEGINS, runner.next()).await {
            Ok(Some(FromRunner::Ready { cgroup })) => Ok(Runner { cgroup, ..runner }),
            _ => Err(NoRunner::NotReady),
        }
    }

    /// Whether the command is not started again once it ended by itself.
    pub fn is_for_once(&self) -> bool {
        self.settings.once
    }

    /// What was ordered last.
    pub fn ordered(&self) -> Order {
        self.order
    }

    /// Orders what is different from before. What is the same is not said again: the answer to the last order counts.
    pub async fn order(&mut self, change: impl FnOnce(&mut Order)) -> Result<(), NoRunner> {
        let before = self.order;
        change(&mut self.order);
        self.due.ordered(&self.order, self.settings.patience, clock::boot());
        if self.order == before {
            return Ok(());
        }
        self.order.number += 1;
        self.say(&ToRunner::Order(self.order)).await
    }

    /// Passes a signal on to the command.
    pub async fn signal(&mut self, signal: i32) -> Result<(), NoRunner> {
        self.say(&ToRunner::Signal(signal)).await
    }

    /// What it tells next; nothing once it is gone, or stands still where it should have ended the command.
    ///
    /// A command whose runner is late is killed from here too, and soon after that the runner counts as lost.
    pub async fn next(&mut self) -> Option<FromRunner> {
        loop {
            let now = clock::boot();
            let lost = self.due.lost_at(now);
            if lost.is_some() {
                self.kill_command();
            }
            tokio::select! {
                biased;
                report = self.reports.recv() => return report.inspect(|report| self.note(report)),
                () = clock::at(lost.or(self.due.late_at())) => if lost.is_some() { return None },
            }
        }
    }

    fn note(&mut self, report: &FromRunner) {
        match report {
            FromRunner::Started { process, .. } => self.group = Some(*process),
            FromRunner::Told(telling) => {
                if matches!(telling, Telling::Gone { .. }) {
                    self.group = None;
                }
                self.due.told(*telling, &self.order);
            }
            FromRunner::Ready { .. } | FromRunner::CannotStart { .. } => {}
        }
    }

    /// What is to be made an end of when this runner is lost: the command's process group, or until there is one the
    /// runner's, and its cgroup.
    pub fn remains(&self) -> (i32, Option<&PathBuf>) {
        (self.group.unwrap_or(self.process), self.cgroup.as_ref())
    }

    /// Ends a runner that does not do its duty, and the command with it.
    pub fn kill(&self) {
        self.kill_command();
        kill_group(self.process, std::process::id());
    }

    fn kill_command(&self) {
        self.cgroup.iter().for_each(|cgroup| cgroup::kill(cgroup));
        if let (Some(group), Ok(runner)) = (self.group, u32::try_from(self.process)) {
            kill_group(group, runner);
        }
    }

    async fn say(&mut self, message: &ToRunner) -> Result<(), NoRunner> {
        let line = line(message);
        match timeout(ORDER_DEADLINE, self.writer.write_all(&line)).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(NoRunner::Lost),
        }
    }
}

/// Kills the group that a child of this parent leads. When that child was reaped, which this process may not have heard yet,
/// the number is nobody's or another's.
fn kill_group(leader: i32, parent: u32) {
    if parent_of(leader) == Some(parent) {
        signal_group(leader, libc::SIGKILL);
    }
}

/// Starts the process, in a group of its own: no terminal ends it.
fn spawn(line: &[OsString], theirs: std::os::unix::net::UnixStream) -> io::Result<i32> {
    let channel = theirs.as_raw_fd();
    let mut command = Command::new(THIS_PROGRAM);
    command.arg0("nitro-elect").arg("runner").arg(channel.to_string()).arg("--").args(line).process_group(0);
    // SAFETY: between fork and exec the closure makes one async-signal-safe system call (fcntl) on a copied number, which
    // is that of a descriptor open until spawn has returned.
    unsafe { command.pre_exec(move || keep_open(channel)) };
    let mut child = command.spawn()?;
    let process = i32::try_from(child.id()).map_err(io::Error::other)?;
    // Its end shows at the channel; this only frees its number.
    std::thread::Builder::new().name("runner".into()).spawn(move || drop(child.wait()))?;
    Ok(process)
}

/// Runs in the child: lets a descriptor through to the new program.
fn keep_open(descriptor: RawFd) -> io::Result<()> {
    // SAFETY: fcntl with F_SETFD takes numbers.
    if unsafe { libc::fcntl(descriptor, libc::F_SETFD, 0) } < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

async fn listen(mut reader: OwnedReadHalf, tell: mpsc::Sender<FromRunner>) {
    let (mut lines, mut bytes) = (Lines::default(), [0_u8; 4096]);
    while let Ok(read) = reader.read(&mut bytes).await {
        let messages = lines.take(&bytes[..read]);
        let Ok(messages) = messages.inspect_err(|error| tracing::error!("the runner: {error}")) else {
            return;
        };
        for message in messages {
            if tell.send(message).await.is_err() {
                return;
            }
        }
        if read == 0 {
            return;
        }
    }
}
