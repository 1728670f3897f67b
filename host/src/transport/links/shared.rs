//! The state that all tasks of the links share, and the life of a link from its registration to its end.
//!
//! No lock is held across an await, but for `turn`: whoever changes the table of connections holds it until the
//! node has been told, so that events of one peer keep their order. It is a fair queue, and the wait in it is the
//! node's own backlog.

use super::admission::{Admission, Others, Unwelcome};
use super::config::{Bounds, Class, LinksConfig};
use super::connection;
use super::counts::Counters;
use super::dial::Targets;
use super::event::{DownReason, LinkEvent, RefusedReason};
use super::queue::SendQueue;
use super::table::{Change, ConnectionId, Direction, Live, Table};
use crate::limits::REFUSAL_LINES_PER_SECOND;
use crate::transport::rate::Rate;
use crate::transport::seats::Seats;
use crate::transport::stream::Stream;
use crate::transport::tls::TlsIdentity;
use nitro_elect_protocol::ids::NodeId;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

/// See the module.
pub struct Shared {
    pub identity: TlsIdentity,
    pub bounds: Bounds,
    pub lease: Duration,
    pub counters: Counters,
    /// Bytes of frames that may wait for the node.
    pub inbox: Arc<Semaphore>,
    pub events: mpsc::Sender<LinkEvent>,
    /// Connections that have not authenticated yet, by IP address.
    pub strangers: Arc<Seats<IpAddr>>,
    pub targets: Mutex<Targets>,
    admission: Mutex<Admission>,
    table: Mutex<Table>,
    turn: tokio::sync::Mutex<()>,
    /// Where tasks run: whoever names a new peer may be on a thread whose own runtime has no sockets.
    runtime: Handle,
    /// Nothing once the links have ended.
    tasks: Mutex<Option<JoinSet<()>>>,
    closing: AtomicBool,
    next_connection: AtomicU64,
    refusal_lines: Mutex<Rate>,
}

/// A connection that is ready to carry frames.
pub struct NewLink {
    pub peer: NodeId,
    pub direction: Direction,
    pub address: SocketAddr,
    pub stream: Stream,
    pub queue: Arc<SendQueue>,
}

