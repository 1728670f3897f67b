//! The process that runs one leader-only command: a single thread that waits for orders, for the end of processes, for
//! signs of life, and for the next moment that the rules name.
//!
//! It takes no orders from terminals or service managers, only from its owner: when that is gone, so is the command.

use std::ffi::OsString;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use super::cgroup::Cgroup;
use super::children::{self, Left};
use super::command::Program;
use super::limits::{KILL_AGAIN, LINE_MAX, SETUP_DEADLINE};
use super::message::{FromRunner, Lines, Setup, ToRunner, line};
use super::rules::{Action, Event, Rules};
use super::wakeups::{Alarm, SignalQueue, wait};
use super::watchdog::Watchdog;
use crate::clock;

/// Signals that end other processes; a runner ends when its owner is gone.
const NOT_FOR_US: [i32; 5] = [libc::SIGCHLD, libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT];

/// Why a runner ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// The system refused something without which no work can be ended in time.
    #[error("the system does not let a runner work: {0}")]
    System(#[from] io::Error),
    /// The owner said what cannot be read.
    #[error("its owner: {0}")]
    Owner(#[from] super::message::LineError),
    /// The owner began with something else.
    #[error("its owner did not say how it is to work")]
    NoSetup,
}

/// Runs the command as the owner at the other end of `channel` wants it, until that is gone.
pub fn run(channel: UnixStream, command: &[OsString]) -> Result<(), RunnerError> {
    let signals = SignalQueue::take(&NOT_FOR_US)?;
    children::adopt_orphans()?;
    let mut channel = Channel::over(channel)?;
    let setup = channel.setup()?;
    let watchdog = setup.settings.watchdog.map(|_| Watchdog::listen()).transpose()?;
    let mut runner = Runner {
        rules: Rules::new(setup.settings),
        setup,
        command,
        alarm: Alarm::new()?,
        signals,
        watchdog,
        cgroup: Cgroup::make(),
        main: None,
        channel,
    };
    let cgroup = runner.cgroup.as_ref().map(|cgroup| cgroup.path().to_path_buf());
    runner.channel.say(&FromRunner::Ready { cgroup });
    let served = runner.serve();
    if served.is_err() {
        // Whatever went wrong, nothing of the command outlives its runner.
        runner.sweep();
    }
    served
}

struct Runner<'a> {
    rules: Rules,
    setup: Setup,
    command: &'a [OsString],
    alarm: Alarm,
    signals: SignalQueue,
    watchdog: Option<Watchdog>,
    cgroup: Option<Cgroup>,
    /// The process that was started, until nothing is left of it.
    main: Option<i32>,
    channel: Channel,
}

