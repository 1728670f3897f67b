//! How a command fails: `error: what, where`, then `help: what to do next`, and an exit code.

use std::fmt;
use std::process::ExitCode;

use crate::help::Help;
use crate::verify::Verdict;

use super::output::{Stream, for_stream, paint};

/// Refused or failed.
pub const FAILED: u8 = 1;
/// Wrong usage, or an input that could not be read.
pub const USAGE: u8 = 2;
/// Valid, but with less assurance than asked for.
pub const LESS_ASSURANCE: u8 = 3;

/// The exit code of a verification.
pub fn of_verdict(verdict: Verdict) -> ExitCode {
    ExitCode::from(match verdict {
        Verdict::Valid => 0,
        Verdict::Invalid => FAILED,
        Verdict::LessAssurance => LESS_ASSURANCE,
    })
}

/// Why a command did not do what it was asked for.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    what: String,
    help: String,
}

impl Failure {
    /// A failure with its exit code.
    pub fn new(code: u8, what: impl fmt::Display, help: impl Into<String>) -> Self {
        Failure { code, what: what.to_string(), help: help.into() }
    }

    /// An input that could not be read.
    pub fn unreadable(error: impl Help) -> Self {
        Failure::new(USAGE, &error, error.help())
    }

    /// What to do next.
    #[cfg(test)]
    pub fn help(&self) -> &str {
        &self.help
    }

    /// Tells standard error, and gives the exit code.
    pub fn report(self) -> ExitCode {
        for (style, word, text) in [("31;1", "error:", &self.what), ("36;1", "help:", &self.help)] {
            eprintln!("{} {}", paint(Stream::Err, style, word), for_stream(Stream::Err, text));
        }
        ExitCode::from(self.code)
    }
}

impl<E: Help> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure::new(FAILED, &error, error.help())
    }
}
