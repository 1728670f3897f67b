//! What works on one machine while its node leads, as its node, its runners and its execs know it.

use nitro_elect::run::rules::{Event, Lease, Order, Rules, Settings};
use nitro_elect_protocol::ids::{Nonce, Term};
use nitro_elect_protocol::time::Boot;
use std::time::Duration;

use crate::sim::clock::At;

/// Who owns a runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The node: `node -- CMD`. The runner ends with it.
    Node,
    /// An `exec` beside it, which outlives the node.
    Exec,
}

/// Both.
pub const OWNERS: [Owner; 2] = [Owner::Node, Owner::Exec];

/// A command that runs.
#[derive(Debug)]
pub struct Running {
    /// Tells it from all others.
    pub id: u64,
    /// Of whose runner.
    pub owner: Owner,
    /// Of which of its runners.
    pub life: u64,
    /// The term that it was given.
    pub term: Term,
    /// Whether its runner was frozen when it had to be killed: nothing is demanded of it any more.
    pub is_excused: bool,
}

/// What an owner waits for before its runner may start anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Awaits {
    /// Nothing.
    #[default]
    Nothing,
    /// That the node has heard of the work.
    Begin,
    /// A lease proof with this nonce.
    Proof {
        /// The nonce.
        nonce: Nonce,
        /// When it was drawn.
        drawn: Boot,
    },
}

/// A runner with the product's rules, and its owner.
#[derive(Debug)]
pub struct Worker {
    /// The runner's rules.
    pub rules: Rules,
    /// Counts runners: what was planned for an earlier one comes to nothing.
    pub life: u64,
    /// When the runner wakes next.
    pub wake: Option<At>,
    /// Whether the runner is frozen, and what it then finds.
    pub is_frozen: bool,
    /// What waits for it.
    pub inbox: Vec<Event>,
    /// Whether the owner is frozen, and which order it then finds carried out.
    pub is_owner_frozen: bool,
    /// What the owner has not read yet.
    pub unread: Option<u64>,
    /// The last order.
    pub order: Order,
    /// Whether nothing was ordered to run since the runner last said that nothing does.
    pub is_clear: bool,
    /// When the last lease that was ordered ends.
    pub latest: Boot,
    /// Whether the owner counts itself as at work.
    pub works: bool,
    /// Whether the present life of the node does.
    pub is_counted: bool,
    /// Whether the node stopped counting it because it did not ask.
    pub has_lapsed: bool,
    /// What is waited for.
    pub awaits: Awaits,
    /// An exec's lease, by its own nonce.
    pub lease: Option<Lease>,
    /// When the owner asks next, or gives up waiting.
    pub ask: Option<At>,
    /// When the lease of the last proof that an exec was handed is over, for its node.
    pub over: Boot,
}

impl Worker {
    /// A runner that was never ordered anything.
    pub fn new(life: u64, patience: Duration) -> Self {
        Worker {
            rules: Rules::new(Settings { patience, watchdog: None, once: false }),
            life,
            wake: None,
            is_frozen: false,
            inbox: Vec::new(),
            is_owner_frozen: false,
            unread: None,
            order: Order::default(),
            is_clear: true,
            latest: Boot(0),
            works: false,
            is_counted: false,
            has_lapsed: false,
            awaits: Awaits::Nothing,
            lease: None,
            ask: None,
            over: Boot(0),
        }
    }
}

/// The work on one machine.
#[derive(Debug)]
pub struct Workplace {
    /// The lease that the node last said it holds.
    pub held: Option<(Term, Boot)>,
    /// Whether it wants the work to end.
    pub is_to_end: bool,
    /// Nonces that were answered and not yet looked for.
    pub proven: Vec<Nonce>,
    /// How many the node counts as at work.
    pub working: u32,
    /// Those of them whose exec was killed, and which therefore count until their lease is over.
    pub lost: u32,
    /// The node's runner, and the exec's.
    pub workers: [Worker; 2],
    /// What runs.
    pub running: Vec<Running>,
}

impl Workplace {
    /// Nothing works. Commands have this long to end once asked.
    pub fn new(patience: Duration) -> Self {
        Workplace {
            held: None,
            is_to_end: false,
            proven: Vec::new(),
            working: 0,
            lost: 0,
            workers: [Worker::new(0, patience), Worker::new(0, patience)],
            running: Vec::new(),
        }
    }

    /// One of the two.
    pub fn worker(&mut self, owner: Owner) -> &mut Worker {
        &mut self.workers[owner as usize]
    }

    /// Puts a new runner in the place of one.
    pub fn renew(&mut self, owner: Owner, patience: Duration) {
        let life = self.worker(owner).life + 1;
        *self.worker(owner) = Worker::new(life, patience);
    }

    /// Whether a supervisor of the node's present life knows of execs that may be at work.
    pub fn has_execs(&self) -> bool {
        let [_, exec] = &self.workers;
        self.lost > 0 || (exec.works && exec.is_counted)
    }
}
