//! What a node and its supervisor tell each other, and the bytes of it.
//!
//! Each message is one datagram of a socket pair that keeps messages apart (`SOCK_SEQPACKET`): at most
//! [`LINK_MESSAGE_MAX`] bytes, whole or not at all, in order. The first byte is the kind; the rest is canonical CBOR,
//! but for the last will, which is read where it lies so that the key in it is copied nowhere else.

use nitro_elect_protocol::codec::{self, DecodeError, bound};
use nitro_elect_protocol::ids::NodeId;
use nitro_elect_protocol::limits::{ADDRESS_MAX, VOTERS_MAX};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

use super::limits::{CGROUP_PATH_MAX, LINK_MESSAGE_MAX};
use crate::limits::LAST_WILL_MAX;
use crate::signals::EndSignal;

/// Bytes of a node key's seed.
const SEED: usize = 32;
/// The kind of a message that carries the last will.
const KIND_WILL: u8 = 1;
/// The kind of every other message.
const KIND_CBOR: u8 = 2;

/// A voter to be told of the node's death.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Voter {
    /// Its key.
    pub key: NodeId,
    /// Where it is reached, `host:port`.
    pub address: String,
}

/// A leader-only command that the node runs, as the leader of a process group of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// The process group, which is also the process number of the command.
    pub group: i32,
    /// The cgroup (version 2) that holds all of its processes, if it has one: the directory.
    pub cgroup: Option<PathBuf>,
}

/// What a node tells its supervisor. A message counts from the moment that it was sent (see [`super::link`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Report {
    /// The voters to whom the will goes, in place of those told before.
    Voters(Vec<Voter>),
    /// A leader-only command is about to run, or runs.
    CommandStarted(Command),
    /// It is gone, and all of its processes with it.
    CommandGone {
        /// Its process group.
        group: i32,
    },
    /// A runner beside the node took work that only a leader may do.
    RunnerAttached {
        /// Which: never used again in this life of the node.
        id: u64,
    },
    /// It said itself that its work is gone.
    RunnerGone {
        /// Which.
        id: u64,
    },
    /// The will is not to be sent, whatever becomes of the node: its key may have another life beside this one.
    Revoked,
}

/// What a supervisor tells its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// The supervisor was sent this signal.
    End(EndSignal),
}

/// A last will as it travels: the node's key, by which the voters let its bearer in, and the frame that they are sent.
#[derive(Clone, Copy)]
pub struct WillBytes<'a> {
    /// The seed of the node's key.
    pub seed: &'a [u8; SEED],
    /// A whole frame: the signed resignation in its envelope.
    pub frame: &'a [u8],
}

/// A message to a supervisor, read where it lies.
pub enum Heard<'a> {
    /// The last will, in place of one sent before.
    Will(WillBytes<'a>),
    /// Anything else.
    Report(Report),
}

/// Why bytes are no message to a supervisor or a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// More bytes than any message has, or fewer.
    #[error("a message of {len} bytes between node and supervisor: 2 to {LINK_MESSAGE_MAX} can be")]
    Length {
        /// How many came.
        len: usize,
    },
    /// A first byte that names no kind.
    #[error("a message of kind {0} between node and supervisor: two programs of different versions?")]
    Kind(u8),
    /// Its content breaks its form or a bound.
    #[error("a message between node and supervisor: {0}")]
    Content(#[from] DecodeError),
}

impl Report {
    /// The datagram.
    pub fn encode(&self) -> Vec<u8> {
        with_kind(KIND_CBOR, &codec::encode(self))
    }

    fn check_bounds(&self) -> Result<(), DecodeError> {
        match self {
            Report::Voters(voters) => {
                bound("voters", voters.len(), VOTERS_MAX)?;
                voters.iter().try_for_each(|voter| bound("address", voter.address.len(), ADDRESS_MAX))
            }
            Report::CommandStarted(Command { cgroup: Some(path), .. }) => {
                bound("cgroup", path.as_os_str().len(), CGROUP_PATH_MAX)
            }
            _ => Ok(()),
        }
    }
}

impl Order {
    /// The datagram.
    pub fn encode(&self) -> Vec<u8> {
        with_kind(KIND_CBOR, &codec::encode(self))
    }

