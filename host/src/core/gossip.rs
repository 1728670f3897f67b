//! Gossip: own heartbeats to all voters, push-pull anti-entropy with a few random peers (DESIGN §3.1).
//!
//! A round sends the digest `key -> (generation, sequence)`; the answer carries what is newer and asks for what is
//! missing; the answer to that carries the rest. What one peer may bring is bounded; beyond it, dropped.

use nitro_elect_protocol::heartbeat::Heartbeat;
use nitro_elect_protocol::ids::NodeId;
use nitro_elect_protocol::limits::HEARTBEATS_MAX;
use nitro_elect_protocol::peer::{Delta, DigestEntry, PeerMessage};
use nitro_elect_protocol::statement::{Signed, Verified};
use nitro_elect_protocol::time::{Boot, Now};
use rand::Rng;
use std::collections::{BTreeMap, VecDeque};

use super::Core;
use super::event::{Action, Drop, HaltReason, Notice};

/// Own heartbeats remembered, to tell a copy of this node from an echo: over ten leases' worth.
const OWN_KEPT: usize = 64;

/// The part of gossip that is not in the members' table.
#[derive(Clone, Debug, Default)]
pub struct Gossip {
    /// The newest own heartbeat.
    pub own: Option<Verified<Heartbeat>>,
    sent: VecDeque<Signed<Heartbeat>>,
    seq: u64,
    /// When the next round is due.
    pub due: Boot,
}

impl Gossip {
    /// Nothing sent yet; the first round is due now.
    pub fn starting(now: Boot) -> Self {
        Gossip { due: now, ..Gossip::default() }
    }
}

impl Core {
    /// Emits a heartbeat and starts a round of gossip when they are due.
    pub(super) fn advance_gossip(&mut self, now: Now) {
        if now.boot < self.gossip.due {
            return;
        }
        let interval = self.timing.heartbeat();
        let late = now.boot.since(self.gossip.due);
        // A node that itself runs late gives others more time (Lifeguard, section IV.A).
        self.members.lateness = late.min(self.timing.lease * 2).max(self.members.lateness / 2);
        self.gossip.due = if late > interval { now.boot } else { self.gossip.due } + interval;
        self.emit_heartbeat(now);
        self.start_rounds();
        self.forget_strangers(now.boot);
    }

    /// Signs a heartbeat and sends it to every voter.
    pub(super) fn emit_heartbeat(&mut self, now: Now) {
        self.gossip.seq += 1;
        let heartbeat = Heartbeat {
            cluster: self.electorate.cluster,
            node: self.me,
            name: self.name.clone(),
            address: self.address.clone(),
            generation: self.generation,
            seq: self.gossip.seq,
            boot: now.boot,
            wall: now.wall,
            highest_term: self.certificates.highest_term(),
            flags: self.flags,
        };
        let heartbeat = Verified::sign(heartbeat, &*self.key);
        self.gossip.sent.push_back(heartbeat.signed().clone());
        if self.gossip.sent.len() > OWN_KEPT {
            self.gossip.sent.pop_front();
        }
        let delta = Delta { heartbeats: vec![heartbeat.signed().clone()], wanted: Vec::new() };
        self.gossip.own = Some(heartbeat);
        let voters: Vec<NodeId> = self.voting_peers().collect();
        for voter in voters {
            self.send(voter, PeerMessage::Delta(delta.clone()));
        }
    }

    /// A peer can be reached: it gets this node's newest heartbeat, and the digest.
    pub(super) fn greet(&mut self, peer: NodeId) {
        let Some(own) = self.gossip.own.clone() else { return };
        let heartbeats = vec![own.signed().clone()];
        self.send(peer, PeerMessage::Delta(Delta { heartbeats, wanted: Vec::new() }));
        let digest = self.members.digest(&own);
        self.send(peer, PeerMessage::Digest(digest));
    }

    fn start_rounds(&mut self) {
        let Some(own) = self.gossip.own.clone() else { return };
        let digest = self.members.digest(&own);
        for peer in self.gossip_partners() {
            self.send(peer, PeerMessage::Digest(digest.clone()));
        }
    }

    /// The fan-out: at least half of it voters, so that strangers cannot surround anybody.
    fn gossip_partners(&mut self) -> Vec<NodeId> {
        let connected = |voter: bool| {
            let members =
                self.members.iter().filter(move |(_, member)| member.connected && member.voter == voter);
            members.map(|(node, _)| *node).collect::<Vec<_>>()
        };
        let (voters, others) = (connected(true), connected(false));
        let for_others = (self.fanout / 2).min(others.len());
        let mut partners = self.draw(voters, self.fanout - for_others);
        let rest = self.fanout.saturating_sub(partners.len()).min(self.fanout / 2);
        partners.extend(self.draw(others, rest));
        partners
    }

