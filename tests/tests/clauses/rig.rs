//! A handful of the product's own cores, driven by hand: time stands still unless a test lets it pass, and a
//! message stays on the wire until a test delivers, holds or drops it.
//!
//! The enclaves run the real service with real attestation documents; signatures and sealing are the simulator's
//! stand-ins. Every node's BOOTTIME begins elsewhere, so that a time of one machine used on another shows.

use nitro_elect::core::Core;
use nitro_elect::core::config::{Config, Membership, Predecessor};
use nitro_elect::core::durable::Record;
use nitro_elect::core::event::{
    Action, Command, EnclaveIndex, Event, HaltReason, Notice, RequestId, Unanswered,
};
use nitro_elect::core::status::Status;
use nitro_elect_protocol::electorate::Electorate;
use nitro_elect_protocol::enclave_api::{Request, Response};
use nitro_elect_protocol::evidence::Evidence;
use nitro_elect_protocol::ids::{Generation, Term};
use nitro_elect_protocol::peer::PeerMessage;
use nitro_elect_protocol::proof::Bundle;
use nitro_elect_protocol::time::{Boot, Now, Wall};
use nitro_elect_tests::sim::clock::EPOCH;
use nitro_elect_tests::sim::identities::{Primitives, Shared};
use nitro_elect_tests::sim::standin::StandInKey;
use std::collections::BTreeSet;
use std::time::Duration;

use crate::plan::{Enclave, Plan, STEP, address, boot, electorate, id, number};

/// A message on the wire.
#[derive(Clone, Debug)]
pub struct Mail {
    pub from: usize,
    pub to: usize,
    pub message: PeerMessage,
}

/// A question to an enclave that waits for its answer.
#[derive(Clone, Debug)]
pub struct Question {
    pub node: usize,
    pub enclave: EnclaveIndex,
    pub request: RequestId,
    pub message: Request,
}

/// A core and what its driver keeps for it.
pub struct Node {
    pub core: Core,
    pub generation: Generation,
    pub persisted: Vec<Record>,
    pub log: Option<Bundle>,
    pub kept: Vec<Evidence>,
    pub notices: Vec<Notice>,
    pub halted: Option<HaltReason>,
    pub disk_fails: bool,
    pub is_up: bool,
    pub wall_ahead_ms: u64,
}

/// The whole apparatus.
pub struct Rig {
    pub plan: Plan,
    pub electorate: Electorate,
    /// The manifest before that, for nodes that start from now on.
    pub predecessor: Option<Predecessor>,
    pub nodes: Vec<Node>,
    pub enclaves: Vec<Enclave>,
    pub wire: Vec<Mail>,
    pub questions: Vec<Question>,
    /// Nodes that nobody hears and that hear nobody.
    pub cut: BTreeSet<usize>,
    /// What else is lost on the wire.
    pub loses: fn(&Mail) -> bool,
    at: Duration,
}

impl Rig {
    /// Four voters of which one may be Byzantine, the first the heaviest, and one enclave.
    pub fn new() -> Rig {
        Rig::with(Plan::default())
    }

    /// A rig of this plan: every node in its first life, nobody connected.
    pub fn with(plan: Plan) -> Rig {
        let electorate = electorate(&plan);
        let enclaves = (0..plan.enclaves).map(boot).collect();
        let (nodes, wire, questions) = (Vec::new(), Vec::new(), Vec::new());
        let (cut, at) = (BTreeSet::new(), Duration::ZERO);
        let predecessor = None;
        let mut rig = Rig {
            plan,
            electorate,
            predecessor,
            nodes,
            enclaves,
            wire,
            questions,
            cut,
            loses: |_| false,
            at,
        };
        for node in 0..rig.plan.voters {
            let record = rig.first_record(node);
            rig.nodes.push(Node {
                core: rig.core(node, record, None),
                generation: record.generation,
                persisted: Vec::new(),
                log: None,
                kept: Vec::new(),
                notices: Vec::new(),
                halted: None,
                disk_fails: false,
                is_up: true,
                wall_ahead_ms: 0,
            });
        }
        rig
    }

    /// A rig whose nodes are all connected, and where one of them holds the lease: the first, by its weight.
    pub fn led() -> Rig {
        Rig::led_with(Plan::default())
    }

    /// The same of this plan.
    pub fn led_with(plan: Plan) -> Rig {
        let mut rig = Rig::with(plan);
        rig.connect();
        for _ in 0..40 {
            rig.run(STEP);
            if rig.holds(0) {
                return rig;
            }
        }
        panic!("nobody leads after four leases: {:?}", rig.nodes[0].notices);
    }

