//! §9: what a voter still knows after it ended, and what it does when its disk fails or its votes are lost.

use nitro_elect::core::durable::Record;
use nitro_elect::core::event::{Action, Notice};
use nitro_elect_protocol::ids::{Generation, Term};
use nitro_elect_protocol::peer::{PeerMessage, PreVoteAnswer, Refusal};

use crate::forgery::{promised_ms, sent_to, sign, term};
use crate::plan::{LEASE, STEP};
use crate::rig::Rig;

/// The voter that restarts.
const V: usize = 1;

/// PROTOCOL D1
#[test]
fn after_a_restart_the_recorded_promise_counts_as_made_now() {
    let mut rig = Rig::new();
    assert!(rig.called(V, 0, term(5)).is_ok());
    rig.pass(900);
    rig.restart(V);
    assert_eq!(promised_ms(&rig.called(V, 2, term(6))), Some(LEASE));
    assert_eq!(promised_ms(&rig.called(V, 0, term(6))), Some(LEASE), "its holder does not lead yet");
    rig.pass(LEASE);
    assert_eq!(rig.called(V, 2, term(5)), Err(Refusal::StaleTerm { last: term(5) }));
    assert!(rig.called(V, 2, term(6)).is_ok());
}

/// PROTOCOL D1
#[test]
fn the_recorded_promise_binds_the_voter_towards_itself_and_keeps_it_from_calling() {
    let mut rig = Rig::new();
    assert!(rig.called(V, 0, term(5)).is_ok());
    rig.restart(V);
    assert!(rig.until_asks(V, LEASE - 1).is_none());
    assert!(rig.status(V).ready.is_err(), "and from being ready");
    assert!(rig.until_asks(V, STEP).is_some());
}

/// PROTOCOL D1
#[test]
fn a_voter_whose_recorded_promise_is_to_somebody_else_than_the_present_leader_is_not_ready_yet() {
    let mut rig = Rig::new();
    assert!(rig.called(V, 0, term(5)).is_ok());
    rig.restart(V);
    rig.adopt(V, term(6), 2);
    assert!(rig.status(V).ready.is_err(), "it knows a leader, and would keep its voters from another");
    assert_eq!(promised_ms(&rig.called(V, 3, term(7))), Some(LEASE));
    rig.pass(LEASE);
    assert_eq!(rig.status(V).ready, Ok(()));
    rig.adopt(V, term(8), 2);
    assert!(rig.renewed(V, 2, term(8)).is_ok());
    rig.restart(V);
    assert!(rig.status(V).ready.is_err(), "another may lead by now");
    assert!(rig.renewed(V, 2, term(8)).is_ok());
    assert_eq!(rig.status(V).ready, Ok(()), "its promise is to the present leader");
}

/// PROTOCOL D1
#[test]
fn a_leader_that_restarts_is_not_ready_before_it_knows_who_leads_now() {
    let mut rig = Rig::led();
    rig.restart(0);
    assert!(rig.status(0).ready.is_err(), "the newest certificate that it knows names itself");
    rig.connect();
    rig.run(STEP);
    assert_eq!((rig.holders(), rig.status(0).ready), (vec![0], Ok(())));
}

/// PROTOCOL D1
#[test]
fn the_longer_of_the_recorded_and_the_present_lease_counts() {
    for (recorded, held) in [(3 * LEASE, 3 * LEASE), (LEASE / 2, LEASE)] {
        let mut rig = Rig::new();
        assert!(rig.called(V, 0, term(5)).is_ok());
        let mut record: Record = rig.nodes[V].persisted[0];
        record.generation = Generation(2);
        record.support.as_mut().expect("its support").lease_ms = recorded;
        rig.start(V, record);
        assert_eq!(promised_ms(&rig.called(V, 2, term(6))), Some(held), "recorded {recorded}");
    }
}

/// PROTOCOL D1
#[test]
fn the_recorded_holder_is_renewed_in_its_life_and_not_in_an_earlier_one() {
    let mut rig = Rig::new();
    rig.nodes[0].generation = Generation(2);
    rig.adopt(V, term(5), 0);
    assert!(rig.renewed(V, 0, term(5)).is_ok());
    let bundle = rig.nodes[V].log.clone();
    rig.restart(V);
    assert_eq!(rig.status(V).bundle.map(|held| held.certificate), bundle.map(|held| held.certificate));
    assert!(rig.renewed(V, 0, term(5)).is_ok());
    rig.nodes[0].generation = Generation(1);
    assert_eq!(rig.called(V, 0, term(6)), Err(Refusal::EarlierGeneration));
}

/// PROTOCOL D2
#[test]
fn a_node_does_not_lead_in_a_term_that_an_earlier_life_was_elected_in() {
    let mut rig = Rig::led();
    let before = rig.term(0);
    rig.restart(0);
    rig.enclaves[0].service = None;
    rig.connect();
    rig.run(5 * LEASE);
    assert_eq!(rig.term(0), before, "it has the certificate");
    assert!(rig.holders().is_empty(), "no renewal, no lease");
}

/// PROTOCOL D2
#[test]
fn a_certificate_of_an_earlier_life_that_arrives_late_starts_no_renewal() {
    let mut rig = Rig::led();
    let late = rig.certified(rig.term(0).next(), 2, 0);
    rig.restart(0);
    rig.connect();
    rig.wire.clear();
    let done = rig.tell(0, 2, PeerMessage::Certificate(Box::new(late)));
    assert!(!sent_to(&done, 1).iter().any(|message| matches!(message, PeerMessage::Renew(_))));
    assert!(!rig.holds(0));
}

