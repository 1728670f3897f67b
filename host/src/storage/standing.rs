//! Which manifest a node is at: the file `electorate`, replaced whole when the node moves to the next one.
//!
//! It is written before the node signs anything under its manifest, and never goes back, so that a node that has left a
//! manifest refuses it for ever (DESIGN §3.8). It holds the electorates themselves: the voters of the one that was left
//! are still needed, to judge what they certified.

use nitro_elect_protocol::electorate::Electorate;
use serde::{Deserialize, Serialize};

use super::checked::{self, FileFault, Kind};

/// The name of the file in a state directory.
pub const ELECTORATE_FILE: &str = "electorate";
const KIND: Kind = Kind {
    magic: *b"NELECTEL",
    what: "file that says at which manifest a node is",
    domain: "nitro-elect/v1/standing",
};

/// Where a node stands in the succession of manifests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// The manifest it is at.
    pub present: Electorate,
    /// The one that it left for that, or that it was shown as its predecessor.
    pub previous: Option<Electorate>,
}

/// The bytes of the file.
pub(super) fn to_file(standing: &Standing) -> Vec<u8> {
    checked::to_file(&KIND, standing)
}

/// Reads the bytes of the file.
pub(super) fn from_file(bytes: &[u8]) -> Result<Standing, FileFault> {
    checked::from_file(&KIND, bytes)
}
