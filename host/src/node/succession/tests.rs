//! Under which manifest a node starts, and what it is told when it may not.

use super::*;
use crate::core::durable::Support;
use nitro_elect_protocol::change::{Approve, Change, Word};
use nitro_elect_protocol::crypto::{NodeKey, Signer};
use nitro_elect_protocol::electorate::{VERSION, Voter};
use nitro_elect_protocol::ids::{ClusterId, Generation, Pcr, Term};
use nitro_elect_protocol::policy::{Policy, Rule};
use nitro_elect_protocol::statement::{Signed, Verified};
use nitro_elect_protocol::trust::{PcrSet, Root, Trust};
use std::time::Duration;

fn key(number: u8) -> NodeKey {
    NodeKey::from_seed([number; 32])
}

/// The manifest of an epoch, with voters 1 to n.
fn manifest(n: u8, previous: Option<&Electorate>) -> Electorate {
    let voter = |number: u8| Voter {
        key: key(number).id(),
        name: format!("v{number}"),
        address: format!("127.0.0.1:{}", 5000 + u16::from(number)),
        weight: 1,
    };
    let pcr = Pcr([1; 48]);
    let set = PcrSet { pcr0: pcr, pcr1: pcr, pcr2: pcr, pcr8: None };
    let mut electorate = Electorate {
        version: VERSION,
        cluster: ClusterId([7; 16]),
        name: "c".into(),
        epoch: previous.map_or(1, |previous| previous.epoch + 1),
        previous: previous.map(Electorate::digest),
        f: 1,
        policy: Policy::of(Rule::Priority),
        lease_ms: 1000,
        trust: Trust::new(Root::Aws, vec![set], false, Duration::from_secs(3600)),
        voters: (1..=n).map(voter).collect(),
    };
    electorate.sort();
    electorate
}

fn record(node: u8, voted_under: Option<&Electorate>) -> Record {
    let support = voted_under.map(|electorate| Support {
        term: Term(1),
        holder: key(1).id(),
        generation: Generation(1),
        electorate: electorate.digest(),
        lease_ms: 1000,
    });
    let (cluster, generation) = (Some(ClusterId([7; 16])), Generation(1));
    Record { node: key(node).id(), cluster, generation, support, forgot_votes: false }
}

fn approvals(old: &Electorate, new: &Electorate, voters: &[u8]) -> Vec<Signed<Approve>> {
    let change = Change::between(old, new);
    let word = |voter: &u8| Verified::sign(Approve::word(change, 1, key(*voter).id()), &key(*voter));
    voters.iter().map(|voter| word(voter).into_signed()).collect()
}

/// Where a node stands that was at `at`, voted under `voted`, and is started with `given`.
fn starts(
    node: u8,
    at: Option<&Electorate>,
    voted: Option<&Electorate>,
    given: &Electorate,
    shown: &Shown,
) -> Result<Place, SuccessionError> {
    let standing = at.map(|present| Standing { present: present.clone(), previous: None });
    let record = record(node, voted);
    let known = Known { me: key(node).id(), record: &record, standing: standing.as_ref(), newest: None };
    place(known, given, shown, Wall(1_700_000_000_000))
}

/// PROTOCOL E5
#[test]
fn a_node_stands_where_it_first_starts_and_stays_there() {
    let first = manifest(4, None);
    let nothing = Shown::default();
    let place = starts(1, None, None, &first, &nothing).unwrap();
    assert_eq!(place.standing.map(|standing| standing.present), Some(first.clone()));
    assert!(place.predecessor.is_none());
    assert!(starts(1, Some(&first), Some(&first), &first, &nothing).unwrap().standing.is_none());
    let second = manifest(5, Some(&first));
    let of_an_earlier_program = starts(1, None, Some(&second), &second, &nothing).unwrap();
    assert!(of_an_earlier_program.standing.is_some(), "it voted under this one");
}

