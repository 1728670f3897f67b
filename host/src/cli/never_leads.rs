//! What is asked of a node that can never lead: it would wait for ever, so it is refused before it begins.

use std::path::Path;

use super::Failure;
use super::failure::USAGE;
use crate::help::Help;

/// What only a voter can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A command that runs while the node leads.
    Command,
    /// A check that says whether it may lead.
    Check,
}

/// It is asked of a node whose key is no voter's.
#[derive(Debug, thiserror::Error)]
#[error("the key of {} is no voter of the manifest, so its node never leads, and {}", .state.display(), .asked.in_vain())]
struct NeverLeads<'a> {
    state: &'a Path,
    asked: Asked,
}

impl Asked {
    fn in_vain(self) -> &'static str {
        match self {
            Asked::Command => "the command would never run",
            Asked::Check => "--check would decide nothing",
        }
    }
}

impl Help for NeverLeads<'_> {
    fn help(&self) -> String {
        let without = match self.asked {
            Asked::Command => "leave out the command, to observe alone",
            Asked::Check => "leave out --check, to observe alone",
        };
        format!("name the state directory of one of the manifest's voters with --state, or {without}")
    }
}

/// Refuses it, as wrong usage.
pub fn refuse(asked: Asked, state: &Path) -> Failure {
    let never = NeverLeads { state, asked };
    Failure::new(USAGE, &never, never.help())
}
