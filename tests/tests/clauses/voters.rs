//! §11: what a core does when its voters have changed. Who may change them is tested where the rules are, in the crate
//! `protocol`, and where nodes start.

use nitro_elect_protocol::electorate::Electorate;
use nitro_elect_protocol::ids::Term;
use nitro_elect_protocol::peer::{PeerMessage, Refusal};

use crate::forgery::{promised_ms, term};
use crate::plan::{LEASE, Plan, STEP};
use crate::rig::Rig;
use crate::succession;

/// The voter that moves.
const V: usize = 1;

/// The successor of a rig's electorate, with the same voters.
fn renamed(rig: &Rig) -> Electorate {
    let old = &rig.electorate;
    Electorate { epoch: old.epoch + 1, previous: Some(old.digest()), name: "renamed".into(), ..old.clone() }
}

/// PROTOCOL E6
#[test]
fn a_voter_that_moves_keeps_its_promise_for_the_longer_of_the_two_leases() {
    for (old_lease, new_lease) in [(3 * LEASE, LEASE), (LEASE, 3 * LEASE)] {
        let mut rig = Rig::new();
        rig.electorate.lease_ms = old_lease;
        rig.restart(V);
        assert!(rig.called(V, 0, term(5)).is_ok());
        let new = Electorate { lease_ms: new_lease, ..renamed(&rig) };
        rig.change_to(new);
        rig.restart(V);
        assert_eq!(promised_ms(&rig.called(V, 2, term(6))), Some(3 * LEASE), "{old_lease} to {new_lease}");
        rig.pass(3 * LEASE);
        assert!(rig.called(V, 2, term(6)).is_ok());
    }
}

/// PROTOCOL E6
#[test]
fn a_voter_that_never_promised_waits_as_long_before_its_first_view() {
    let mut rig = Rig::new();
    let new = renamed(&rig);
    rig.electorate.lease_ms = 2 * LEASE;
    rig.change_to(new);
    rig.restart(V);
    assert_eq!(promised_ms(&rig.called(V, 2, term(1))), Some(2 * LEASE));
    assert!(rig.until_asks(V, 2 * LEASE - 1).is_none(), "nor does it call");
    rig.pass(2 * LEASE);
    assert!(rig.called(V, 2, term(1)).is_ok());
}

/// PROTOCOL E6
#[test]
fn a_later_start_under_the_same_manifest_waits_for_nothing_new() {
    let mut rig = Rig::new();
    let new = renamed(&rig);
    rig.change_to(new);
    rig.predecessor.as_mut().expect("a predecessor").just_left = false;
    rig.restart(V);
    assert!(rig.called(V, 2, term(1)).is_ok());
}

/// A leader died under a lease of three, and what it left at work reckons with that; its next life calls under a lease of one.
/// Its voters' promises would end after one.
///
/// PROTOCOL R9
#[test]
fn a_life_that_reckons_with_work_under_a_longer_lease_calls_nothing_before_that_is_over() {
    let mut rig = Rig::with(Plan { voters: 4, ..Plan::default() });
    rig.electorate.lease_ms = 3 * LEASE;
    (0..4).for_each(|node| rig.restart(node));
    rig.connect();
    rig.run(9 * LEASE);
    let [leader] = rig.holders()[..] else { panic!("nobody leads: {:?}", rig.holders()) };
    let new = Electorate { lease_ms: LEASE, ..renamed(&rig) };
    rig.change_to(new);
    let died = rig.elapsed();
    (0..4).for_each(|node| rig.restart(node));
    rig.connect();
    rig.predecessor.as_mut().expect("a predecessor").just_left = false;
    rig.run(LEASE);
    rig.restart(leader);
    rig.connect();
    rig.run(died + 3 * LEASE - 1 - rig.elapsed());
    assert_eq!(rig.holders(), [] as [usize; 0], "work may go on until then");
    rig.run(4 * LEASE);
    assert_eq!(rig.holders().len(), 1);
}

/// PROTOCOL E7
#[test]
fn a_term_signed_under_one_manifest_is_signed_under_no_other() {
    let mut rig = Rig::new();
    assert!(rig.called(V, 0, term(5)).is_ok());
    let new = renamed(&rig);
    rig.change_to(new);
    rig.restart(V);
    rig.pass(LEASE);
    assert_eq!(rig.called(V, 2, term(5)), Err(Refusal::StaleTerm { last: term(5) }));
    assert!(rig.called(V, 2, term(6)).is_ok());
}

