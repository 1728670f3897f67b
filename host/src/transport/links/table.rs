//! Which connections there are to whom, and which of them is used for sending: the dialled one, else the accepted
//! one. Pure bookkeeping; what the node must be told comes back as [`Change`]s.

use super::event::DownReason;
use super::queue::SendQueue;
use nitro_elect_protocol::ids::NodeId;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// One connection, for as long as the process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnectionId(pub u64);

/// Who opened a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// This node.
    Dialled,
    /// The peer.
    Accepted,
}

/// A connection whose peer is authenticated.
#[derive(Debug, Clone)]
pub struct Live {
    /// Which.
    pub id: ConnectionId,
    /// Its other end.
    pub address: SocketAddr,
    /// The way to send on it and to end it.
    pub queue: Arc<SendQueue>,
}

/// What the node must be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// There is a way to send, or a better one.
    Up {
        /// The other end.
        address: SocketAddr,
        /// Who opened it.
        direction: Direction,
    },
    /// The way to send is gone.
    Down(DownReason),
}

/// Why a connection is not taken in: there is a dialled one to that peer already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlreadyDialled;

/// All connections.
#[derive(Debug, Default)]
pub struct Table {
    peers: HashMap<NodeId, Paths>,
}

/// The connections to one peer: at least one.
#[derive(Debug, Default)]
struct Paths {
    dialled: Option<Live>,
    accepted: Option<Live>,
}

impl Table {
    /// Takes in a connection. An accepted one ends its forerunner, since the peer has given that up.
    pub fn insert(
        &mut self,
        peer: NodeId,
        direction: Direction,
        live: Live,
    ) -> Result<Vec<Change>, AlreadyDialled> {
        let paths = self.peers.entry(peer).or_default();
        let up = Change::Up { address: live.address, direction };
        match direction {
            Direction::Dialled if paths.dialled.is_some() => Err(AlreadyDialled),
            Direction::Dialled => {
                paths.dialled = Some(live);
                Ok(vec![up])
            }
            Direction::Accepted => {
                let replaced = paths.accepted.replace(live);
                replaced.iter().for_each(|old| old.queue.end(DownReason::Replaced));
                Ok(match (&paths.dialled, replaced) {
                    (Some(_), _) => vec![],
                    (None, Some(_)) => vec![Change::Down(DownReason::Replaced), up],
                    (None, None) => vec![up],
                })
            }
        }
    }

    /// Removes a connection that ended, unless another took its place.
    pub fn remove(&mut self, peer: &NodeId, id: ConnectionId, reason: DownReason) -> Vec<Change> {
        let Some(paths) = self.peers.get_mut(peer) else { return vec![] };
        let was_sending = paths.sending().is_some_and(|live| live.id == id);
        paths.dialled.take_if(|live| live.id == id);
        paths.accepted.take_if(|live| live.id == id);
        let rest = paths.sending().map(|live| live.address);
        if rest.is_none() {
            self.peers.remove(peer);
        }
        let other = rest.map(|address| Change::Up { address, direction: Direction::Accepted });
        match was_sending {
            true => std::iter::once(Change::Down(reason)).chain(other).collect(),
            false => vec![],
        }
    }

    /// The connection to send on.
    pub fn sending(&self, peer: &NodeId) -> Option<&Live> {
        self.peers.get(peer).and_then(Paths::sending)
    }

    /// The connection that this node dialled.
    pub fn dialled(&self, peer: &NodeId) -> Option<&Live> {
        self.peers.get(peer).and_then(|paths| paths.dialled.as_ref())
    }

    /// Everybody connected.
    pub fn peers(&self) -> impl Iterator<Item = &NodeId> {
        self.peers.keys()
    }

    /// Every connection that a peer opened.
    pub fn accepted(&self) -> impl Iterator<Item = (&NodeId, &Live)> {
        self.peers.iter().filter_map(|(peer, paths)| paths.accepted.as_ref().map(|live| (peer, live)))
    }

