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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::help::Help;
    use crate::keys;
    use crate::limits::STANDING_MAX;
    use crate::storage::{Owner, Storage, StorageError, give_birth};
    use nitro_elect_protocol::crypto::Signer;
    use nitro_elect_protocol::electorate::{VERSION, Voter};
    use nitro_elect_protocol::ids::{ClusterId, ElectorateDigest, NodeId, Pcr};
    use nitro_elect_protocol::limits::{ADDRESS_MAX, NAME_MAX, PCR_SETS_MAX, ROOT_MAX, VOTERS_MAX};
    use nitro_elect_protocol::policy::{Policy, Rule};
    use nitro_elect_protocol::trust::{PcrSet, Root, Trust};
    use std::fs;
    use std::time::Duration;

    /// The largest electorate there can be.
    fn largest(epoch: u64) -> Electorate {
        let voter = |number: usize| Voter {
            key: NodeId([u8::try_from(number).unwrap(); 32]),
            name: "n".repeat(NAME_MAX),
            address: "a".repeat(ADDRESS_MAX),
            weight: u32::MAX,
        };
        let set =
            PcrSet { pcr0: Pcr([1; 48]), pcr1: Pcr([2; 48]), pcr2: Pcr([3; 48]), pcr8: Some(Pcr([4; 48])) };
        Electorate {
            version: VERSION,
            cluster: ClusterId([3; 16]),
            name: "n".repeat(NAME_MAX),
            epoch,
            previous: Some(ElectorateDigest([5; 32])),
            f: 42,
            policy: Policy::of(Rule::Priority),
            lease_ms: 60_000,
            trust: Trust::new(
                Root::Certificate(vec![0xff; ROOT_MAX]),
                vec![set; PCR_SETS_MAX],
                true,
                Duration::from_secs(3600),
            ),
            voters: (0..VOTERS_MAX).map(voter).collect(),
        }
    }

    #[test]
    fn the_largest_electorates_fit_and_come_back() {
        let standing = Standing { present: largest(u64::MAX), previous: Some(largest(1)) };
        let bytes = to_file(&standing);
        assert!(bytes.len() <= STANDING_MAX, "{}", bytes.len());
        assert_eq!(from_file(&bytes), Ok(standing));
    }

    #[test]
    fn where_a_node_stands_survives_a_restart_and_damage_to_it_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let key = keys::generate().unwrap();
        give_birth(dir.path(), &key).unwrap();
        let owner = Owner { node: key.id(), cluster: ClusterId([3; 16]), danger_forget_votes: false };
        let (mut storage, loaded) = Storage::open(dir.path(), &owner).unwrap();
        assert_eq!(loaded.standing, None);
        let standing = Standing { present: largest(2), previous: None };
        storage.stand(&standing).unwrap();
        drop(storage);
        let (storage, loaded) = Storage::open(dir.path(), &owner).unwrap();
        assert_eq!(loaded.standing, Some(standing));
        drop(storage);
        let path = dir.path().join(ELECTORATE_FILE);
        let bytes = fs::read(&path).unwrap();
        for damaged in [&bytes[..bytes.len() - 1], &[0; 100], &[], &vec![7; STANDING_MAX + 1]] {
            fs::write(&path, damaged).unwrap();
            for danger_forget_votes in [false, true] {
                let error = Storage::open(dir.path(), &Owner { danger_forget_votes, ..owner }).unwrap_err();
                assert!(matches!(error, StorageError::DamagedFile { .. }), "{error}");
                assert!(error.help().contains("manifest replace"), "{}", error.help());
            }
        }
    }
}