    /// `count` of `from`, at random, or all.
    pub(super) fn draw(&mut self, mut from: Vec<NodeId>, count: usize) -> Vec<NodeId> {
        let count = count.min(from.len());
        for index in 0..count {
            let span = (from.len() - index) as u64;
            let other = index + (self.rng.next_u64() % span) as usize;
            from.swap(index, other);
        }
        from.truncate(count);
        from
    }

    /// Answers a digest with what is newer here and what is missing.
    pub(super) fn on_digest(&mut self, from: NodeId, entries: &[DigestEntry]) {
        let theirs: BTreeMap<NodeId, _> =
            entries.iter().map(|entry| (entry.node, (entry.generation, entry.seq))).collect();
        let ours = self.members.iter().filter_map(|(_, member)| Some(&member.newest.as_ref()?.0));
        let heartbeats: Vec<Signed<Heartbeat>> = ours
            .chain(self.gossip.own.as_ref())
            .filter(|heartbeat| heartbeat.node != from)
            .filter(|heartbeat| theirs.get(&heartbeat.node).is_none_or(|known| heartbeat.order() > *known))
            .take(HEARTBEATS_MAX)
            .map(|heartbeat| heartbeat.signed().clone())
            .collect();
        let wanted: Vec<NodeId> = theirs
            .iter()
            .filter(|(node, order)| self.lacks(node, **order))
            .map(|(node, _)| *node)
            .take(HEARTBEATS_MAX)
            .collect();
        if !heartbeats.is_empty() || !wanted.is_empty() {
            self.send(from, PeerMessage::Delta(Delta { heartbeats, wanted }));
        }
    }

    fn lacks(&self, node: &NodeId, order: (nitro_elect_protocol::ids::Generation, u64)) -> bool {
        let known = self.members.get(node).and_then(|member| member.newest.as_ref());
        *node != self.me && self.members.admits(node) && known.is_none_or(|(known, _)| order > known.order())
    }

    /// Takes in heartbeats and answers what is wanted.
    pub(super) fn on_delta(&mut self, from: NodeId, delta: Delta, now: Now) {
        for heartbeat in delta.heartbeats {
            self.hear(from, heartbeat, now);
        }
        let wanted = delta.wanted.iter().filter_map(|node| {
            let known =
                self.members.get(node).and_then(|member| member.newest.as_ref()).map(|(known, _)| known);
            known.or(self.gossip.own.as_ref().filter(|_| *node == self.me))
        });
        let heartbeats: Vec<_> =
            wanted.take(HEARTBEATS_MAX).map(|heartbeat| heartbeat.signed().clone()).collect();
        if !heartbeats.is_empty() {
            self.send(from, PeerMessage::Delta(Delta { heartbeats, wanted: Vec::new() }));
        }
    }

    fn hear(&mut self, from: NodeId, signed: Signed<Heartbeat>, now: Now) {
        let Ok(peeked) = signed.peek() else { return self.dropped(from, Drop::Bound) };
        if peeked.cluster != self.electorate.cluster {
            return self.dropped(from, Drop::OtherCluster);
        }
        if peeked.node != self.me && !self.members.is_newer(&peeked) {
            return;
        }
        if !self.members.admits(&peeked.node) || !self.address_is_free(&peeked.node, &peeked.address) {
            return self.dropped(from, Drop::Stranger);
        }
        if peeked.node == self.me && self.gossip.sent.contains(&signed) {
            return;
        }
        if !self.heartbeat_budget.spend(from, now.boot) {
            return self.dropped(from, Drop::TooMuch);
        }
        let Ok(heartbeat) = signed.verify(&*self.crypto) else { return self.dropped(from, Drop::Signature) };
        if heartbeat.node == self.me {
            return self.hear_own_key(&heartbeat);
        }
        let (node, highest) = (heartbeat.node, heartbeat.highest_term);
        self.members.hear(heartbeat, now.boot);
        if node == from && highest > self.certificates.highest_term() {
            self.want_certificate(from, now.boot);
        }
    }

    /// Somebody signs with this node's key: a later life, or a copy of this one.
    fn hear_own_key(&mut self, heartbeat: &Heartbeat) {
        let oldest_kept = self.gossip.sent.front().and_then(|signed| signed.peek().ok()).map(|own| own.seq);
        let forgotten = oldest_kept.is_some_and(|oldest| heartbeat.seq < oldest);
        let reason = if heartbeat.generation > self.generation {
            HaltReason::LaterLife
        } else if heartbeat.generation == self.generation && !forgotten {
            HaltReason::Doppelganger
        } else {
            return;
        };
        self.halt(reason);
    }

    fn forget_strangers(&mut self, now: Boot) {
        for node in self.members.forget_silent(self.timing.lease * 8, now) {
            self.heartbeat_budget.forget(&node);
            self.certificate_budget.forget(&node);
        }
    }

    /// Tells who became active or silent.
    pub(super) fn settle_members(&mut self, now: Boot) {
        for (node, active) in self.members.settle(now) {
            let notice = if active { Notice::Active(node) } else { Notice::Silent(node) };
            self.out.push(Action::Notice(notice));
        }
    }
}