    /// Reads a datagram.
    pub fn decode(datagram: &[u8]) -> Result<Self, LinkError> {
        match split(datagram)? {
            (KIND_CBOR, body) => Ok(codec::decode(body)?),
            (kind, _) => Err(LinkError::Kind(kind)),
        }
    }
}

impl WillBytes<'_> {
    /// The datagram. Whoever sent it overwrites it.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1 + SEED + self.frame.len());
        bytes.push(KIND_WILL);
        bytes.extend_from_slice(self.seed);
        bytes.extend_from_slice(self.frame);
        bytes
    }
}

/// Reads a datagram that a node sent.
pub fn hear(datagram: &[u8]) -> Result<Heard<'_>, LinkError> {
    match split(datagram)? {
        (KIND_WILL, body) => {
            let (seed, frame) = body.split_first_chunk().ok_or(LinkError::Length { len: datagram.len() })?;
            bound("will", frame.len(), LAST_WILL_MAX)?;
            Ok(Heard::Will(WillBytes { seed, frame }))
        }
        (KIND_CBOR, body) => {
            let report: Report = codec::decode(body)?;
            report.check_bounds()?;
            Ok(Heard::Report(report))
        }
        (kind, _) => Err(LinkError::Kind(kind)),
    }
}

fn split(datagram: &[u8]) -> Result<(u8, &[u8]), LinkError> {
    match datagram {
        [kind, body @ ..] if !body.is_empty() && datagram.len() <= LINK_MESSAGE_MAX => Ok((*kind, body)),
        _ => Err(LinkError::Length { len: datagram.len() }),
    }
}

fn with_kind(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind], body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reports() -> Vec<Report> {
        let voter = Voter { key: NodeId([1; 32]), address: "127.0.0.1:5000".into() };
        vec![
            Report::Voters(vec![voter.clone(), voter]),
            Report::Voters(vec![]),
            Report::CommandStarted(Command { group: 77, cgroup: Some("/sys/fs/cgroup/a".into()) }),
            Report::CommandStarted(Command { group: 77, cgroup: None }),
            Report::CommandGone { group: 77 },
            Report::RunnerAttached { id: 3 },
            Report::RunnerGone { id: 3 },
            Report::Revoked,
        ]
    }

    #[test]
    fn what_is_told_is_what_is_heard() {
        for report in reports() {
            let datagram = report.encode();
            assert!(matches!(hear(&datagram), Ok(Heard::Report(heard)) if heard == report), "{report:?}");
        }
        for signal in [EndSignal::Terminate, EndSignal::Interrupt, EndSignal::HangUp] {
            assert_eq!(Order::decode(&Order::End(signal).encode()), Ok(Order::End(signal)));
        }
        let datagram = WillBytes { seed: &[7; 32], frame: b"a frame" }.encode();
        let Ok(Heard::Will(heard)) = hear(&datagram) else { panic!("it is a will") };
        assert_eq!((heard.seed, heard.frame), (&[7; 32], &b"a frame"[..]));
    }

    #[test]
    fn a_cut_message_one_of_another_kind_and_one_beyond_a_bound_are_refused() {
        for report in reports() {
            let datagram = report.encode();
            assert!(hear(&datagram[..datagram.len() - 1]).is_err(), "{report:?}");
        }
        assert!(matches!(hear(&[]), Err(LinkError::Length { len: 0 })));
        assert!(matches!(hear(&[9, 9]), Err(LinkError::Kind(9))));
        assert!(matches!(hear(&[KIND_WILL; 20]), Err(LinkError::Length { len: 20 })));
        let long = WillBytes { seed: &[7; 32], frame: &[0; LAST_WILL_MAX + 1] }.encode();
        assert!(matches!(hear(&long), Err(LinkError::Content(DecodeError::Bound { field: "will", .. }))));
        let voter = Voter { key: NodeId([1; 32]), address: "a".repeat(ADDRESS_MAX + 1) };
        assert!(hear(&Report::Voters(vec![voter]).encode()).is_err());
        let voter = Voter { key: NodeId([1; 32]), address: String::new() };
        assert!(hear(&Report::Voters(vec![voter; VOTERS_MAX + 1]).encode()).is_err());
        assert!(hear(&vec![KIND_CBOR; LINK_MESSAGE_MAX + 1]).is_err());
    }
}