    /// Every connection.
    pub fn connections(&self) -> impl Iterator<Item = (&NodeId, &Live)> {
        self.peers.iter().flat_map(|(peer, paths)| {
            paths.dialled.iter().chain(&paths.accepted).map(move |live| (peer, live))
        })
    }
}

impl Paths {
    fn sending(&self) -> Option<&Live> {
        self.dialled.as_ref().or(self.accepted.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{Accepted, Dialled};

    const PEER: NodeId = NodeId([7; 32]);

    fn live(id: u64) -> Live {
        let address = SocketAddr::from(([127, 0, 0, 1], u16::try_from(id).unwrap()));
        Live { id: ConnectionId(id), address, queue: Arc::new(SendQueue::new(1, 1)) }
    }

    fn up(id: u64, direction: Direction) -> Change {
        Change::Up { address: live(id).address, direction }
    }

    fn sending(table: &Table) -> Option<u64> {
        table.sending(&PEER).map(|live| live.id.0)
    }

    #[test]
    fn the_dialled_connection_is_preferred_whichever_came_first() {
        let mut table = Table::default();
        assert_eq!(table.insert(PEER, Accepted, live(1)), Ok(vec![up(1, Accepted)]));
        assert_eq!(table.insert(PEER, Dialled, live(2)), Ok(vec![up(2, Dialled)]));
        assert_eq!(sending(&table), Some(2));
        let mut table = Table::default();
        assert_eq!(table.insert(PEER, Dialled, live(2)), Ok(vec![up(2, Dialled)]));
        assert_eq!(table.insert(PEER, Accepted, live(1)), Ok(vec![]));
        assert_eq!(sending(&table), Some(2));
    }

    #[test]
    fn the_loss_of_the_sending_connection_is_told_even_if_the_other_takes_over() {
        let mut table = Table::default();
        table.insert(PEER, Accepted, live(1)).unwrap();
        table.insert(PEER, Dialled, live(2)).unwrap();
        let changes = table.remove(&PEER, ConnectionId(2), DownReason::Reset);
        assert_eq!(changes, [Change::Down(DownReason::Reset), up(1, Accepted)]);
        assert_eq!(
            table.remove(&PEER, ConnectionId(1), DownReason::Closed),
            [Change::Down(DownReason::Closed)]
        );
        assert_eq!(table.peers().count(), 0);
    }

    #[test]
    fn the_loss_of_the_other_connection_is_nobodys_business() {
        let mut table = Table::default();
        table.insert(PEER, Accepted, live(1)).unwrap();
        table.insert(PEER, Dialled, live(2)).unwrap();
        assert_eq!(table.remove(&PEER, ConnectionId(1), DownReason::Closed), []);
        assert_eq!(sending(&table), Some(2));
    }

    #[tokio::test]
    async fn a_peer_that_connects_anew_ends_its_old_connection_and_its_end_changes_nothing_more() {
        let mut table = Table::default();
        let old = live(1);
        table.insert(PEER, Accepted, old.clone()).unwrap();
        let changes = table.insert(PEER, Accepted, live(2)).unwrap();
        assert_eq!(changes, [Change::Down(DownReason::Replaced), up(2, Accepted)]);
        assert_eq!(old.queue.next().await, super::super::queue::Next::Close(DownReason::Replaced));
        assert_eq!(table.remove(&PEER, ConnectionId(1), DownReason::Replaced), []);
        assert_eq!(sending(&table), Some(2));
    }

    #[test]
    fn a_second_dial_of_the_same_peer_is_not_taken_in() {
        let mut table = Table::default();
        table.insert(PEER, Dialled, live(1)).unwrap();
        assert_eq!(table.insert(PEER, Dialled, live(2)), Err(AlreadyDialled));
        assert_eq!((sending(&table), table.connections().count()), (Some(1), 1));
    }
}
