//! One test for each sentence of DESIGN §3.3, and a dumb oracle for all of them together.

use super::*;
use nitro_elect_protocol::electorate::VERSION;
use nitro_elect_protocol::ids::{CertificateDigest, ClusterId, ElectorateDigest, EnclaveId, Pcr};
use nitro_elect_protocol::policy::{Policy, Prefer};
use nitro_elect_protocol::trust::{PcrSet, Root, Trust};
use proptest::prelude::*;
use std::collections::BTreeSet;

mod oracle;

const TERM: Term = Term(49);

fn node(number: u8) -> NodeId {
    NodeId([number; 32])
}

fn nodes(numbers: impl IntoIterator<Item = u8>) -> Vec<NodeId> {
    numbers.into_iter().map(node).collect()
}

/// `n` voters with the keys 1 to n: the last has the highest weight, the first the highest address.
fn electorate(n: u8, f: u32, policy: Policy) -> Electorate {
    let pcr = Pcr([1; 48]);
    let accepted = vec![PcrSet { pcr0: pcr, pcr1: pcr, pcr2: pcr, pcr8: None }];
    let voter = |number: u8| Voter {
        key: node(number),
        name: format!("node-{number}"),
        address: format!("10.0.0.{}:5000", 200 - number),
        weight: number.into(),
    };
    Electorate {
        version: VERSION,
        cluster: ClusterId([9; 16]),
        name: "test".into(),
        epoch: 0,
        previous: None,
        f,
        policy,
        lease_ms: 1000,
        trust: Trust { root: Root::Aws, accepted, allow_debug: false, max_age_ms: 3_600_000 },
        voters: (1..=n).map(voter).collect(),
    }
}

fn view(voter: u8, active: impl IntoIterator<Item = u8>) -> View {
    View {
        cluster: ClusterId([9; 16]),
        electorate: ElectorateDigest([8; 32]),
        enclave: EnclaveId([7; 32]),
        term: TERM,
        coordinator: node(1),
        coordinator_generation: Generation(1),
        voter: node(voter),
        voter_generation: Generation(100 + u64::from(voter)),
        active: nodes(active),
        eligible: true,
        preferred: None,
        accepted: None,
        signed_at: Wall(1_000 * u64::from(voter)),
    }
}

/// A view of everybody by each of the voters.
fn full_views(n: u8, voters: impl IntoIterator<Item = u8>) -> Vec<View> {
    voters.into_iter().map(|voter| view(voter, 1..=n)).collect()
}

fn accepted(term: u64, leader: u8) -> Accepted {
    Accepted { term: Term(term), leader: node(leader), certificate: CertificateDigest([term as u8; 32]) }
}

fn priority() -> Policy {
    Policy::of(Rule::Priority)
}

fn not_drawn() -> Result<[u8; 16], ModuleError> {
    panic!("no lottery is drawn here")
}

fn decided(electorate: &Electorate, views: &[View]) -> Decision {
    decide(electorate, TERM, views, not_drawn).unwrap()
}

/// PROTOCOL T6
#[test]
fn fewer_views_than_the_quorum_decide_nothing() {
    for (n, f, quorum) in [(1, 0, 1), (3, 0, 2), (4, 1, 3), (7, 2, 5)] {
        let electorate = electorate(n, f, priority());
        let too_few = full_views(n, 1..quorum);
        let (counted, needed) = (too_few.len(), usize::from(quorum));
        let result = decide(&electorate, TERM, &too_few, not_drawn);
        assert_eq!(result, Err(Undecided::TooFewViews { counted, needed }), "n = {n}");
        assert!(decide(&electorate, TERM, &full_views(n, 1..=quorum), not_drawn).is_ok(), "n = {n}");
    }
}

#[test]
fn an_open_cluster_needs_a_view_of_every_member() {
    let open = Electorate { cluster: ClusterId::OPEN, ..electorate(3, 0, Policy::of(Rule::Highest)) };
    let result = decide(&open, TERM, &full_views(3, [1, 2]), not_drawn);
    assert_eq!(result, Err(Undecided::TooFewViews { counted: 2, needed: 3 }));
    assert_eq!(decided(&open, &full_views(3, [1, 2, 3])).leader, node(1));
}

