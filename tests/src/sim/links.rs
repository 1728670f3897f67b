//! The network: connections that come and go, and messages that take their time.

use nitro_elect::core::event::Event;
use nitro_elect_protocol::peer::{PeerMessage, open_envelope, seal_envelope};
use std::time::Duration;

use super::clock::At;
use super::fault::Fault;
use super::violation::Invariant;
use super::world::{Happening, World};

/// The state of everything between the machines.
#[derive(Debug)]
pub struct Links {
    n: usize,
    /// For each pair: whether it is connected, and the number of the connection.
    connections: Vec<(bool, u64)>,
    /// For each direction: until when it loses everything.
    cuts: Vec<u64>,
    /// For each direction: when its last message arrives.
    last: Vec<At>,
    made: u64,
}

impl Links {
    /// Nobody is connected.
    pub fn new(n: usize) -> Self {
        Links {
            n,
            connections: vec![(false, 0); n * n],
            cuts: vec![0; n * n],
            last: vec![At(0); n * n],
            made: 0,
        }
    }

    /// All pairs of machines.
    pub fn pairs(&self) -> Vec<(usize, usize)> {
        (0..self.n).flat_map(|a| (a + 1..self.n).map(move |b| (a, b))).collect()
    }

    fn pair(&self, a: usize, b: usize) -> usize {
        a.min(b) * self.n + a.max(b)
    }

    fn way(&self, from: usize, to: usize) -> usize {
        from * self.n + to
    }

    /// The number of the connection between two; whoever has another has an old one.
    pub fn epoch(&self, a: usize, b: usize) -> u64 {
        self.connections[self.pair(a, b)].1
    }

    /// Whether two are connected.
    pub fn is_up(&self, a: usize, b: usize) -> bool {
        self.connections[self.pair(a, b)].0
    }

    fn is_cut(&self, from: usize, to: usize) -> bool {
        self.cuts[self.way(from, to)] != 0
    }

    fn set(&mut self, a: usize, b: usize, up: bool) -> u64 {
        self.made += 1;
        let pair = self.pair(a, b);
        self.connections[pair] = (up, self.made);
        self.made
    }

    /// One direction loses everything from now on; gives the number of the cut.
    pub fn cut(&mut self, from: usize, to: usize) -> u64 {
        self.made += 1;
        let way = self.way(from, to);
        self.cuts[way] = self.made;
        self.made
    }

    /// Ends a cut, unless another has come on top.
    pub fn mend(&mut self, from: usize, to: usize, cut: u64) {
        let way = self.way(from, to);
        if self.cuts[way] == cut {
            self.cuts[way] = 0;
        }
    }

    /// Ends all cuts.
    pub fn mend_all(&mut self) {
        self.cuts.fill(0);
    }
}

impl World {
    /// Sends a message, if the two are connected.
    pub(super) fn send(&mut self, from: usize, to: usize, message: PeerMessage) {
        if !self.links.is_up(from, to) || self.links.is_cut(from, to) || !self.machines[to].is_up() {
            return;
        }
        let weather = self.scenario.weather;
        if !self.calm && self.dice.chance(weather.lost) {
            return self.tally.count(Fault::Loss);
        }
        let Some(message) = self.over_the_wire(message) else { return };
        let epoch = self.links.epoch(from, to);
        if !self.calm && self.dice.chance(weather.doubled) {
            self.tally.count(Fault::Double);
            let at = self.arrival(from, to) + self.dice.span(Duration::ZERO, self.scenario.lease);
            self.queue.plan(at, Happening::Arrive { from, to, epoch, message: message.clone() });
        }
        let at = self.arrival(from, to);
        // What is late may outlive its connection: it was received, and waits to be read.
        let arrives = match at.since(self.at) > self.scenario.lease / 4 && self.dice.chance(500) {
            true => Happening::ArriveAlone { from, to, message },
            false => Happening::Arrive { from, to, epoch, message },
        };
        self.queue.plan(at, arrives);
    }

