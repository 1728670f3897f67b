//! The decision once more, as slowly and plainly as DESIGN §3.3 reads: nothing is shared with the code under test
//! but its types and the policy's own pick.

use super::*;

fn how_many(views: &[View], holds: impl Fn(&View) -> bool) -> usize {
    let mut number = 0;
    for view in views {
        if holds(view) {
            number += 1;
        }
    }
    number
}

/// Every term, highest first, every leader, every triple seen: the first that f + 1 views carry.
fn previous(views: &[View], term: Term, f: usize) -> Option<Accepted> {
    let mut seen: Vec<Accepted> = Vec::new();
    for view in views {
        seen.extend(view.accepted);
    }
    seen.sort();
    seen.reverse();
    seen.into_iter()
        .find(|triple| triple.term < term && how_many(views, |view| view.accepted == Some(*triple)) > f)
}

fn successor(views: &[View], candidates: &BTreeSet<NodeId>, f: usize) -> Option<NodeId> {
    let mut best: Option<(usize, NodeId)> = None;
    for candidate in candidates {
        let support = how_many(views, |view| view.preferred == Some(*candidate));
        if support > f && best.is_none_or(|(most, _)| support > most) {
            best = Some((support, *candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

pub fn decide(
    electorate: &Electorate,
    term: Term,
    views: &[View],
    draw: [u8; 16],
) -> Result<Decision, Undecided> {
    let (n, f) = (electorate.voters.len(), electorate.f as usize);
    let needed = if electorate.cluster == ClusterId::OPEN { n } else { (n + f) / 2 + 1 };
    if views.len() < needed {
        return Err(Undecided::TooFewViews { counted: views.len(), needed });
    }
    let (mut active, mut candidates, mut signers) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for voter in &electorate.voters {
        let alive = how_many(views, |view| view.voter == voter.key || view.active.contains(&voter.key));
        if alive * 2 > views.len() {
            active.insert(voter.key);
        }
    }
    for view in views {
        signers.insert(view.voter);
        if view.eligible && active.contains(&view.voter) {
            candidates.insert(view.voter);
        }
    }
    if candidates.is_empty() {
        return Err(Undecided::NoCandidate);
    }
    let previous = previous(views, term, f);
    let standing: Vec<&Voter> = electorate.voters.iter().filter(|v| candidates.contains(&v.key)).collect();
    let (leader, reason) = if let Some(successor) = successor(views, &candidates, f) {
        (successor, Reason::Successor)
    } else if electorate.policy.sticky && previous.is_some_and(|p| candidates.contains(&p.leader)) {
        (previous.unwrap().leader, Reason::Incumbent)
    } else {
        let picked = electorate.policy.pick(&standing, term, || draw);
        (picked.unwrap(), Reason::Policy(electorate.policy.rule))
    };
    let mut times: Vec<u64> = views.iter().map(|view| view.signed_at.0).collect();
    times.sort();
    Ok(Decision {
        leader,
        leader_generation: views.iter().find(|view| view.voter == leader).unwrap().voter_generation,
        reason,
        active: active.into_iter().collect(),
        candidates: candidates.into_iter().collect(),
        signers: signers.into_iter().collect(),
        previous,
        not_after: Wall(times[f] + electorate.lease_ms),
    })
}