/// PROTOCOL T8
#[test]
fn active_are_the_voters_that_more_than_half_of_the_views_see_alive() {
    let electorate = electorate(5, 0, priority());
    let views = [view(1, [1, 2, 4]), view(2, [1, 2, 4]), view(3, [3, 5]), view(4, [1, 3, 4, 5])];
    // Seen by: 1: three, 2: two, 3: two, 4: three, 5: two, of four.
    assert_eq!(decided(&electorate, &views).active, nodes([1, 4]));
}

#[test]
fn f_liars_neither_keep_a_dead_node_in_nor_push_a_live_one_out() {
    let electorate = electorate(4, 1, priority());
    let keeping = [view(1, [1, 2, 3, 4]), view(2, [1, 2, 3]), view(3, [1, 2, 3])];
    assert_eq!(decided(&electorate, &keeping).active, nodes([1, 2, 3]));
    let pushing = [view(1, [1]), view(2, [1, 2, 3]), view(3, [1, 2, 3])];
    assert_eq!(decided(&electorate, &pushing).active, nodes([1, 2, 3]));
}

#[test]
fn a_view_counts_its_own_voter_alive() {
    let electorate = electorate(3, 0, priority());
    let decision = decided(&electorate, &[view(1, [2]), view(2, [2])]);
    assert_eq!(decision.active, nodes([2]), "its own view alone is not more than half");
    let decision = decided(&electorate, &[view(1, [2]), view(2, [1])]);
    assert_eq!(decision.active, nodes([1, 2]));
}

/// PROTOCOL T8
#[test]
fn candidates_are_active_with_a_counted_view_of_their_own_and_eligible() {
    let electorate = electorate(5, 0, priority());
    let mut views = full_views(4, [1, 2, 3, 5]);
    views[1].eligible = false;
    let decision = decided(&electorate, &views);
    assert_eq!(decision.active, nodes([1, 2, 3, 4]));
    assert_eq!(decision.candidates, nodes([1, 3]), "2 would not, 4 signed nothing, 5 is not active");
    assert_eq!((decision.leader, decision.leader_generation), (node(3), Generation(103)));
    assert_eq!(decision.signers, nodes([1, 2, 3, 5]));
}

/// PROTOCOL T6
#[test]
fn without_a_candidate_nobody_leads() {
    let electorate = electorate(3, 0, priority());
    let mut views = full_views(3, [1, 2]);
    views.iter_mut().for_each(|view| view.eligible = false);
    assert_eq!(decide(&electorate, TERM, &views, not_drawn), Err(Undecided::NoCandidate));
    let blind = [view(1, []), view(2, []), view(3, [])];
    assert_eq!(decide(&electorate, TERM, &blind, not_drawn), Err(Undecided::NoCandidate));
}

/// PROTOCOL T9
#[test]
fn a_successor_that_f_plus_one_views_prefer_leads() {
    let electorate = electorate(4, 1, priority());
    let mut views = full_views(4, [1, 2, 3]);
    views[0].preferred = Some(node(1));
    assert_eq!(decided(&electorate, &views).reason, Reason::Policy(Rule::Priority), "one liar is not enough");
    views[1].preferred = Some(node(1));
    let decision = decided(&electorate, &views);
    assert_eq!((decision.leader, decision.reason), (node(1), Reason::Successor));
}

/// PROTOCOL T9
#[test]
fn a_successor_comes_before_a_sticky_incumbent() {
    let electorate = electorate(4, 1, priority());
    let mut views = full_views(4, [1, 2, 3]);
    for view in &mut views {
        (view.accepted, view.preferred) = (Some(accepted(7, 2)), Some(node(1)));
    }
    assert_eq!(decided(&electorate, &views).reason, Reason::Successor);
}

#[test]
fn a_successor_that_is_no_candidate_is_passed_over() {
    let electorate = electorate(4, 1, priority());
    let mut views = full_views(4, [1, 2, 3]);
    views.iter_mut().for_each(|view| view.preferred = Some(node(4)));
    let decision = decided(&electorate, &views);
    assert_eq!((decision.leader, decision.reason), (node(3), Reason::Policy(Rule::Priority)));
}