    fn arrival(&mut self, from: usize, to: usize) -> At {
        let (low, high) = self.scenario.latency;
        let lease = self.scenario.lease;
        let mut at = self.at + self.dice.span(low, high);
        if !self.calm && self.dice.chance(self.scenario.weather.late) {
            self.tally.count(Fault::Late);
            at = at + self.dice.span(Duration::ZERO, lease * 2);
        }
        if self.machines[from].slow_until.max(self.machines[to].slow_until) > self.at {
            at = at + self.dice.span(Duration::ZERO, lease / 2);
        }
        let way = self.links.way(from, to);
        if self.scenario.weather.in_order {
            at = at.max(self.links.last[way] + Duration::from_nanos(1));
            self.links.last[way] = at;
        }
        at
    }

    /// In some worlds every message is encoded and decoded.
    fn over_the_wire(&mut self, message: PeerMessage) -> Option<PeerMessage> {
        if !self.scenario.coded {
            return Some(message);
        }
        match open_envelope::<PeerMessage>(&seal_envelope(&message)) {
            Ok(read) if read == message => Some(read),
            _ => {
                let what = format!("a message does not survive its encoding: {message:?}");
                self.observer.violation = Some(self.violated(Invariant::I11, what));
                None
            }
        }
    }

    /// A message has arrived.
    pub(super) fn receive(&mut self, from: usize, to: usize, message: PeerMessage) {
        self.overhear(from, to, &message);
        let from = self.machines[from].id;
        self.feed(to, Event::Received { from, message });
    }

    /// One of the two dials, and will again.
    pub(super) fn dial(&mut self, a: usize, b: usize) {
        if self.links.is_up(a, b) {
            return;
        }
        let both = self.machines[a].is_up() && self.machines[b].is_up();
        if both && !self.links.is_cut(a, b) && !self.links.is_cut(b, a) {
            let epoch = self.links.set(a, b, true);
            for (machine, peer) in [(a, b), (b, a)] {
                let at = self.arrival(peer, machine);
                let life = self.machines[machine].life;
                self.queue.plan(at, Happening::Up { machine, life, peer, epoch });
            }
        } else {
            for (machine, peer) in [(a, b), (b, a)] {
                if self.dice.chance(300) {
                    self.sees_down(machine, peer);
                }
            }
            self.redial(a, b);
        }
    }

    fn redial(&mut self, a: usize, b: usize) {
        let lease = self.scenario.lease;
        let at = self.at + self.dice.span(lease / 20, lease / 2);
        self.queue.plan(at, Happening::Dial { a, b });
    }

    pub(super) fn sees_up(&mut self, machine: usize, life: u64, peer: usize, epoch: u64) {
        if self.lives(machine, life) && self.links.epoch(machine, peer) == epoch {
            let address = self.machines[peer].address.clone();
            // Nodes of an open cluster dial whomever they hear of.
            let reached_at = (machine < peer || self.scenario.open).then_some(address);
            let peer = self.machines[peer].id;
            self.feed(machine, Event::PeerUp { peer, reached_at });
        }
    }

    fn sees_down(&mut self, machine: usize, peer: usize) {
        let at = self.at + self.dice.span(self.scenario.latency.0, self.scenario.latency.1);
        let life = self.machines[machine].life;
        self.queue.plan(at, Happening::Down { machine, life, peer });
    }

    /// A connection ends; both ends that live learn it at once, or one of them late.
    pub(super) fn disconnect(&mut self, a: usize, b: usize) {
        if !self.links.is_up(a, b) {
            return;
        }
        self.links.set(a, b, false);
        for (machine, peer) in [(a, b), (b, a)] {
            self.sees_down(machine, peer);
        }
        self.redial(a, b);
    }

    /// Nothing passes in one direction for a while; the connection may be given up over it.
    pub(super) fn cut(&mut self, from: usize, to: usize, span: Duration) {
        let cut = self.links.cut(from, to);
        self.queue.plan(self.at + span, Happening::Mend { from, to, cut });
        let epoch = self.links.epoch(from, to);
        let patience = self.dice.span(Duration::ZERO, self.scenario.lease * 2);
        self.queue.plan(self.at + patience, Happening::GiveUp { a: from, b: to, epoch });
    }

    /// A connection over which nothing came is closed.
    pub(super) fn give_up(&mut self, a: usize, b: usize, epoch: u64) {
        let dead = self.links.is_cut(a, b) || self.links.is_cut(b, a);
        if dead && self.links.epoch(a, b) == epoch {
            self.disconnect(a, b);
        }
    }
}
