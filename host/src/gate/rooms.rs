//! Whose connections a gate takes, and how much each key may take up.
//!
//! With a manifest these are its voters, each with a room for as long as the gate lives. Of an open cluster anybody may be
//! a voter, so a key has a room while it has connections, and no more keys have one at once than such a cluster has members.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::{Semaphore, SemaphorePermit};

use nitro_elect_protocol::ids::NodeId;
use nitro_elect_protocol::limits::OPEN_MEMBERS_MAX;

use super::limits::{CONNECTIONS_PER_KEY, PROOFS_PER_KEY};
use super::wire::Purpose;
use crate::verify::Authority;

/// See the module.
#[derive(Debug)]
pub struct Rooms {
    voters: BTreeMap<NodeId, Arc<Room>>,
    /// Of an open cluster: the rooms of the keys that are here.
    anybody: Option<Mutex<BTreeMap<NodeId, Weak<Room>>>>,
}

/// What one key may take up.
#[derive(Debug)]
pub struct Room {
    /// Places for its connections.
    pub connections: Arc<Semaphore>,
    /// Places for proofs that are read or judged, on connections for proofs and on others.
    proofs: [Semaphore; 2],
    /// What people call it.
    pub name: String,
    /// Why its last proof opened nothing, as it was told.
    refused: Mutex<Option<String>>,
}

/// Why a key has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRoom {
    /// The manifest does not name it.
    #[error("the key {} is no voter of the manifest", _0.short())]
    NoVoter(NodeId),
    /// As many keys are here as an open cluster has members.
    #[error("{OPEN_MEMBERS_MAX} keys are connected already, and an open cluster has no more members")]
    TooManyKeys,
}

impl Rooms {
    /// Rooms for whom these authorities let be a voter.
    pub fn of(authorities: &[Authority]) -> Self {
        let (mut voters, mut anybody) = (BTreeMap::new(), None);
        for authority in authorities {
            match authority {
                Authority::Manifest(electorate) => {
                    let room = |voter: &nitro_elect_protocol::electorate::Voter| Room::of(voter.name.clone());
                    voters.extend(electorate.voters.iter().map(|voter| (voter.key, room(voter))));
                }
                Authority::Open(_) => anybody = Some(Mutex::default()),
            }
        }
        Rooms { voters, anybody }
    }

    /// The room of a key, for as long as it is held.
    pub fn room(&self, key: &NodeId) -> Result<Arc<Room>, NoRoom> {
        match (self.voters.get(key), &self.anybody) {
            (Some(room), _) => Ok(room.clone()),
            (None, None) => Err(NoRoom::NoVoter(*key)),
            (None, Some(here)) => {
                let mut here = here.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(room) = here.get(key).and_then(Weak::upgrade) {
                    return Ok(room);
                }
                here.retain(|_, room| room.strong_count() > 0);
                if here.len() >= OPEN_MEMBERS_MAX {
                    return Err(NoRoom::TooManyKeys);
                }
                let room = Room::of(key.short());
                here.insert(*key, Arc::downgrade(&room));
                Ok(room)
            }
        }
    }

    /// What people call a key.
    pub fn name(&self, key: &NodeId) -> String {
        self.voters.get(key).map_or_else(|| key.short(), |room| room.name.clone())
    }
}

impl Room {
    /// A place for a proof on a connection for this.
    pub async fn proof_place(&self, purpose: Purpose) -> SemaphorePermit<'_> {
        let [proving, others] = &self.proofs;
        let places = if purpose == Purpose::Prove { proving } else { others };
        places.acquire().await.expect("the semaphore is never closed")
    }

    /// Notes what became of its newest proof; whether that is worth a line.
    pub fn is_news(&self, refused: Option<String>) -> bool {
        let mut before = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = refused.is_some() && refused != *before;
        *before = refused;
        is_news
    }

    fn of(name: String) -> Arc<Room> {
        let connections = Arc::new(Semaphore::new(CONNECTIONS_PER_KEY));
        let proofs = [PROOFS_PER_KEY; 2].map(Semaphore::new);
        Arc::new(Room { connections, proofs, name, refused: Mutex::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulated::{SimulatedPki, nsm::measurements};
    use nitro_elect_protocol::limits::AGE_DEFAULT;
    use nitro_elect_protocol::trust::Trust;

    fn anybody() -> Rooms {
        let root = SimulatedPki::generate().unwrap().root();
        let trust = Trust::new(root, vec![measurements()], false, AGE_DEFAULT);
        Rooms::of(&[Authority::Open(Box::new(trust))])
    }

    fn key(number: usize) -> NodeId {
        NodeId([u8::try_from(number).unwrap(); 32])
    }

    #[test]
    fn an_open_cluster_has_a_room_for_every_key_that_is_here_and_no_more_than_members() {
        let rooms = anybody();
        let mut held: Vec<_> =
            (0..OPEN_MEMBERS_MAX).map(|number| rooms.room(&key(number)).unwrap()).collect();
        let late = key(OPEN_MEMBERS_MAX);
        assert_eq!(rooms.room(&late).unwrap_err(), NoRoom::TooManyKeys);
        assert!(Arc::ptr_eq(&rooms.room(&key(0)).unwrap(), &held[0]), "one key has one room");
        held.pop();
        rooms.room(&late).expect("whoever went makes room");
    }

    #[test]
    fn without_a_manifest_or_an_open_cluster_nobody_has_a_room() {
        assert_eq!(Rooms::of(&[]).room(&key(1)).unwrap_err(), NoRoom::NoVoter(key(1)));
    }
}