/// PROTOCOL E7
#[test]
fn a_resign_ends_a_promise_that_was_given_under_the_former_manifest() {
    let mut rig = Rig::new();
    rig.adopt(V, term(5), 0);
    assert!(rig.renewed(V, 0, term(5)).is_ok());
    let new = renamed(&rig);
    rig.change_to(new);
    rig.restart(V);
    assert!(promised_ms(&rig.called(V, 2, term(6))).is_some());
    rig.tell_resign(V, rig.resign(0, 1, term(5)));
    assert!(rig.called(V, 2, term(6)).is_ok());
}

/// PROTOCOL E7
#[test]
fn what_was_accepted_under_the_former_manifest_goes_on_and_carries_no_promise() {
    let mut rig = Rig::new();
    let former = rig.adopt(V, term(5), 0);
    let new = renamed(&rig);
    rig.change_to(new);
    rig.restart(V);
    assert_eq!(rig.term(V), term(5), "no term below it is adopted");
    let lower = rig.certified(term(4), 0, 0);
    rig.tell(V, 0, PeerMessage::Certificate(Box::new(lower)));
    assert_eq!(rig.term(V), term(5));
    assert_eq!(rig.renewed(V, 0, term(5)), Err(Refusal::NoCertificate), "though it leads what was accepted");
    rig.pass(LEASE);
    let sealed = rig.called(V, 2, term(6)).expect("a view");
    let accepted = rig.opened(term(6), &sealed).accepted.expect("what it accepted");
    assert_eq!((accepted.term, accepted.certificate), (term(5), former.certificate.digest()));
}

/// PROTOCOL E7
#[test]
fn nodes_of_two_manifests_support_each_other_in_nothing() {
    let mut rig = Rig::new();
    rig.adopt(V, term(5), 0);
    let (call, renewal) = (rig.call(0, term(6)), rig.renewal(0, term(5), 1));
    let new = renamed(&rig);
    rig.change_to(new);
    rig.restart(V);
    rig.pass(LEASE);
    let other = Err(Refusal::OtherElectorate(rig.electorate.digest()));
    assert_eq!(rig.hand_call(V, 0, call).1.outcome, other);
    assert_eq!(rig.hand_renewal(V, 0, renewal).1.outcome.map(|_| ()), other.map(|_| ()));
}

/// PROTOCOL E7
#[test]
fn voters_move_one_by_one_and_lead_one_at_a_time_in_rising_terms() {
    let mut rig = Rig::with(Plan { voters: 5, ..Plan::default() });
    rig.electorate = succession::of(&[0, 1, 2, 3], 1);
    (0..4).for_each(|node| rig.restart(node));
    rig.nodes[4].is_up = false;
    rig.connect();
    rig.run(3 * LEASE);
    let [first] = rig.holders()[..] else { panic!("nobody leads: {:?}", rig.holders()) };
    let before = rig.term(first);
    let mut highest = before;
    let new = succession::after(&rig.electorate, &[0, 1, 2, 3, 4], 1);
    rig.change_to(new);
    for node in [4, 0, 1, 2, 3] {
        rig.restart(node);
        rig.connect();
        for _ in 0..30 {
            rig.run(STEP / 2);
            highest = one_at_most(&rig, highest);
        }
    }
    let [last] = rig.holders()[..] else { panic!("nobody leads: {:?}", rig.holders()) };
    let certificate = rig.status(last).certificate.expect("its certificate");
    assert!(certificate.term > before && certificate.electorate == rig.electorate.digest());
    assert!(certificate.previous.is_some(), "the chain goes on across the manifests");
}

/// At most one node holds a lease, in no lower a term than any before. Returns the highest term.
fn one_at_most(rig: &Rig, highest: Term) -> Term {
    let holders = rig.holders();
    assert!(holders.len() <= 1, "{holders:?}");
    let Some(holder) = holders.first() else { return highest };
    let (held, _) = rig.status(*holder).held.expect("it holds the lease");
    assert!(held >= highest, "{held:?} after {highest:?}");
    held
}
