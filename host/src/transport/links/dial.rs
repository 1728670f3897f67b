//! Dialling peers and dialling them again: one task for each, for as long as the node wants to reach it.

use super::backoff::Backoff;
use super::config::{Class, Peer};
use super::event::{DownReason, LinkEvent};
use super::greeting::{GREETING_MAX, Greeting};
use super::shared::{NewLink, Shared, lock};
use super::table::Direction;
use crate::transport::connect::connect_tcp;
use crate::transport::endpoint::HostPort;
use crate::transport::frame::{Deadlines, FrameReader};
use crate::transport::seats::roll;
use crate::transport::socket;
use crate::transport::stream::Stream;
use crate::transport::tls::{ExpectedKey, Service, TlsClient};
use nitro_elect_protocol::ids::NodeId;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// Too many peers to dial; none was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{max} peers are dialled already, and no more can be")]
pub struct TooManyPeers {
    /// The bound.
    pub max: usize,
}

/// Who is dialled. Taking an entry out ends its task and the connection it dialled.
#[derive(Default)]
pub struct Targets {
    by_key: HashMap<NodeId, Handle>,
    by_address: HashMap<HostPort, Handle>,
}

struct Handle {
    target: Arc<Target>,
    class: Class,
    /// Dropping it ends the task.
    _alive: watch::Sender<()>,
}

/// What a dialling task works from.
struct Target {
    key: Option<NodeId>,
    /// May change while the task lives.
    address: Mutex<HostPort>,
    /// The peer was heard of: dial soon.
    wake: Notify,
}

impl Targets {
    /// Dials nobody any more.
    pub fn clear(&mut self) {
        *self = Targets::default();
    }

    /// Ends the waits of a peer that showed itself.
    pub fn wake(&self, peer: &NodeId) {
        self.by_key.get(peer).inspect(|handle| handle.target.wake.notify_one());
    }

    fn len(&self) -> usize {
        self.by_key.len() + self.by_address.len()
    }

    /// Whether this very peer is dialled already; takes its new address, if it has one.
    fn update(&self, peer: &Peer) -> bool {
        let handle = match &peer.key {
            Some(key) => self.by_key.get(key),
            None => self.by_address.get(&peer.address),
        };
        let Some(handle) = handle.filter(|handle| handle.class == peer.class) else { return false };
        let old = std::mem::replace(&mut *lock(&handle.target.address), peer.address.clone());
        if old != peer.address {
            handle.target.wake.notify_one();
        }
        true
    }

    fn insert(&mut self, peer: Peer) -> (Arc<Target>, watch::Receiver<()>) {
        let (alive, gone) = watch::channel(());
        let address = Mutex::new(peer.address.clone());
        let target = Arc::new(Target { key: peer.key, address, wake: Notify::new() });
        let handle = Handle { target: target.clone(), class: peer.class, _alive: alive };
        match peer.key {
            Some(key) => self.by_key.insert(key, handle),
            None => self.by_address.insert(peer.address, handle),
        };
        (target, gone)
    }
}

impl Shared {
    /// Dials a peer from now on, or at another address than before.
    pub fn know(self: &Arc<Self>, peer: Peer) -> Result<(), TooManyPeers> {
        let mut targets = lock(&self.targets);
        if self.is_closing() || peer.key == Some(self.identity.id()) || targets.update(&peer) {
            return Ok(());
        }
        if targets.len() >= self.bounds.dials {
            return Err(TooManyPeers { max: self.bounds.dials });
        }
        let backoff = Backoff::new(peer.class, self.lease);
        let (target, gone) = targets.insert(peer);
        self.spawn(keep_dialling(self.clone(), target, backoff, gone));
        Ok(())
    }

    /// Dials a peer no more and ends the connection that was dialled.
    pub fn forget(&self, peer: &NodeId) {
        lock(&self.targets).by_key.remove(peer);
    }

    /// Dials an address without a known key no more and ends the connection that was dialled.
    pub fn forget_address(&self, address: &HostPort) {
        lock(&self.targets).by_address.remove(address);
    }
}

/// A link that was dialled and greeted.
struct Dialled {
    peer: NodeId,
    address: SocketAddr,
    stream: Stream,
}