/// Locks; a panic elsewhere leaves this state whole, since each change is one statement.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// # Panics
    /// Outside a runtime with sockets and timers.
    pub fn new(config: LinksConfig, events: mpsc::Sender<LinkEvent>) -> Self {
        let bounds = config.bounds;
        Shared {
            identity: config.identity,
            bounds,
            lease: config.lease,
            counters: Counters::default(),
            inbox: Arc::new(Semaphore::new(bounds.inbox_bytes)),
            events,
            strangers: Seats::new(bounds.strangers, bounds.strangers_per_ip),
            targets: Mutex::default(),
            admission: Mutex::new(config.admission),
            table: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            runtime: Handle::current(),
            tasks: Mutex::new(Some(JoinSet::new())),
            closing: AtomicBool::new(false),
            next_connection: AtomicU64::new(0),
            refusal_lines: Mutex::new(Rate::new(REFUSAL_LINES_PER_SECOND, REFUSAL_LINES_PER_SECOND)),
        }
    }

    /// Starts a task that ends with the links; none begins once they have ended.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> Option<AbortHandle> {
        let mut tasks = lock(&self.tasks);
        tasks.as_mut().map(|tasks| {
            while tasks.try_join_next().is_some() {}
            tasks.spawn_on(task, &self.runtime)
        })
    }

    /// Takes all tasks, to wait for them or to end them. No more can begin.
    pub fn take_tasks(&self) -> JoinSet<()> {
        lock(&self.tasks).take().unwrap_or_default()
    }

    /// Whether the links are closing, so that nothing new may begin.
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Begins to close: every connection sends what waits and ends.
    pub fn begin_closing(&self) {
        self.closing.store(true, Ordering::Release);
        lock(&self.targets).clear();
        self.strangers.clear();
        lock(&self.table).connections().for_each(|(_, live)| live.queue.flush_and_end());
    }

    /// An empty queue for a new connection.
    pub fn new_queue(&self) -> Arc<SendQueue> {
        Arc::new(SendQueue::new(self.bounds.queue_frames, self.bounds.queue_bytes))
    }

    /// Whether a peer with this key may come in now.
    pub fn judge(&self, key: &NodeId) -> Result<Class, Unwelcome> {
        judge(&lock(&self.admission), &lock(&self.table), &self.identity.id(), key)
    }

    /// Puts another policy in force and ends accepted connections that it does not admit.
    pub fn set_admission(&self, admission: Admission) {
        let mut current = lock(&self.admission);
        *current = admission;
        let table = lock(&self.table);
        for (peer, live) in table.accepted() {
            // Whoever is here already does not count against itself or the number of others.
            let without_number = match &current.others {
                Others::Open(_) => Ok(Class::Other),
                _ => current.judge(&self.identity.id(), peer, 0),
            };
            if let Err(unwelcome) = without_number {
                live.queue.end(DownReason::NotAdmitted(unwelcome));
            }
        }
    }

    /// Ends every connection to a peer.
    pub fn hang_up(&self, peer: &NodeId) {
        let table = lock(&self.table);
        let connections = table.connections().filter(|(other, _)| *other == peer);
        connections.for_each(|(_, live)| live.queue.end(DownReason::BadFrame));
    }

    /// The way to send to a peer.
    pub fn sending(&self, peer: &NodeId) -> Option<Arc<SendQueue>> {
        lock(&self.table).sending(peer).map(|live| live.queue.clone())
    }

    /// Whether this node has dialled the peer and is connected.
    pub fn is_dialled(&self, peer: &NodeId) -> bool {
        lock(&self.table).dialled(peer).is_some()
    }

    /// Carries frames over a connection until it ends; returns why it did.
    pub async fn run_link(self: &Arc<Self>, link: NewLink) -> DownReason {
        let NewLink { peer, direction, address, stream, queue } = link;
        let id = ConnectionId(self.next_connection.fetch_add(1, Ordering::Relaxed));
        if let Err(reason) = self.register(peer, direction, Live { id, address, queue: queue.clone() }).await
        {
            return reason;
        }
        tracing::debug!(peer = %peer.short(), %address, ?direction, "link up");
        let reason = connection::run(self, peer, stream, &queue).await;
        tracing::debug!(peer = %peer.short(), %address, ?direction, %reason, "link ended");
        self.counters.dropped_link_ended.add(queue.discard());
        self.count_end(&reason);
        self.unregister(&peer, id, reason.clone()).await;
        reason
    }

    async fn register(&self, peer: NodeId, direction: Direction, live: Live) -> Result<(), DownReason> {
        let _turn = self.turn.lock().await;
        let changes = self.take_in(peer, direction, live)?;
        match direction {
            Direction::Dialled => self.counters.links_dialled.up(),
            Direction::Accepted => {
                self.counters.links_accepted.up();
                lock(&self.targets).wake(&peer);
            }
        }
        self.tell(peer, changes).await;
        Ok(())
    }

    /// Puts a connection into the table; an accepted one must still be welcome.
    fn take_in(&self, peer: NodeId, direction: Direction, live: Live) -> Result<Vec<Change>, DownReason> {
        let admission = lock(&self.admission);
        let mut table = lock(&self.table);
        if self.is_closing() {
            return Err(DownReason::Closing);
        }
        if direction == Direction::Accepted {
            let judged = judge(&admission, &table, &self.identity.id(), &peer);
            judged.map_err(DownReason::NotAdmitted)?;
        }
        table.insert(peer, direction, live).map_err(|_| DownReason::Duplicate)
    }

    async fn unregister(&self, peer: &NodeId, id: ConnectionId, reason: DownReason) {
        let _turn = self.turn.lock().await;
        let changes = lock(&self.table).remove(peer, id, reason);
        self.tell(*peer, changes).await;
    }

    /// Tells the node that a peer could not be reached, unless it is connected in another way.
    pub async fn tell_unreached(&self, peer: NodeId, reason: DownReason) {
        let _turn = self.turn.lock().await;
        if self.sending(&peer).is_none() {
            self.tell(peer, vec![Change::Down(reason)]).await;
        }
    }

    async fn tell(&self, peer: NodeId, changes: Vec<Change>) {
        for change in changes {
            let event = match change {
                Change::Up { address, direction } => {
                    LinkEvent::Up { peer, address, dialled: direction == Direction::Dialled }
                }
                Change::Down(reason) => LinkEvent::Down { peer, reason },
            };
            // Without a receiver the node is gone, and these links with it.
            let _node_is_gone = self.events.send(event).await;
        }
    }

    /// Counts a connection that was turned away, and says so, if not too often.
    pub fn refused(&self, address: SocketAddr, key: Option<NodeId>, reason: RefusedReason) {
        self.count_refused(reason);
        if !self.may_log() {
            return;
        }
        let shown = key.map_or_else(|| "none".to_string(), |key| key.short());
        tracing::warn!(%address, key = shown, %reason, "connection refused");
        if self.events.try_send(LinkEvent::Refused { address, key, reason }).is_err() {
            self.counters.events_skipped.up();
        }
    }

    /// Whether one more line about strangers may be logged now.
    pub fn may_log(&self) -> bool {
        lock(&self.refusal_lines).allows(Instant::now())
    }

    fn count_refused(&self, reason: RefusedReason) {
        let counter = match reason {
            RefusedReason::Unwelcome(Unwelcome::NotAdmitted) => &self.counters.refused_not_admitted,
            RefusedReason::Unwelcome(Unwelcome::Full) => &self.counters.refused_full,
            RefusedReason::Unwelcome(Unwelcome::SameKey) => &self.counters.refused_same_key,
            RefusedReason::TooSlow => &self.counters.refused_too_slow,
            RefusedReason::Left => &self.counters.refused_left,
            RefusedReason::NotANode => &self.counters.refused_not_a_node,
        };
        counter.up();
    }

    fn count_end(&self, reason: &DownReason) {
        let counter = match reason {
            DownReason::Closed | DownReason::Reset => &self.counters.links_closed,
            DownReason::Silent(_) => &self.counters.links_silent,
            DownReason::Stalled => &self.counters.links_stalled,
            DownReason::BadFrame => &self.counters.links_bad_frame,
            DownReason::Replaced => &self.counters.links_replaced,
            _ => &self.counters.links_other_end,
        };
        counter.up();
    }
}

fn judge(admission: &Admission, table: &Table, own: &NodeId, key: &NodeId) -> Result<Class, Unwelcome> {
    let others = table.peers().filter(|peer| *peer != key && !admission.voters.contains(peer)).count();
    admission.judge(own, key, others)
}