    /// The record of a node that has supported nobody.
    pub fn first_record(&self, node: usize) -> Record {
        Record {
            node: id(node),
            cluster: None,
            generation: Generation(1),
            support: None,
            forgot_votes: false,
        }
    }

    fn core(&self, node: usize, record: Record, newest: Option<Bundle>) -> Core {
        let electorate = Box::new(self.electorate.clone());
        let membership = match self.plan.open {
            Some(alone) => Membership::Open { template: electorate, alone },
            None => Membership::Manifest { electorate, observers: self.plan.observers.clone() },
        };
        let config = Config {
            name: format!("node-{node}"),
            address: address(node),
            membership,
            predecessor: self.predecessor.clone(),
            enclaves: self.plan.enclaves,
            fanout: self.plan.fanout,
            record,
            newest,
            evidence: self.nodes.get(node).map(|state| state.kept.clone()).unwrap_or_default(),
            seed: [node as u8; 32],
        };
        let crypto = Shared::get().crypto(Primitives::StandIn);
        Core::new(config, Box::new(StandInKey(id(node))), crypto, self.now_with(node, 0))
    }

    /// Ends a node's life and begins its next, from what it had synced.
    pub fn restart(&mut self, node: usize) {
        let mut record = self.nodes[node].persisted.last().copied().unwrap_or(self.first_record(node));
        record.generation = Generation(self.nodes[node].generation.0 + 1);
        self.start(node, record);
    }

    /// Begins a life from this record and the node's log.
    pub fn start(&mut self, node: usize, record: Record) {
        let core = self.core(node, record, self.nodes[node].log.clone());
        let state = &mut self.nodes[node];
        (state.core, state.generation, state.is_up) = (core, record.generation, true);
        state.persisted.push(record);
        state.notices.clear();
        self.questions.retain(|question| question.node != node);
        self.wire.retain(|mail| mail.to != node);
    }

    /// Both clocks of a node.
    pub fn now(&self, node: usize) -> Now {
        self.now_with(node, self.nodes.get(node).map_or(0, |state| state.wall_ahead_ms))
    }

    fn now_with(&self, node: usize, ahead_ms: u64) -> Now {
        let passed = u64::try_from(self.at.as_millis()).expect("a test is short");
        Now { boot: beginning(node) + self.at, wall: Wall(EPOCH.0 + passed + ahead_ms) }
    }

    /// Milliseconds since the rig was made.
    pub fn elapsed(&self) -> u64 {
        u64::try_from(self.at.as_millis()).expect("a test is short")
    }

    /// Lets time pass, and tells nobody.
    pub fn pass(&mut self, ms: u64) {
        self.at += Duration::from_millis(ms);
    }

    /// Lets time pass for a node alone, which looks at it in time.
    pub fn idle(&mut self, node: usize, ms: u64) {
        for _ in 0..ms / 50 {
            self.pass(50);
            self.tick(node);
        }
    }

    /// Hands in an event; returns what was done, in order.
    pub fn feed(&mut self, node: usize, event: Event) -> Vec<Action> {
        let now = self.now(node);
        let actions = self.nodes[node].core.handle(event, now);
        let mut done = Vec::new();
        for action in actions {
            let state = &mut self.nodes[node];
            match action.clone() {
                Action::Persist(_) if state.disk_fails => {
                    done.extend(self.feed(node, Event::NotPersisted));
                    return done;
                }
                Action::Persist(record) => state.persisted.push(record),
                Action::Append(bundle) => state.log = Some(*bundle),
                Action::Keep(piece) => state.kept.push(*piece),
                Action::Send { to, message } => self.wire.push(Mail { from: node, to: number(&to), message }),
                Action::Ask { enclave, request, message } => {
                    self.questions.push(Question { node, enclave, request, message });
                }
                Action::Dial { .. } => {}
                Action::Notice(notice) => state.notices.push(notice),
                Action::Halt(reason) => state.halted = Some(reason),
            }
            done.push(action);
        }
        done
    }

    /// Time is looked at.
    pub fn tick(&mut self, node: usize) -> Vec<Action> {
        self.feed(node, Event::Tick)
    }

    /// A message of another node's arrives.
    pub fn tell(&mut self, node: usize, from: usize, message: PeerMessage) -> Vec<Action> {
        self.feed(node, Event::Received { from: id(from), message })
    }

