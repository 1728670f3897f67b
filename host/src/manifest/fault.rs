//! What can be wrong with a manifest, each with the line it is in.

use std::fmt;

use nitro_elect_protocol::electorate::ElectorateFault;
use nitro_elect_protocol::ids::{NodeId, ParseIdError};
use nitro_elect_protocol::limits::OBSERVERS_MAX;

use crate::duration::DurationError;
use crate::trust_file::{RootTextError, SimulatedContradiction};

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The line of the file, from 1 on.
    pub line: usize,
    /// What is wrong there.
    pub what: FaultKind,
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "line {}: {}", self.line, self.what)
    }
}

/// What is wrong. Keys are named by their full path, as in `trust.max_age`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultKind {
    /// Not TOML.
    #[error("not TOML: {0}")]
    Syntax(String),
    /// A key that has to be there.
    #[error("{key} is missing")]
    Missing {
        /// The key.
        key: String,
    },
    /// A key that means nothing here: perhaps a misspelt restriction.
    #[error("{key} is not known here{}", meant.map(|key| format!("; did you mean {key}?")).unwrap_or_default())]
    Unknown {
        /// The key, cut to 60 characters.
        key: String,
        /// The known key most like it.
        meant: Option<&'static str>,
    },
    /// A value of another type.
    #[error("{key} must be {expected}, not {found}")]
    Type {
        /// The key.
        key: String,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// A number out of its range.
    #[error("{key} must be a whole number from {min} to {max}")]
    Range {
        /// The key.
        key: String,
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// A word that is none of the choices.
    #[error("{key} is {found:?}; it must be one of {choices}")]
    Choice {
        /// The key.
        key: String,
        /// The word, cut to 40 characters.
        found: String,
        /// What it may be.
        choices: String,
    },
    /// An identity that is not written as one.
    #[error("{key}: {fault}")]
    Id {
        /// The key.
        key: String,
        /// What is wrong with it.
        fault: ParseIdError,
    },
    /// A span of time that is not written as one.
    #[error("{key}: {fault}")]
    Duration {
        /// The key.
        key: String,
        /// What is wrong with it.
        fault: DurationError,
    },
    /// A span that a trust file could not say.
    #[error("{key} must be a whole number of seconds")]
    WholeSeconds {
        /// The key.
        key: String,
    },
    /// The root is neither "aws" nor a certificate.
    #[error("trust.root: {0}")]
    Root(RootTextError),
    /// `simulated` contradicts the root.
    #[error("trust: {0}")]
    Simulated(SimulatedContradiction),
    /// The cluster id of open clusters.
    #[error("cluster is all zeros, which is an open cluster's; `nitro-elect manifest new` draws one")]
    OpenCluster,
    /// Epochs begin at 1.
    #[error("epoch is 0; the first manifest of a cluster has epoch 1")]
    EpochZero,
    /// The first manifest has nothing before it.
    #[error("epoch 1 is the first, it has no previous; the next manifest has epoch 2")]
    PreviousOfFirst,
    /// Every other has.
    #[error("epoch {0} needs previous, the digest of the manifest before it")]
    PreviousMissing(u64),
    /// An observer that votes.
    #[error("observers: {} is a voter already", .0.short())]
    ObserverVotes(NodeId),
    /// An observer listed twice.
    #[error("observers: {} is listed twice", .0.short())]
    DoubledObserver(NodeId),
    /// More than are ever admitted.
    #[error("observers: {found} are more than {OBSERVERS_MAX}")]
    TooManyObservers {
        /// How many are listed.
        found: usize,
    },
    /// What the electorate itself says of its contents.
    #[error(transparent)]
    Electorate(#[from] ElectorateFault),
}
