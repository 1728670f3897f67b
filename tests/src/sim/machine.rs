//! A machine: clocks, a disk, and a node's process that drives the product's core as its contract asks.

use nitro_elect::core::Core;
use nitro_elect::core::config::{Config, FANOUT_DEFAULT, Membership, Predecessor};
use nitro_elect::core::durable::Record;
use nitro_elect::core::event::{Action, Event};
use nitro_elect_protocol::crypto::{NodeKey, Signer};
use nitro_elect_protocol::evidence::Evidence;
use nitro_elect_protocol::ids::{Generation, NodeId};
use nitro_elect_protocol::proof::Bundle;
use nitro_elect_protocol::resign::Resign;
use nitro_elect_protocol::statement::Signed;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::clock::{At, Clock};
use super::dice::Dice;
use super::identities::Primitives;
use super::recorder::Recorder;
use super::standin::StandInKey;
use super::succession::Place;
use super::work::Workplace;

/// Events that wait for a busy process at most; the rest is lost, as in a full socket.
pub const INBOX_MAX: usize = 4096;

/// What survives a process.
#[derive(Clone, Debug)]
pub struct Disk {
    /// The record as it was last synced.
    pub record: Record,
    /// The highest certificate of the log.
    pub newest: Option<Bundle>,
    /// Proof of dishonest voters.
    pub evidence: Vec<Evidence>,
}

/// A process and its state of driving the core.
pub struct Process {
    /// The node's rules.
    pub core: Core,
    /// Events that wait until the actions of the one before are done.
    pub inbox: VecDeque<Event>,
    /// Actions not done yet.
    pub actions: VecDeque<Action>,
    /// The write under way.
    pub writing: Option<Record>,
    /// Stopped until this time.
    pub paused_until: Option<At>,
    /// The next planned tick.
    pub tick: Option<At>,
}

impl Process {
    /// Whether it can take in an event now.
    pub fn is_free(&self) -> bool {
        self.writing.is_none() && self.paused_until.is_none()
    }
}

/// A machine with one node.
pub struct Machine {
    /// What the log calls it.
    pub name: String,
    /// Its node's key.
    pub id: NodeId,
    /// Its node's address.
    pub address: String,
    /// Its clocks.
    pub clock: Clock,
    /// Its disk.
    pub disk: Disk,
    /// Its process, while one runs.
    pub process: Option<Process>,
    /// Counts processes, those that ended too: tells what was meant for an earlier one.
    pub life: u64,
    /// At which manifest its node is.
    pub place: Place,
    /// Whether the process is to end in the midst of its next write.
    pub doomed: bool,
    /// Writes that are to fail.
    pub failing_writes: u64,
    /// The proxies that it asks, by endpoint.
    pub proxies: Vec<usize>,
    /// The leader-only work on it.
    pub(super) work: Workplace,
    /// Messages from and to it take long until then.
    pub slow_until: At,
    secret: [u8; 32],
    primitives: Primitives,
}

impl Machine {
    /// A machine whose node was never started.
    pub fn new(
        index: usize,
        primitives: Primitives,
        clock: Clock,
        patience: Duration,
        dice: &mut Dice,
    ) -> Self {
        let secret = dice.bytes32();
        let id = match primitives {
            Primitives::StandIn => NodeId(secret),
            Primitives::Real => NodeKey::from_seed(secret).id(),
        };
        let record =
            Record { node: id, cluster: None, generation: Generation(0), support: None, forgot_votes: false };
        Machine {
            name: format!("n{}", index + 1),
            id,
            address: format!("10.0.0.{}:5000", index + 1),
            clock,
            disk: Disk { record, newest: None, evidence: Vec::new() },
            process: None,
            life: 0,
            place: Place::default(),
            doomed: false,
            failing_writes: 0,
            proxies: Vec::new(),
            work: Workplace::new(patience),
            slow_until: At(0),
            secret,
            primitives,
        }
    }

    /// The node's key.
    pub fn key(&self) -> Box<dyn Signer> {
        match self.primitives {
            Primitives::StandIn => Box::new(StandInKey(self.id)),
            Primitives::Real => Box::new(NodeKey::from_seed(self.secret)),
        }
    }

    /// Starts a process in a new generation, which is synced first.
    pub fn start(
        &mut self,
        (membership, predecessor): (Membership, Option<Predecessor>),
        crypto: Arc<Recorder>,
        seed: [u8; 32],
        at: At,
    ) {
        self.disk.record.generation.0 += 1;
        self.life += 1;
        let config = Config {
            name: self.name.clone(),
            address: self.address.clone(),
            membership,
            predecessor,
            enclaves: self.proxies.len(),
            fanout: FANOUT_DEFAULT,
            record: self.disk.record,
            newest: self.disk.newest.clone(),
            evidence: self.disk.evidence.clone(),
            seed,
        };
        self.process = Some(Process {
            core: Core::new(config, self.key(), crypto, self.clock.read(at)),
            inbox: VecDeque::new(),
            actions: VecDeque::new(),
            writing: None,
            paused_until: None,
            tick: None,
        });
    }

    /// Ends the process. `keep_write`: whether a write under way still reaches the disk. Says whether one was lost.
    pub fn crash(&mut self, keep_write: bool) -> bool {
        self.life += 1;
        let writing = self.process.take().and_then(|process| process.writing);
        if let Some(record) = writing.filter(|_| keep_write) {
            self.disk.record = record;
        }
        writing.is_some() && !keep_write
    }

    /// The resignation that the supervisor of the running process has in its memory, if it was left one yet.
    pub fn last_will(&self) -> Option<Signed<Resign>> {
        self.process.as_ref()?.core.last_will()
    }

    /// Whether a process runs.
    pub fn is_up(&self) -> bool {
        self.process.is_some()
    }
}
