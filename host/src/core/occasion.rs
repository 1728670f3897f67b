//! Why an election was needed: how the lease before it ended, as this node saw it.
//!
//! A certificate says why its leader was *chosen*; what made the election necessary stands in no certificate. Each node
//! tells what it saw itself, and says so where it saw nothing. For people and programs alone: no rule looks at it.

use nitro_elect_protocol::certificate::VerifiedCertificate;
use nitro_elect_protocol::heartbeat::Flags;
use nitro_elect_protocol::ids::{NodeId, Term};
use nitro_elect_protocol::limits::TERM_MAX;
use nitro_elect_protocol::resign::Resign;
use nitro_elect_protocol::time::{Boot, Now};

use super::Core;
use super::certificates::Held;

/// What made an election necessary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// Neither this node nor the voters that signed knew of a certificate before it.
    First,
    /// The lease ran out, and this node did not hear its leader any more.
    LeaderSilent(NodeId),
    /// The lease ran out though its leader was heard, or was this very node.
    NotRenewed(NodeId),
    /// The leader's process ended, and its supervisor said so by its last will.
    LeaderDied(NodeId),
    /// The leader was started again, and called in its new life.
    LeaderRestarted(NodeId),
    /// The leader resigned: it is drained, or was stopped in order.
    LeaderDrained(NodeId),
    /// The leader resigned: what it runs is unhealthy.
    LeaderUnhealthy(NodeId),
    /// The leader resigned in favour of somebody.
    HandedOver {
        /// The leader.
        from: NodeId,
        /// The successor that it named.
        to: NodeId,
    },
    /// The leader resigned, and said nothing more.
    LeaderResigned(NodeId),
    /// The leader called under its own lease: little of it was left, or too few voters could renew it.
    CalledEarly(NodeId),
    /// The list of an open cluster changed.
    ListChanged,
    /// This node saw no lease of the certificate before it: it was away, or not yet started.
    NotSeen,
}

impl Occasion {
    /// The name that programs know it by.
    pub fn name(self) -> &'static str {
        match self {
            Occasion::First => "first",
            Occasion::LeaderSilent(_) => "leader_silent",
            Occasion::NotRenewed(_) => "not_renewed",
            Occasion::LeaderDied(_) => "leader_died",
            Occasion::LeaderRestarted(_) => "leader_restarted",
            Occasion::LeaderDrained(_) => "leader_drained",
            Occasion::LeaderUnhealthy(_) => "leader_unhealthy",
            Occasion::HandedOver { .. } => "handed_over",
            Occasion::LeaderResigned(_) => "leader_resigned",
            Occasion::CalledEarly(_) => "called_early",
            Occasion::ListChanged => "list_changed",
            Occasion::NotSeen => "not_seen",
        }
    }

    /// The nodes that it is about.
    pub fn nodes(self) -> Vec<NodeId> {
        match self {
            Occasion::First | Occasion::ListChanged | Occasion::NotSeen => vec![],
            Occasion::HandedOver { from, to } => vec![from, to],
            Occasion::LeaderSilent(leader)
            | Occasion::NotRenewed(leader)
            | Occasion::LeaderDied(leader)
            | Occasion::LeaderRestarted(leader)
            | Occasion::LeaderDrained(leader)
            | Occasion::LeaderUnhealthy(leader)
            | Occasion::LeaderResigned(leader)
            | Occasion::CalledEarly(leader) => vec![leader],
        }
    }
}

/// A lease that this life of the node has seen run: the newest certificate's.
#[derive(Clone, Copy, Debug)]
pub struct Tenure {
    term: Term,
    end: Option<End>,
}

/// How it ended.
#[derive(Clone, Copy, Debug)]
enum End {
    Resigned,
    RanOut { silent: bool },
}

impl Core {
    /// Notes that the newest certificate's lease runs, or how it ended. Looked at before and after every event, so that
    /// a lease that ran out is told from one whose leader resigned later.
    pub(super) fn settle_tenure(&mut self, now: Now) {
        let Some(held) = self.accepted() else { return };
        let (term, leader) = (held.verified.term, held.verified.leader);
        if self.is_seen_to_run(held, now.boot) {
            self.tenure = Some(Tenure { term, end: None });
            return;
        }
        let end = if self.leader_resigned() {
            End::Resigned
        } else if self.supports_anew(leader, now.boot) {
            return;
        } else {
            End::RanOut { silent: self.is_silent(leader, now.boot) }
        };
        if let Some(tenure) = self.tenure.as_mut().filter(|tenure| tenure.term == term) {
            tenure.end.get_or_insert(end);
        }
    }