/// PROTOCOL D3
#[test]
fn a_view_whose_record_was_not_written_does_not_leave_and_is_written_before_it_does() {
    let mut rig = Rig::new();
    rig.nodes[V].disk_fails = true;
    let call = rig.call(0, term(5));
    let done = rig.tell(V, 0, PeerMessage::Call(Box::new(call.clone())));
    assert!(!sent_to(&done, 0).iter().any(|message| matches!(message, PeerMessage::CallAnswer(_))));
    rig.nodes[V].disk_fails = false;
    let (done, answer) = rig.hand_call(V, 0, call);
    assert!(answer.outcome.is_ok());
    let written = done.iter().position(|action| matches!(action, Action::Persist(_))).expect("written again");
    let left = |action: &Action| matches!(action, Action::Send { message: PeerMessage::CallAnswer(_), .. });
    assert!(written < done.iter().position(left).expect("an answer"));
}

/// PROTOCOL D3
#[test]
fn a_promise_whose_record_was_not_written_does_not_leave() {
    let mut rig = Rig::new();
    rig.adopt(V, term(5), 0);
    rig.nodes[V].disk_fails = true;
    let renewal = rig.renewal(0, term(5), 1);
    let done = rig.tell(V, 0, PeerMessage::Renew(renewal));
    assert!(!sent_to(&done, 0).iter().any(|message| matches!(message, PeerMessage::RenewAnswer(_))));
    let done = rig.tell(V, 0, PeerMessage::Renew(renewal));
    assert!(!sent_to(&done, 0).iter().any(|message| matches!(message, PeerMessage::RenewAnswer(_))));
    rig.nodes[V].disk_fails = false;
    let (done, _) = rig.hand_renewal(V, 0, renewal);
    assert!(done.iter().any(|action| matches!(action, Action::Persist(_))));
}

/// PROTOCOL D3
#[test]
fn a_leaders_own_promise_that_was_not_written_counts_neither_for_its_lease_nor_in_a_proof() {
    let mut rig = Rig::new();
    [1, 2, 3].into_iter().for_each(|peer| drop(rig.up(0, peer)));
    let bundle = rig.certified(term(5), 2, 0);
    rig.nodes[0].disk_fails = true;
    rig.tell(0, 2, PeerMessage::Certificate(Box::new(bundle.clone())));
    rig.nodes[0].disk_fails = false;
    for voter in [1, 2] {
        let promise = sign(rig.promise(&bundle, voter, 1));
        let (term, seq) = (term(5), 1);
        let answer =
            nitro_elect_protocol::peer::RenewAnswer { term, seq, outcome: Ok(promise), certificate: None };
        rig.tell(0, voter, PeerMessage::RenewAnswer(Box::new(answer)));
    }
    assert!(!rig.holds(0), "two of three promised");
    let proofs = rig.take(|mail| matches!(mail.message, PeerMessage::Lease(_)));
    assert!(proofs.is_empty(), "and a proof would hold a promise that the disk has not");
    assert!(rig.status(0).lease_proof.is_none());
}

/// A voter whose votes are lost, connected to all.
fn without_votes() -> Rig {
    let mut rig = Rig::new();
    let record = Record { generation: Generation(2), forgot_votes: true, ..rig.first_record(V) };
    rig.start(V, record);
    rig
}

fn told(rig: &mut Rig, voter: usize, record_term: Term) {
    let answer = PreVoteAnswer { round: 0, refusal: None, record_term, eligible: true, certificate: None };
    rig.tell(V, voter, PeerMessage::PreVoteAnswer(Box::new(answer)));
}

/// PROTOCOL D4
#[test]
fn a_voter_whose_votes_are_lost_signs_nothing_before_a_lease_has_passed_and_n_less_f_told_their_terms() {
    let mut rig = without_votes();
    let (highest, next) = (term(7), term(8));
    [(0, term(3)), (2, highest)].into_iter().for_each(|(voter, record)| told(&mut rig, voter, record));
    rig.pass(LEASE);
    rig.tick(V);
    assert_eq!(rig.called(V, 0, next), Err(Refusal::NotSigning), "two of the three that it needs");
    rig.adopt(V, term(4), 0);
    assert_eq!(rig.renewed(V, 0, term(4)), Err(Refusal::NotSigning), "it promises nothing either");
    told(&mut rig, 3, term(2));
    rig.tick(V);
    assert_eq!(rig.called(V, 2, highest), Err(Refusal::StaleTerm { last: highest }));
    assert!(rig.called(V, 2, next).is_ok(), "above all that it was told");
}

/// PROTOCOL D4
#[test]
fn a_voter_whose_votes_are_lost_waits_out_a_lease_even_if_all_tell_at_once() {
    let mut rig = without_votes();
    [0, 2, 3].into_iter().for_each(|voter| told(&mut rig, voter, term(1)));
    rig.pass(LEASE - 1);
    rig.tick(V);
    assert_eq!(rig.called(V, 0, term(2)), Err(Refusal::NotSigning));
    let called = rig.nodes[V].notices.iter().any(|notice| matches!(notice, Notice::Called { .. }));
    assert!(!called && !rig.status(V).eligible);
    rig.pass(1);
    rig.tick(V);
    assert!(rig.called(V, 0, term(2)).is_ok());
    let record = rig.nodes[V].persisted.last().expect("a record");
    assert!(record.forgot_votes, "it says so until it has a new key");
}
