//! What a runner and its owner tell each other: one JSON object a line, over a socket pair.
//!
//! Both ends are this program, of one version: a line that cannot be read is a defect, and ends the runner.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

use super::limits::LINE_MAX;
use super::rules::{Order, Settings, Telling};
use nitro_elect_protocol::ids::Term;

/// To a runner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToRunner {
    /// First of all: how it is to work.
    Setup(Setup),
    /// What is wanted now.
    Order(Order),
    /// A signal to pass on to the command.
    Signal(i32),
}

/// How a runner is to work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    /// What the rules go by.
    pub settings: Settings,
    /// The file that the command finds the lease proof in.
    pub proof_file: PathBuf,
}

/// From a runner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromRunner {
    /// It can begin.
    Ready {
        /// The cgroup that the command will be in, if there is one.
        cgroup: Option<PathBuf>,
    },
    /// The command runs.
    Started {
        /// Its process, which leads its process group.
        process: i32,
        /// Under which term.
        term: Term,
    },
    /// The command could not be started.
    CannotStart {
        /// Why.
        why: String,
    },
    /// What the rules tell.
    Told(Telling),
}

/// The line of a message.
pub fn line<M: Serialize>(message: &M) -> Vec<u8> {
    let mut line = serde_json::to_vec(message).expect("numbers, texts and paths make JSON");
    line.push(b'\n');
    line
}

/// Lines as they come in, up to their bound.
#[derive(Debug)]
pub struct Lines {
    kept: Vec<u8>,
    max: usize,
}

impl Default for Lines {
    fn default() -> Self {
        Lines::up_to(LINE_MAX)
    }
}

/// What came is no message.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// No line feed for too long.
    #[error("a line of more than {max} bytes")]
    TooLong {
        /// How many it may have.
        max: usize,
    },
    /// Not JSON, or none of the messages.
    #[error("a line that is no message: {0}")]
    Form(#[from] serde_json::Error),
}

impl Lines {
    /// Lines of so many bytes at most.
    pub fn up_to(max: usize) -> Lines {
        Lines { kept: Vec::new(), max }
    }

    /// Takes in bytes; the messages that they complete.
    pub fn take<M: for<'a> Deserialize<'a>>(&mut self, bytes: &[u8]) -> Result<Vec<M>, LineError> {
        self.kept.extend_from_slice(bytes);
        let Some(last) = self.kept.iter().rposition(|byte| *byte == b'\n') else {
            let max = self.max;
            return if self.kept.len() > max { Err(LineError::TooLong { max }) } else { Ok(Vec::new()) };
        };
        let rest = self.kept.split_off(last + 1);
        let whole = std::mem::replace(&mut self.kept, rest);
        let lines = whole.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| Ok(serde_json::from_slice(line)?)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_however_they_are_cut() {
        let messages = [ToRunner::Signal(2), ToRunner::Order(Order { number: 3, ..Order::default() })];
        let bytes: Vec<u8> = messages.iter().flat_map(line).collect();
        for cut in 0..bytes.len() {
            let mut lines = Lines::default();
            let mut read: Vec<ToRunner> = lines.take(&bytes[..cut]).unwrap();
            read.extend(lines.take(&bytes[cut..]).unwrap());
            assert_eq!(read, messages, "cut at {cut}");
        }
    }

    #[test]
    fn what_is_no_message_or_never_ends_is_refused() {
        let mut lines = Lines::default();
        assert!(matches!(lines.take::<ToRunner>(b"{\"Order\":1}\n"), Err(LineError::Form(_))));
        let endless = vec![b'x'; LINE_MAX + 1];
        assert!(matches!(Lines::default().take::<ToRunner>(&endless), Err(LineError::TooLong { .. })));
    }
}