    /// Whether this certificate's lease runs, by what came in this life: not by a promise that the disk remembers.
    fn is_seen_to_run(&self, held: &Held, now: Boot) -> bool {
        if self.leader_resigned() {
            return false;
        }
        let is_new = held.adopted_at.is_some_and(|at| at + self.timing.lease > now);
        let only_recalled = self.voter.live(now).is_some_and(|hold| hold.from_before);
        is_new || (!only_recalled && self.lease_known(now).is_some())
    }

    /// Whether this voter's promise is to the leader still, for an election that the leader has called since: that ends
    /// no lease, nor does it bring back one that ran out.
    fn supports_anew(&self, leader: NodeId, now: Boot) -> bool {
        leader != self.me && self.voter.live(now).is_some_and(|hold| hold.holder == leader)
    }

    /// Whether a node has missed its heartbeats: a leader that lives sends five in a lease.
    fn is_silent(&self, node: NodeId, now: Boot) -> bool {
        let heard = self.members.get(&node).and_then(|member| member.silent_for(now));
        node != self.me && heard.is_none_or(|span| span > self.timing.lease / 2)
    }

    /// Why the election of a certificate that is about to be adopted was needed.
    pub(super) fn occasion_of(&self, next: &VerifiedCertificate, now: Boot) -> Occasion {
        let Some(last) = self.certificates.highest() else {
            return if next.previous.is_none() { Occasion::First } else { Occasion::NotSeen };
        };
        if self.open.is_some() && last.verified.electorate != next.electorate {
            return Occasion::ListChanged;
        }
        if next.previous.is_none_or(|previous| previous.certificate != last.verified.digest()) {
            return Occasion::NotSeen;
        }
        let tenure = self.tenure.filter(|tenure| tenure.term == last.verified.term);
        match tenure.map(|tenure| tenure.end) {
            Some(Some(End::Resigned)) => self.occasion_of_resignation(),
            Some(Some(End::RanOut { silent: true })) => Occasion::LeaderSilent(last.verified.leader),
            Some(Some(End::RanOut { silent: false })) => Occasion::NotRenewed(last.verified.leader),
            Some(None) => self.occasion_under_lease(&last.verified, next, now),
            None if is_called_by_later_life(&last.verified, next) => {
                Occasion::LeaderRestarted(last.verified.leader)
            }
            None => Occasion::NotSeen,
        }
    }

    /// The lease still ran as far as this node knows. Its leader alone may call then; for another's election, enough
    /// promises of other voters had run out a moment earlier.
    fn occasion_under_lease(
        &self,
        last: &VerifiedCertificate,
        next: &VerifiedCertificate,
        now: Boot,
    ) -> Occasion {
        let leader = last.leader;
        if is_called_by_later_life(last, next) {
            Occasion::LeaderRestarted(leader)
        } else if next.coordinator == leader {
            Occasion::CalledEarly(leader)
        } else if self.is_silent(leader, now) {
            Occasion::LeaderSilent(leader)
        } else {
            Occasion::NotRenewed(leader)
        }
    }

    fn occasion_of_resignation(&self) -> Occasion {
        let Some(resign) = self.resigned_leader() else { return Occasion::NotSeen };
        let (from, flags) = (resign.node, self.flags_of(resign));
        match resign.successor {
            _ if resign.up_to_term == Term(TERM_MAX) => Occasion::LeaderDied(from),
            _ if flags.unhealthy => Occasion::LeaderUnhealthy(from),
            _ if flags.draining => Occasion::LeaderDrained(from),
            Some(to) => Occasion::HandedOver { from, to },
            None => Occasion::LeaderResigned(from),
        }
    }

    /// What spoke against the leading of the life that resigned, as it said last.
    fn flags_of(&self, resign: &Resign) -> Flags {
        if resign.node == self.me {
            return self.flags;
        }
        let newest = self.members.get(&resign.node).and_then(|member| member.newest.as_ref());
        let newest = newest.filter(|(heartbeat, _)| heartbeat.generation == resign.generation);
        newest.map_or(Flags::default(), |(heartbeat, _)| heartbeat.flags)
    }
}

/// Whether the leader of a certificate called the next election in a later life.
fn is_called_by_later_life(last: &VerifiedCertificate, next: &VerifiedCertificate) -> bool {
    next.coordinator == last.leader && next.coordinator_generation > last.leader_generation
}
