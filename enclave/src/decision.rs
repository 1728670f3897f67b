//! The decision (DESIGN §3.3): a pure function of the electorate, the term and the views that count.
//!
//! Who leads is preference, never safety: safety is the quorum, and that the leader's own view is in it. The one
//! thing drawn at random is a lottery, after the views are fixed.

use nitro_elect_protocol::certificate::Reason;
use nitro_elect_protocol::electorate::{Electorate, Voter};
use nitro_elect_protocol::ids::{Generation, NodeId, Term};
use nitro_elect_protocol::policy::Rule;
use nitro_elect_protocol::time::Wall;
use nitro_elect_protocol::view::{Accepted, View};
use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::attestor::ModuleError;

#[cfg(test)]
mod tests;

/// Who leads, and what the certificate says about why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The leader.
    pub leader: NodeId,
    /// The life of it that signed its view.
    pub leader_generation: Generation,
    /// Why this leader.
    pub reason: Reason,
    /// Voters that more than half of the views see alive, sorted.
    pub active: Vec<NodeId>,
    /// Active voters whose own view counts and who would lead, sorted.
    pub candidates: Vec<NodeId>,
    /// Voters whose views count, sorted.
    pub signers: Vec<NodeId>,
    /// The accepted triple of the highest term that at least f + 1 views carry.
    pub previous: Option<Accepted>,
    /// The (f + 1)-th smallest `signed_at` plus the lease.
    pub not_after: Wall,
}

/// Why nobody leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undecided {
    /// Fewer views count than the quorum.
    TooFewViews {
        /// Views that count.
        counted: usize,
        /// The quorum.
        needed: usize,
    },
    /// No active voter whose view counts would lead.
    NoCandidate,
    /// The lottery could not be drawn.
    Module(ModuleError),
}

/// Decides an election.
///
/// `views` are those that count ([`crate::tally`]): of distinct voters of a valid electorate, each with a sorted
/// list of voters, in any order. `lottery` is asked at most once, and only when the policy's lottery picks.
pub fn decide(
    electorate: &Electorate,
    term: Term,
    views: &[View],
    lottery: impl FnOnce() -> Result<[u8; 16], ModuleError>,
) -> Result<Decision, Undecided> {
    let (counted, needed) = (views.len(), electorate.quorum());
    if counted < needed {
        return Err(Undecided::TooFewViews { counted, needed });
    }
    let by_voter: BTreeMap<NodeId, &View> = views.iter().map(|view| (view.voter, view)).collect();
    let active = active(electorate, views);
    let own_view = |node: &NodeId| by_voter.get(node).copied();
    let is_candidate = |node: &NodeId| own_view(node).is_some_and(|view| view.eligible);
    let candidates: Vec<NodeId> = active.iter().copied().filter(is_candidate).collect();

    let enough = electorate.f() + 1;
    let previous = previous(views, term, enough);
    let successor = successor(views, &candidates, enough);
    let incumbent = previous.map(|accepted| accepted.leader).filter(|leader| candidates.contains(leader));
    let (leader, reason) = match (successor, incumbent) {
        (Some(successor), _) => (successor, Reason::Successor),
        (None, Some(incumbent)) if electorate.policy.sticky => (incumbent, Reason::Incumbent),
        _ => (pick(electorate, term, &candidates, lottery)?, Reason::Policy(electorate.policy.rule)),
    };
    let leader_generation = own_view(&leader).ok_or(Undecided::NoCandidate)?.voter_generation;
    let signers = by_voter.keys().copied().collect();
    let not_after = not_after(electorate, views);
    Ok(Decision { leader, leader_generation, reason, active, candidates, signers, previous, not_after })
}

/// Voters that more than half of the views see alive; a view counts its own voter alive.
fn active(electorate: &Electorate, views: &[View]) -> Vec<NodeId> {
    let seen_by = |node: &NodeId| {
        let sees = |view: &&View| view.voter == *node || view.active.binary_search(node).is_ok();
        views.iter().filter(sees).count()
    };
    let voters = electorate.voters.iter().map(|voter| voter.key);
    voters.filter(|node| 2 * seen_by(node) > views.len()).collect()
}

/// The accepted triple of the highest term that at least `enough` views carry identically.
///
/// Only terms below this one: a call that comes late can find voters that have adopted a later certificate by
/// then, and a log must never lead forward.
fn previous(views: &[View], term: Term, enough: usize) -> Option<Accepted> {
    let carried = views.iter().filter_map(|view| view.accepted).filter(|accepted| accepted.term < term);
    count(carried).into_iter().filter(|(_, views)| *views >= enough).map(|(accepted, _)| accepted).max()
}

/// The candidate that at least `enough` views prefer: of several the one that most do, the smallest key among
/// equals.
fn successor(views: &[View], candidates: &[NodeId], enough: usize) -> Option<NodeId> {
    let preferred = count(views.iter().filter_map(|view| view.preferred)).into_iter();
    let able = preferred.filter(|(node, views)| *views >= enough && candidates.contains(node));
    able.max_by_key(|(node, views)| (*views, Reverse(*node))).map(|(node, _)| node)
}

fn count<T: Ord>(items: impl Iterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    items.for_each(|item| *counts.entry(item).or_default() += 1);
    counts
}

fn pick(
    electorate: &Electorate,
    term: Term,
    candidates: &[NodeId],
    lottery: impl FnOnce() -> Result<[u8; 16], ModuleError>,
) -> Result<NodeId, Undecided> {
    let candidates: Vec<&Voter> = candidates.iter().filter_map(|node| electorate.voter(node)).collect();
    if candidates.is_empty() {
        return Err(Undecided::NoCandidate);
    }
    let is_lottery = electorate.policy.rule == Rule::Lottery;
    let draw = if is_lottery { lottery().map_err(Undecided::Module)? } else { [0; 16] };
    electorate.policy.pick(&candidates, term, || draw).ok_or(Undecided::NoCandidate)
}

/// The (f + 1)-th smallest `signed_at` plus the lease: at least one honest voter signed no later.
fn not_after(electorate: &Electorate, views: &[View]) -> Wall {
    let mut signed_at: Vec<Wall> = views.iter().map(|view| view.signed_at).collect();
    signed_at.sort_unstable();
    let at = signed_at.get(electorate.f()).copied().unwrap_or_default();
    at + electorate.lease()
}