#[test]
fn of_two_preferred_successors_the_one_of_most_views_leads_and_the_smaller_key_among_equals() {
    let electorate = electorate(5, 0, priority());
    let mut views = full_views(5, 1..=5);
    for (view, preferred) in views.iter_mut().zip([4, 2, 4, 2]) {
        view.preferred = Some(node(preferred));
    }
    assert_eq!(decided(&electorate, &views).leader, node(2));
    views[4].preferred = Some(node(4));
    assert_eq!(decided(&electorate, &views).leader, node(4));
}

/// PROTOCOL T9
#[test]
fn an_incumbent_stays_under_a_sticky_policy_alone() {
    for (sticky, leader, reason) in [(true, 2, Reason::Incumbent), (false, 3, Reason::Policy(Rule::Priority))]
    {
        let electorate = electorate(4, 1, Policy { rule: Rule::Priority, sticky, prefer: Prefer::Stay });
        let mut views = full_views(4, [1, 2, 3]);
        views[..2].iter_mut().for_each(|view| view.accepted = Some(accepted(7, 2)));
        let decision = decided(&electorate, &views);
        assert_eq!((decision.leader, decision.reason), (node(leader), reason));
        assert_eq!(decision.previous, Some(accepted(7, 2)));
    }
}

#[test]
fn an_incumbent_that_is_no_candidate_does_not_stay() {
    let electorate = electorate(4, 1, priority());
    let mut views = full_views(4, [1, 2, 3]);
    views.iter_mut().for_each(|view| view.accepted = Some(accepted(7, 4)));
    let decision = decided(&electorate, &views);
    assert_eq!((decision.leader, decision.reason), (node(3), Reason::Policy(Rule::Priority)));
    assert_eq!(decision.previous, Some(accepted(7, 4)), "the log goes on from it all the same");
}

/// PROTOCOL T9
#[test]
fn previous_is_the_highest_term_that_f_plus_one_views_carry_identically() {
    let electorate = electorate(7, 2, priority());
    let mut views = full_views(7, 1..=7);
    let carried = [(7, 2), (7, 2), (7, 2), (5, 1), (5, 1), (5, 1), (9, 6)];
    for (view, (term, leader)) in views.iter_mut().zip(carried) {
        view.accepted = Some(accepted(term, leader));
    }
    assert_eq!(decided(&electorate, &views).previous, Some(accepted(7, 2)));
    views[2].accepted = Some(accepted(7, 3));
    assert_eq!(decided(&electorate, &views).previous, Some(accepted(5, 1)), "7 is not carried identically");
    views[3].accepted = None;
    assert_eq!(decided(&electorate, &views).previous, None);
}

#[test]
fn previous_is_never_of_this_term_or_a_later_one() {
    let electorate = electorate(4, 1, priority());
    let mut views = full_views(4, 1..=4);
    for (view, term) in views.iter_mut().zip([TERM.0, TERM.0, 7, 7]) {
        view.accepted = Some(accepted(term, 2));
    }
    assert_eq!(decided(&electorate, &views).previous, Some(accepted(7, 2)));
}

/// PROTOCOL T9
#[test]
fn each_policy_picks_by_its_rule() {
    let views = full_views(4, [1, 2, 3]);
    for (rule, leader) in [(Rule::Priority, 3), (Rule::Highest, 1), (Rule::Rotate, 2)] {
        // Rotate: 49 modulo three candidates is 1, the second of them.
        let decision = decided(&electorate(4, 1, Policy::of(rule)), &views);
        assert_eq!((decision.leader, decision.reason), (node(leader), Reason::Policy(rule)), "{rule:?}");
    }
}

#[test]
fn a_lottery_is_drawn_from_the_modules_random_bytes() {
    let electorate = electorate(4, 1, Policy::of(Rule::Lottery));
    for draw in 0..6_u8 {
        let lottery = || Ok(u128::from(draw).to_be_bytes());
        let decision = decide(&electorate, TERM, &full_views(4, [1, 2, 3]), lottery).unwrap();
        assert_eq!(decision.leader, node(draw % 3 + 1));
        assert_eq!(decision.reason, Reason::Policy(Rule::Lottery));
    }
}

