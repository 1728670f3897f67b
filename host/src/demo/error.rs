//! Why a demo did not go as it must.

use std::io;
use std::time::Duration;

use super::fleet::Ended;
use super::ports::NoPorts;
use crate::help::Help;
use crate::signals::EndSignal;

/// Why a demo did not go as it must. Whatever it is, nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The system refused something.
    #[error("could not {what}: {source}")]
    System {
        /// What the demo wanted.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// No free ports.
    #[error(transparent)]
    Ports(#[from] NoPorts),
    /// A command of this program failed.
    #[error("`nitro-elect {command}` failed: {said}")]
    Command {
        /// The command.
        command: String,
        /// What it said.
        said: String,
    },
    /// A process ended though nobody asked it to.
    #[error("{} {}; the end of its log:\n{}", .0.name, .0.how, .0.log)]
    Ended(Ended),
    /// Something that must happen did not.
    #[error("{what} did not happen within {} s{}", .waited.as_secs(), seen_text(.seen))]
    DidNotHappen {
        /// What was waited for.
        what: String,
        /// How long.
        waited: Duration,
        /// What was seen instead, if there is more to say.
        seen: String,
    },
    /// What a node serves does not verify.
    #[error("the proof that {node} serves does not verify: {why}")]
    Proof {
        /// The node.
        node: String,
        /// The check that failed.
        why: String,
    },
    /// Processes did not end in order.
    #[error("{} did not end in order when asked to", .0.join(", "))]
    Disorderly(Vec<String>),
    /// Somebody ended the demo.
    #[error("ended by a signal")]
    Signal(EndSignal),
    /// Nobody reads what it shows.
    #[error("nobody reads the output any more")]
    NobodyReads,
}

fn seen_text(seen: &str) -> String {
    if seen.is_empty() { String::new() } else { format!(": {seen}") }
}

impl DemoError {
    /// For `map_err`: what was wanted, to be put before what the system said.
    pub fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> DemoError {
        let what = what.into();
        move |source| DemoError::System { what, source }
    }
}

impl Help for DemoError {
    fn help(&self) -> String {
        match self {
            DemoError::System { .. } => "check the disk and the limits of this user".into(),
            DemoError::Ports(_) => "end what takes all these ports, or wait".into(),
            DemoError::DidNotHappen { .. } => {
                "run it again when the machine is less busy; if it still fails, report it with this output"
                    .into()
            }
            DemoError::Signal(_) | DemoError::NobodyReads => "run it again".into(),
            DemoError::Command { .. }
            | DemoError::Ended(_)
            | DemoError::Proof { .. }
            | DemoError::Disorderly(_) => {
                "this is a defect of the program: report it with this output".into()
            }
        }
    }
}
