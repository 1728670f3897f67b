//! The signals by which a process is told to end, SIGINT, SIGTERM, SIGHUP, and those that it passes on to its command.

use crate::help::Help;
use serde::{Deserialize, Serialize};
use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The system does not let a process work: no threads, no timers, no signals.
#[derive(Debug, thiserror::Error)]
#[error("the system does not let this process work: {0}")]
pub struct NoProcess(pub io::Error);

impl Help for NoProcess {
    fn help(&self) -> String {
        "check the limits of this user: threads, open files, memory".into()
    }
}

/// Which signal came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndSignal {
    /// Ctrl-C.
    Interrupt,
    /// The polite request to end.
    Terminate,
    /// The terminal is gone.
    HangUp,
}

impl EndSignal {
    /// The exit code by which shells know that a process ended by it.
    pub fn exit_code(self) -> u8 {
        128 + match self {
            EndSignal::HangUp => 1,
            EndSignal::Interrupt => 2,
            EndSignal::Terminate => 15,
        }
    }

    /// Its number.
    pub fn number(self) -> i32 {
        match self {
            EndSignal::HangUp => libc::SIGHUP,
            EndSignal::Interrupt => libc::SIGINT,
            EndSignal::Terminate => libc::SIGTERM,
        }
    }
}

/// The signals of this process. While it exists, they do not end the process by themselves.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Takes the signals over. Must be called on a tokio runtime.
    pub fn take() -> io::Result<Self> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// The next one.
    pub async fn next(&mut self) -> EndSignal {
        tokio::select! {
            _ = self.interrupt.recv() => EndSignal::Interrupt,
            _ = self.terminate.recv() => EndSignal::Terminate,
            _ = self.hang_up.recv() => EndSignal::HangUp,
        }
    }
}

/// The signals that mean nothing to this process, and are for the command that it runs: SIGUSR1, SIGUSR2, SIGWINCH. While
/// it exists, they do not end the process.
#[derive(Debug)]
pub struct ForCommand {
    first: Signal,
    second: Signal,
    window: Signal,
}

impl ForCommand {
    /// Takes the signals over. Must be called on a tokio runtime.
    pub fn take() -> io::Result<Self> {
        Ok(ForCommand {
            first: signal(SignalKind::user_defined1())?,
            second: signal(SignalKind::user_defined2())?,
            window: signal(SignalKind::window_change())?,
        })
    }

    /// The number of the next one.
    pub async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.first.recv() => libc::SIGUSR1,
            _ = self.second.recv() => libc::SIGUSR2,
            _ = self.window.recv() => libc::SIGWINCH,
        }
    }
}