#[test]
fn a_lottery_is_not_drawn_before_the_views_suffice_and_someone_stands() {
    let electorate = electorate(4, 1, Policy::of(Rule::Lottery));
    assert!(decide(&electorate, TERM, &full_views(4, [1, 2]), not_drawn).is_err());
    let mut views = full_views(4, [1, 2, 3]);
    views.iter_mut().for_each(|view| view.eligible = false);
    assert_eq!(decide(&electorate, TERM, &views, not_drawn), Err(Undecided::NoCandidate));
}

#[test]
fn a_module_that_does_not_answer_decides_no_lottery() {
    let electorate = electorate(4, 1, Policy::of(Rule::Lottery));
    let result = decide(&electorate, TERM, &full_views(4, [1, 2, 3]), || Err(ModuleError::NoAnswer));
    assert_eq!(result, Err(Undecided::Module(ModuleError::NoAnswer)));
}

/// PROTOCOL T10
#[test]
fn not_after_is_the_f_plus_first_smallest_signing_time_plus_the_lease() {
    for (f, second) in [(0, 1), (1, 2), (2, 3)] {
        let decision = decided(&electorate(7, f, priority()), &full_views(7, [7, 3, 5, 1, 4, 2, 6]));
        assert_eq!(decision.not_after, Wall(1_000 * second + 1_000), "f = {f}");
    }
}

#[test]
fn a_signing_time_at_the_end_of_time_does_not_overflow() {
    let mut views = full_views(3, [1, 2]);
    views.iter_mut().for_each(|view| view.signed_at = Wall(u64::MAX));
    assert_eq!(decided(&electorate(3, 0, priority()), &views).not_after, Wall(u64::MAX));
}

#[test]
fn the_order_of_the_views_does_not_matter() {
    let electorate = electorate(7, 2, priority());
    let mut views = full_views(7, 1..=6);
    views[3].accepted = Some(accepted(4, 4));
    let decision = decided(&electorate, &views);
    views.reverse();
    assert_eq!(decided(&electorate, &views), decision);
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let rules = [Rule::Priority, Rule::Highest, Rule::Rotate, Rule::Lottery];
    (prop::sample::select(rules.to_vec()), any::<bool>()).prop_map(|(rule, sticky)| Policy {
        rule,
        sticky,
        prefer: Prefer::Stay,
    })
}

/// A view of a voter among `n`, with few enough values that views often agree.
fn any_view(n: u8, voter: u8) -> impl Strategy<Value = View> {
    let active = prop::sample::subsequence((1..=n).collect::<Vec<_>>(), 0..=usize::from(n));
    let carried = prop::option::of((46..=50_u64, 1..=2_u8));
    (active, prop::bool::weighted(0.8), prop::option::of(1..=n.min(2) + 1), carried, 0..5_u64).prop_map(
        move |(active, eligible, preferred, carried, signed_at)| View {
            eligible,
            preferred: preferred.map(node),
            accepted: carried.map(|(term, leader)| accepted(term, leader)),
            signed_at: Wall(signed_at),
            ..view(voter, active)
        },
    )
}

fn any_election() -> impl Strategy<Value = (Electorate, Vec<View>)> {
    let size = (1..=7_u8).prop_flat_map(|n| (Just(n), 0..=u32::from((n - 1) / 3), any::<bool>()));
    (size, any_policy()).prop_flat_map(|((n, f, open), policy)| {
        let mut electorate = electorate(n, f, policy);
        if open && f == 0 {
            electorate.cluster = ClusterId::OPEN;
        }
        let voters = prop::sample::subsequence((1..=n).collect::<Vec<_>>(), 0..=usize::from(n));
        let views = voters.prop_flat_map(move |voters| {
            voters.into_iter().map(|voter| any_view(n, voter)).collect::<Vec<_>>()
        });
        (Just(electorate), views.prop_shuffle())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_decision_is_the_oracles((electorate, views) in any_election(), draw in 0..=255_u8) {
        let lottery = || Ok([draw; 16]);
        let decision = decide(&electorate, TERM, &views, lottery);
        prop_assert_eq!(decision, oracle::decide(&electorate, TERM, &views, [draw; 16]));
    }
}