async fn keep_dialling(
    shared: Arc<Shared>,
    target: Arc<Target>,
    mut backoff: Backoff,
    mut gone: watch::Receiver<()>,
) {
    let mut learnt = target.key;
    loop {
        let connected_already = learnt.is_some_and(|peer| shared.is_dialled(&peer));
        if !connected_already {
            tokio::select! {
                _ = gone.changed() => return,
                dialled = dial(&shared, &target) => match dialled {
                    Ok(dialled) => {
                        learnt = Some(dialled.peer);
                        run(&shared, dialled, &mut backoff, &mut gone).await;
                    }
                    Err(reason) => report(&shared, &target, reason, &mut backoff).await,
                },
            }
        }
        let wait = backoff.wait(roll());
        tokio::select! {
            _ = gone.changed() => return,
            () = tokio::time::sleep(wait) => (),
            () = woken(&target, backoff.first()) => (),
        }
    }
}

/// The peer showed itself; at once would be too often, should it do so all the time.
async fn woken(target: &Target, at_least: Duration) {
    tokio::time::sleep(at_least).await;
    target.wake.notified().await;
}

/// Carries frames until the link ends, or until the peer is to be dialled no more.
async fn run(shared: &Arc<Shared>, dialled: Dialled, backoff: &mut Backoff, gone: &mut watch::Receiver<()>) {
    let Dialled { peer, address, stream } = dialled;
    let queue = shared.new_queue();
    let began = Instant::now();
    let direction = Direction::Dialled;
    let link = shared.run_link(NewLink { peer, direction, address, stream, queue: queue.clone() });
    tokio::pin!(link);
    let reason = tokio::select! {
        reason = &mut link => reason,
        _ = gone.changed() => {
            match shared.is_closing() {
                true => queue.flush_and_end(),
                false => queue.end(DownReason::Forgotten),
            }
            link.await
        }
    };
    backoff.lasted(match reason {
        DownReason::Duplicate => Duration::ZERO,
        _ => began.elapsed(),
    });
}

async fn report(shared: &Shared, target: &Target, reason: DownReason, backoff: &mut Backoff) {
    shared.counters.dials_failed.up();
    match reason {
        DownReason::WrongKey { .. } => shared.counters.dials_wrong_key.up(),
        DownReason::TurnedAway(_) => shared.counters.dials_turned_away.up(),
        _ => (),
    }
    let address = lock(&target.address).to_string();
    tracing::debug!(%address, %reason, "dial failed");
    if let DownReason::NotAdmitted(_) = reason {
        backoff.despair();
    }
    match target.key {
        Some(peer) => shared.tell_unreached(peer, reason).await,
        None => {
            let _node_is_gone = shared.events.send(LinkEvent::Unreachable { address, reason }).await;
        }
    }
}

/// One dial, from the name to the greeting.
async fn dial(shared: &Shared, target: &Target) -> Result<Dialled, DownReason> {
    shared.counters.dials.up();
    let deadline = shared.bounds.dial_deadline;
    let dialling = dial_without_deadline(shared, target, deadline);
    let dialled = tokio::time::timeout(deadline, dialling).await;
    dialled.unwrap_or(Err(DownReason::DialDeadline(deadline)))
}

async fn dial_without_deadline(
    shared: &Shared,
    target: &Target,
    deadline: Duration,
) -> Result<Dialled, DownReason> {
    let place = lock(&target.address).clone();
    let (stream, address) = connect_tcp(&place, shared.bounds.connect_deadline).await?;
    let prepared = socket::prepare(&stream, shared.bounds.unacknowledged);
    prepared.map_err(|cause| DownReason::Network(cause.kind()))?;
    let expected = target.key.map_or(ExpectedKey::Any, ExpectedKey::Exactly);
    let client = TlsClient::new(Service::Peer, shared.identity.clone());
    let (mut stream, peer) = client.connect(stream, expected, deadline).await?;
    if target.key.is_none() {
        shared.judge(&peer).map_err(DownReason::NotAdmitted)?;
    }
    let deadlines = Deadlines { idle: deadline, frame: deadline };
    let greeting = FrameReader::new(&mut stream).read(GREETING_MAX, deadlines).await?;
    match Greeting::decode(&greeting) {
        Ok(Greeting::Welcome) => Ok(Dialled { peer, address, stream: Box::new(stream) }),
        Ok(Greeting::Unwelcome(why)) => Err(DownReason::TurnedAway(why)),
        Err(_) => Err(DownReason::NotANode),
    }
}
