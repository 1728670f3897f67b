//! §4, what a refusal carries, and how a coordinator treats its own view.

use nitro_elect::core::event::Action;
use nitro_elect_protocol::ids::Generation;
use nitro_elect_protocol::peer::{PeerMessage, Refusal};

use crate::forgery::{promised_ms, term};
use crate::plan::{LEASE, Plan, STEP, id};
use crate::prevote::calls;
use crate::rig::Rig;

/// PROTOCOL V12
#[test]
fn a_refusal_says_for_how_long_to_the_millisecond_and_never_too_short() {
    let mut rig = Rig::new();
    assert!(rig.called(1, 0, term(1)).is_ok());
    for waited in [0, 1, 500, 998] {
        rig.pass(waited);
        let told = promised_ms(&rig.called(1, 2, term(2))).expect("promised");
        assert_eq!(rig.prevoted(1, 2).1.refusal, Some(Refusal::Promised { ms: told }));
        rig.pass(told - 1);
        assert!(rig.called(1, 2, term(2)).is_err(), "a millisecond early");
        rig.pass(1);
        assert!(rig.prevoted(1, 2).1.refusal.is_none());
        rig = Rig::new();
        assert!(rig.called(1, 0, term(1)).is_ok());
    }
}

/// PROTOCOL V12
#[test]
fn a_refusal_carries_the_voters_highest_certificate_if_the_caller_lacks_it() {
    let mut rig = Rig::new();
    let newest = rig.adopt(1, term(5), 0);
    let call = rig.call(2, term(4));
    assert!(rig.called(1, 0, term(6)).is_ok());
    let (_, answer) = rig.hand_call(1, 2, call.clone());
    assert!(answer.outcome.is_err());
    assert_eq!(answer.certificate.as_ref(), Some(&newest), "news");
    let knowing = nitro_elect_protocol::peer::CallForViews { certificate: Some(newest.clone()), ..call };
    assert_eq!(rig.hand_call(1, 2, knowing).1.certificate, None, "no news");
    let old = rig.renewal(0, term(4), 1);
    assert_eq!(rig.hand_renewal(1, 0, old).1.certificate, Some(newest));
}

/// PROTOCOL V13
#[test]
fn the_coordinators_own_view_is_durable_before_its_call_leaves() {
    let (mut rig, round) = Rig::asking(Plan::default());
    rig.answers(round, 0, None);
    rig.answers(round, 2, None);
    let done = rig.answer_all();
    let synced = done.iter().position(|action| matches!(action, Action::Persist(_))).expect("a write");
    let left = |action: &Action| matches!(action, Action::Send { message: PeerMessage::Call(_), .. });
    let left = done.iter().position(left).expect("a call");
    assert!(synced < left);
    let support = rig.nodes[1].persisted[0].support.expect("its own record");
    let Action::Send { message: PeerMessage::Call(call), .. } = &done[left] else { panic!("a call") };
    let expected = (call.term, id(1), Generation(1));
    assert_eq!((support.term, support.holder, support.generation), expected);
}

/// PROTOCOL V13, L3
#[test]
fn the_lease_of_a_first_election_is_counted_from_before_the_call_left() {
    let mut rig = Rig::new();
    // Only the call's own support: no renewal ever arrives.
    rig.loses = |mail| matches!(mail.message, PeerMessage::Call(_) | PeerMessage::Renew(_));
    rig.connect();
    while rig.record_term(0) == 0 {
        rig.run(1);
        assert!(rig.elapsed() < LEASE, "nobody calls");
    }
    let term = nitro_elect_protocol::ids::Term(rig.record_term(0));
    rig.pass(STEP / 2);
    let views: Vec<_> = (1..4).map(|voter| rig.sealed(rig.view(term, 0, voter))).collect();
    for (voter, view) in (1..4).zip(views) {
        let answer = nitro_elect_protocol::peer::CallAnswer { term, outcome: Ok(view), certificate: None };
        rig.tell(0, voter, PeerMessage::CallAnswer(Box::new(answer)));
    }
    rig.settle();
    assert_eq!(rig.status(0).held.map(|(held, _)| held), Some(term));
    let left = rig.lease_left(0).expect("it leads");
    assert!(left <= LEASE - crate::plan::MARGIN - STEP / 2, "{left} ms from the call, not from the result");
}

/// PROTOCOL V13, D3
#[test]
fn a_call_whose_own_view_cannot_be_written_does_not_leave() {
    let (mut rig, round) = Rig::asking(Plan::default());
    rig.nodes[1].disk_fails = true;
    rig.answers(round, 0, None);
    rig.answers(round, 2, None);
    assert_eq!(calls(&rig.answer_all()), None);
    for _ in 0..30 {
        rig.pass(STEP);
        assert_eq!(calls(&rig.tick(1)), None);
        assert_eq!(calls(&rig.answer_all()), None);
    }
    assert!(rig.nodes[1].persisted.is_empty());
}

/// PROTOCOL V13
#[test]
fn a_coordinator_that_promised_another_since_it_asked_does_not_call() {
    let (mut rig, round) = Rig::asking(Plan::default());
    rig.answers(round, 0, None);
    rig.answers(round, 2, None);
    assert!(rig.called(1, 3, term(1)).is_ok());
    assert_eq!(calls(&rig.answer_all()), None);
    let support = rig.nodes[1].persisted.last().and_then(|record| record.support);
    assert_eq!(support.map(|support| (support.term, support.holder)), Some((term(1), id(3))));
}
