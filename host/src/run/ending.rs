//! How a command ended, and why it had to.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl Exit {
    /// The exit code by which shells tell of it.
    pub fn code(self) -> u8 {
        let code = match self {
            Exit::Code(code) => code,
            Exit::Signal(signal) => 128 + signal,
        };
        u8::try_from(code).unwrap_or(u8::MAX)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(out, "exit code {code}"),
            Exit::Signal(signal) => write!(out, "signal {signal}"),
        }
    }
}

/// Why a command was asked to end, or had to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Why {
    /// It ended by itself.
    #[error("it ended by itself")]
    ItEnded,
    /// Its runner is to end.
    #[error("it is to end for good")]
    Quit,
    /// Whoever started the runner is gone.
    #[error("whoever ran it is gone")]
    Orphaned,
    /// The lease is to be given up.
    #[error("the lead is to be handed over")]
    HandOver,
    /// The lease is lost.
    #[error("the lease is lost")]
    LeaseLost,
    /// Another term has begun: it has the wrong token.
    #[error("a new term has begun")]
    NewTerm,
    /// A third of the lease is left.
    #[error("a third of the lease is left and no renewal came")]
    NoRenewal,
    /// It gave no sign of life.
    #[error("it gave no sign of life for too long")]
    Stuck,
}