impl Runner<'_> {
    fn serve(&mut self) -> Result<(), RunnerError> {
        while !self.rules.is_over() {
            self.alarm.set(self.rules.next_wake().into_iter().chain(self.next_look()).min())?;
            let (signals, alarm) = (self.signals.as_raw_fd(), self.alarm.as_raw_fd());
            let mut sources = vec![signals, alarm];
            sources.extend(self.watchdog.as_ref().map(AsRawFd::as_raw_fd));
            sources.extend(self.channel.is_open.then(|| self.channel.stream.as_raw_fd()));
            wait(&sources)?;
            self.signals.drain();
            if self.watchdog.as_ref().is_some_and(Watchdog::beat) {
                self.feed(Event::Beat);
            }
            self.look_at_children();
            self.hear()?;
            self.feed(Event::Tick);
            self.channel.flush();
        }
        Ok(())
    }

    /// Kills until nothing is left.
    fn sweep(&mut self) {
        while let Some(main) = self.main {
            self.kill();
            std::thread::sleep(KILL_AGAIN);
            if matches!(children::reap(main), Left::Nothing(_)) {
                self.main = None;
            }
        }
    }

    /// When to look again at a cgroup whose last process is dying: nobody tells of that.
    fn next_look(&self) -> Option<nitro_elect_protocol::time::Boot> {
        let is_left = self.main.is_some() && self.cgroup.is_some() && self.rules.is_killing();
        is_left.then(|| clock::boot() + KILL_AGAIN)
    }

    /// Takes in what the owner has said, or that it is gone.
    fn hear(&mut self) -> Result<(), RunnerError> {
        if !self.channel.is_open {
            return Ok(());
        }
        let mut newest = None;
        for message in self.channel.read()? {
            match message {
                // What was ordered before is over: to a runner that was kept waiting, an old lease is no reason to end.
                ToRunner::Order(order) => newest = Some(order),
                ToRunner::Signal(signal) => self.signal(signal),
                ToRunner::Setup(_) => return Err(RunnerError::NoSetup),
            }
        }
        if let Some(order) = newest {
            self.feed(Event::Order(order));
        }
        if !self.channel.is_open {
            self.feed(Event::Orphaned);
        }
        Ok(())
    }

    fn look_at_children(&mut self) {
        let Some(main) = self.main else { return };
        match children::reap(main) {
            Left::Main => {}
            Left::Others(exit) => self.feed(Event::Exited(exit)),
            Left::Nothing(exit) => {
                if let Some(exit) = exit {
                    self.feed(Event::Exited(exit));
                }
                if self.cgroup.as_ref().is_none_or(Cgroup::is_empty) {
                    self.main = None;
                    self.feed(Event::Empty);
                }
            }
        }
        if self.main.is_some() && self.rules.is_killing() {
            // Orphans of what was killed have arrived.
            children::signal_children(libc::SIGKILL);
        }
    }

    fn feed(&mut self, event: Event) {
        for action in self.rules.handle(event, clock::boot()) {
            match action {
                Action::Start(term) => self.start(term),
                Action::End(signal) => {
                    self.signal(signal);
                    // One that is stopped hears of it only when it goes on.
                    self.signal(libc::SIGCONT);
                }
                Action::Kill => self.kill(),
                Action::Tell(telling) => self.channel.say(&FromRunner::Told(telling)),
            }
        }
    }

    fn start(&mut self, term: nitro_elect_protocol::ids::Term) {
        let program = Program {
            line: self.command,
            settings: self.setup.settings,
            proof_file: &self.setup.proof_file,
            watchdog: self.watchdog.as_ref(),
            cgroup: self.cgroup.as_ref(),
        };
        match program.start(term) {
            Ok(process) => {
                self.main = Some(process);
                self.channel.say(&FromRunner::Started { process, term });
                self.feed(Event::Started);
            }
            Err(error) => {
                self.channel.say(&FromRunner::CannotStart { why: error.to_string() });
                self.feed(Event::CannotStart);
            }
        }
    }

    /// To the command's group, and to those that left it and were orphaned.
    fn signal(&self, signal: i32) {
        if let Some(main) = self.main {
            children::signal_group(main, signal);
            children::signal_children(signal);
        }
    }

    fn kill(&self) {
        if let Some(cgroup) = &self.cgroup {
            cgroup.kill();
        }
        self.signal(libc::SIGKILL);
    }
}

/// The line to the owner. What it does not read in time is dropped: the work comes first.
struct Channel {
    stream: UnixStream,
    lines: Lines,
    unsent: Vec<u8>,
    is_open: bool,
}

impl Channel {
    fn over(stream: UnixStream) -> io::Result<Channel> {
        Ok(Channel { stream, lines: Lines::default(), unsent: Vec::new(), is_open: true })
    }

    /// The owner's first words. They are waited for.
    fn setup(&mut self) -> Result<Setup, RunnerError> {
        self.stream.set_read_timeout(Some(SETUP_DEADLINE))?;
        let mut first = Vec::new();
        let mut byte = [0];
        while byte != *b"\n" && first.len() < LINE_MAX {
            self.stream.read_exact(&mut byte)?;
            first.extend_from_slice(&byte);
        }
        self.stream.set_nonblocking(true)?;
        match self.lines.take(&first)?.pop() {
            Some(ToRunner::Setup(setup)) => Ok(setup),
            _ => Err(RunnerError::NoSetup),
        }
    }

    fn read(&mut self) -> Result<Vec<ToRunner>, RunnerError> {
        let mut bytes = [0_u8; 16 << 10];
        let mut messages = Vec::new();
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => break,
                Ok(read) => messages.extend(self.lines.take(&bytes[..read])?),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(messages),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        self.is_open = false;
        Ok(messages)
    }

    fn say(&mut self, message: &FromRunner) {
        if self.unsent.len() < LINE_MAX {
            self.unsent.extend(line(message));
        }
        self.flush();
    }

    fn flush(&mut self) {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(written) => drop(self.unsent.drain(..written)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Full, or gone: the latter shows when it is read.
                Err(_) => return,
            }
        }
    }
}