    /// An operator or a program asks for something.
    pub fn command(&mut self, node: usize, command: Command) -> Vec<Action> {
        self.feed(node, Event::Command(command))
    }

    /// A connection comes up at one of its ends.
    pub fn up(&mut self, node: usize, peer: usize) -> Vec<Action> {
        self.feed(node, Event::PeerUp { peer: id(peer), reached_at: Some(address(peer)) })
    }

    /// All nodes are connected.
    pub fn connect(&mut self) {
        let count = self.nodes.len();
        for (node, peer) in (0..count).flat_map(|node| (0..count).map(move |peer| (node, peer))) {
            if node != peer {
                self.up(node, peer);
            }
        }
    }

    /// Takes messages off the wire.
    pub fn take(&mut self, wanted: impl Fn(&Mail) -> bool) -> Vec<Mail> {
        let (taken, left) = std::mem::take(&mut self.wire).into_iter().partition(wanted);
        self.wire = left;
        taken
    }

    /// Delivers a message.
    pub fn deliver(&mut self, mail: Mail) -> Vec<Action> {
        self.tell(mail.to, mail.from, mail.message)
    }

    /// Gives an enclave's answer, as its service gives it.
    pub fn answer(&mut self, question: Question) -> Vec<Action> {
        let service = self.enclaves[question.enclave.0].service.as_ref();
        let answer = service.map(|service| service.answer(question.message)).ok_or(Unanswered);
        self.feed(question.node, Event::EnclaveAnswered { request: question.request, answer })
    }

    /// Gives another answer than the enclave's.
    pub fn answer_with(&mut self, question: &Question, answer: Result<Response, Unanswered>) -> Vec<Action> {
        self.feed(question.node, Event::EnclaveAnswered { request: question.request, answer })
    }

    /// Delivers and answers everything that is not lost, until nothing is left.
    pub fn settle(&mut self) {
        for _ in 0..20_000 {
            if !self.questions.is_empty() {
                let question = self.questions.remove(0);
                if self.nodes[question.node].is_up {
                    self.answer(question);
                }
            } else if !self.wire.is_empty() {
                let mail = self.wire.remove(0);
                if !self.is_lost(&mail) {
                    self.deliver(mail);
                }
            } else {
                return;
            }
        }
        panic!("messages never end");
    }

    fn is_lost(&self, mail: &Mail) -> bool {
        let is_cut = self.cut.contains(&mail.from) || self.cut.contains(&mail.to);
        let is_gone = self.nodes.get(mail.to).is_none_or(|node| !node.is_up);
        is_cut || is_gone || (self.loses)(mail)
    }

    /// Lets time pass with ticks when they are due, and every message delivered at once.
    pub fn run(&mut self, ms: u64) {
        let end = self.at + Duration::from_millis(ms);
        self.settle();
        loop {
            let due = (0..self.nodes.len()).filter(|node| self.nodes[*node].is_up);
            let due = due.map(|node| self.nodes[node].core.next_wake().since(beginning(node))).min();
            let Some(due) = due.filter(|due| *due < end) else { break };
            self.at = self.at.max(due);
            self.tick_all();
        }
        self.at = end;
        self.tick_all();
    }

    fn tick_all(&mut self) {
        for node in 0..self.nodes.len() {
            if self.nodes[node].is_up {
                self.tick(node);
            }
        }
        self.settle();
    }

    /// What a node knows now.
    pub fn status(&self, node: usize) -> Status {
        self.nodes[node].core.status(self.now(node))
    }

    /// Whether a node holds the lease now.
    pub fn holds(&self, node: usize) -> bool {
        self.nodes[node].is_up && self.status(node).held.is_some()
    }

    /// What is left of the lease that a node holds, in milliseconds.
    pub fn lease_left(&self, node: usize) -> Option<u64> {
        let (_, until) = self.status(node).held?;
        u64::try_from(until.since(self.now(node).boot).as_millis()).ok()
    }

    /// The nodes that hold a lease now.
    pub fn holders(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|node| self.holds(*node)).collect()
    }

    /// The highest term that a node has a certificate of.
    pub fn term(&self, node: usize) -> Term {
        self.status(node).term
    }

    /// The term of the last support that a node synced.
    pub fn record_term(&self, node: usize) -> u64 {
        let record = self.nodes[node].persisted.last();
        record.and_then(|record| record.support).map_or(0, |support| support.term.0)
    }
}

fn beginning(node: usize) -> Boot {
    Boot(10_000_000_000 * (node as u64 + 1))
}
