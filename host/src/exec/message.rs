//! What an exec and its node tell each other: one JSON object a line.

use serde::{Deserialize, Serialize};

/// The version of these messages.
pub const VERSION: u32 = 1;

/// To the node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum ToNode {
    /// First of all: who it is.
    Attach {
        /// The version that it speaks.
        version: u32,
        /// Its process, for people.
        process: u32,
    },
    /// It wants to begin; from the answer on it counts as at work.
    Begin,
    /// It wants a lease proof that answers this nonce, in hexadecimal digits.
    Prove {
        /// The nonce.
        nonce: String,
    },
    /// Nothing of its command is left, and nothing starts before it begins again.
    Ended,
    /// The command failed in a way that another node may do better at.
    HandOver,
}

/// From the node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum FromNode {
    /// It is let in.
    Attached {
        /// The node's key, in hexadecimal digits.
        node: String,
    },
    /// It is not.
    Refused {
        /// Why.
        why: String,
    },
    /// What has changed. Advice: only a proof starts or prolongs anything.
    State {
        /// Whether the node holds a lease.
        leads: bool,
        /// Whether work is to end, as the node means to hand over or to end.
        end: bool,
    },
    /// The answer to a wish to begin.
    May {
        /// Whether it counts as at work from now on.
        begin: bool,
    },
    /// A proof for the last nonce, as a proof file holds it.
    Proof {
        /// The file's text.
        text: String,
    },
    /// No quorum answered that nonce in time.
    NoProof,
}