/// PROTOCOL E5
#[test]
fn an_earlier_manifest_and_a_rival_are_refused_for_ever() {
    let first = manifest(4, None);
    let second = manifest(5, Some(&first));
    let rival = Electorate { name: "rival".into(), ..second.clone() };
    let shown = Shown { electorates: vec![first.clone()], ..Shown::default() };
    for given in [&first, &rival] {
        let refused = starts(1, Some(&second), None, given, &shown).unwrap_err();
        assert!(matches!(refused, SuccessionError::LeftBehind { .. }), "{refused}");
    }
    let third = manifest(6, Some(&rival));
    let shown = Shown { electorates: vec![first, rival], ..Shown::default() };
    let refused = starts(1, Some(&second), None, &third, &shown).unwrap_err();
    assert!(matches!(refused, SuccessionError::NotReached { .. }), "through the rival: {refused}");
}

/// PROTOCOL E4
#[test]
fn what_is_missing_for_a_step_is_said_at_once_with_what_to_do() {
    let first = manifest(4, None);
    let second = manifest(5, Some(&first));
    let refused = starts(1, Some(&first), None, &second, &Shown::default()).unwrap_err();
    let SuccessionError::NotAllowed { missing, .. } = &refused else { panic!("{refused}") };
    assert_eq!(missing.len(), 2, "approvals and a certificate: {refused}");
    assert!(refused.help().contains("manifest endorse"));
    let enough = approvals(&first, &second, &[1, 2, 3]);
    let shown = Shown { approvals: enough, ..Shown::default() };
    let refused = starts(1, Some(&first), None, &second, &shown).unwrap_err();
    assert!(refused.help().contains("elected"), "a certificate alone: {}", refused.help());
    let two_at_once = manifest(6, Some(&first));
    let refused = starts(1, Some(&first), None, &two_at_once, &shown).unwrap_err();
    assert!(refused.help().contains("manifest diff"), "{}", refused.help());
}

/// PROTOCOL E4
#[test]
fn a_new_voter_must_be_shown_the_step_by_which_it_came_in() {
    let first = manifest(4, None);
    let second = manifest(5, Some(&first));
    let refused = starts(5, None, None, &second, &Shown::default()).unwrap_err();
    assert!(matches!(refused, SuccessionError::NoPredecessor { .. }), "{refused}");
    let approvals = approvals(&first, &second, &[1, 2, 3]);
    let shown = Shown { approvals, electorates: vec![first], ..Shown::default() };
    let refused = starts(5, None, None, &second, &shown).unwrap_err();
    let SuccessionError::NotAllowed { missing, .. } = refused else { panic!("{refused}") };
    assert_eq!(missing, [Missing::Certificate]);
}

/// PROTOCOL E5
#[test]
fn a_node_that_was_away_for_two_steps_needs_both() {
    let first = manifest(4, None);
    let second = manifest(5, Some(&first));
    let third = manifest(6, Some(&second));
    let nothing = starts(1, Some(&first), None, &third, &Shown::default()).unwrap_err();
    assert!(matches!(nothing, SuccessionError::NoPredecessor { .. }), "{nothing}");
    let approvals = approvals(&second, &third, &[1, 2, 3, 4]);
    let shown = Shown { approvals, electorates: vec![second.clone()], ..Shown::default() };
    let refused = starts(1, Some(&first), None, &third, &shown).unwrap_err();
    let SuccessionError::NotAllowed { from, to, .. } = refused else { panic!("{refused}") };
    assert_eq!((from.epoch, to.epoch), (2, 3), "the later step lacks its certificate");
}

#[test]
fn nodes_that_do_not_vote_and_open_ones_have_nothing_to_refuse() {
    let first = manifest(4, None);
    let second = manifest(5, Some(&first));
    assert!(starts(9, None, None, &second, &Shown::default()).unwrap().standing.is_none());
    let open = Electorate { cluster: ClusterId::OPEN, ..second };
    assert!(starts(1, None, None, &open, &Shown::default()).unwrap().standing.is_none());
}
