//! §7: promises, the time until which the lease is held, and its proof.

use nitro_elect::core::event::{Action, Command, Drop, Notice};
use nitro_elect_protocol::ids::{Challenge, Generation, Nonce, Term};
use nitro_elect_protocol::peer::{PeerMessage, Refusal, RenewAnswer};
use nitro_elect_protocol::promise::Promise;
use nitro_elect_protocol::proof::{LeaseProof, LeaseProofError};
use nitro_elect_tests::sim::identities::{Primitives, Shared};

use crate::forgery::{promised_ms, sent_to, sign, term};
use crate::plan::{LEASE, MARGIN, STEP, id};
use crate::rig::Rig;

/// The voter that is asked to promise.
const V: usize = 1;

/// PROTOCOL L1
#[test]
fn a_promise_is_given_to_the_leader_of_the_highest_certificate_in_its_term_and_life_alone() {
    let mut rig = Rig::new();
    assert_eq!(rig.renewed(V, 0, term(5)), Err(Refusal::NoCertificate));
    rig.adopt(V, term(5), 0);
    assert_eq!(rig.renewed(V, 0, term(6)), Err(Refusal::NoCertificate), "a term it knows nothing of");
    assert_eq!(rig.renewed(V, 2, term(5)), Err(Refusal::NotLeader), "another node");
    assert_eq!(rig.renewed(V, 0, term(4)), Err(Refusal::NotLeader), "an earlier term");
    rig.nodes[0].generation = Generation(2);
    assert_eq!(rig.renewed(V, 0, term(5)), Err(Refusal::NotLeader), "another life");
    rig.nodes[0].generation = Generation(1);
    let promise = rig.renewed(V, 0, term(5)).expect("promised").peek().expect("a promise");
    assert_eq!((promise.voter, promise.leader, promise.term, promise.seq), (id(V), id(0), term(5), 1));
}

/// PROTOCOL L1
#[test]
fn a_voter_that_signed_for_a_higher_term_promises_nothing_in_a_lower_one() {
    let mut rig = Rig::new();
    rig.adopt(V, term(5), 0);
    assert!(rig.called(V, 0, term(6)).is_ok());
    assert_eq!(rig.renewed(V, 0, term(5)), Err(Refusal::StaleTerm { last: term(6) }));
}

/// PROTOCOL L1
#[test]
fn no_promise_is_given_while_one_to_another_runs() {
    let mut rig = Rig::new();
    assert!(rig.called(V, 2, term(4)).is_ok());
    rig.adopt(V, term(5), 0);
    assert_eq!(promised_ms(&rig.renewed(V, 0, term(5))), Some(LEASE));
    rig.pass(LEASE);
    assert!(rig.renewed(V, 0, term(5)).is_ok());
}

/// PROTOCOL L1
#[test]
fn no_promise_to_a_later_life_is_replaced_by_one_to_an_earlier() {
    let mut rig = Rig::new();
    let bundle = rig.certified(term(6), 0, 0);
    rig.nodes[0].generation = Generation(2);
    assert!(rig.called(V, 0, term(5)).is_ok());
    rig.tell(V, 2, PeerMessage::Certificate(Box::new(bundle)));
    rig.nodes[0].generation = Generation(1);
    assert_eq!(rig.renewed(V, 0, term(6)), Err(Refusal::EarlierGeneration));
}

/// PROTOCOL L1
#[test]
fn no_promise_is_given_in_a_term_that_its_leader_resigned_from() {
    let mut rig = Rig::new();
    rig.adopt(V, term(5), 0);
    rig.tell_resign(V, rig.resign(0, 1, term(5)));
    assert_eq!(rig.renewed(V, 0, term(5)), Err(Refusal::Resigned));
}

/// PROTOCOL L2
#[test]
fn a_promise_raises_the_record_synced_before_it_leaves_and_runs_for_a_lease() {
    let mut rig = Rig::new();
    rig.adopt(V, term(5), 0);
    let renewal = rig.renewal(0, term(5), 1);
    let (done, answer) = rig.hand_renewal(V, 0, renewal);
    assert!(answer.outcome.is_ok());
    let synced = done.iter().position(|action| matches!(action, Action::Persist(_))).expect("a write");
    let left = |action: &Action| matches!(action, Action::Send { message: PeerMessage::RenewAnswer(_), .. });
    assert!(synced < done.iter().position(left).expect("an answer"));
    let support = rig.nodes[V].persisted[0].support.expect("a record");
    assert_eq!((support.term, support.holder, support.generation), (term(5), id(0), Generation(1)));
    rig.pass(700);
    let (done, _) = rig.hand_renewal(V, 0, rig.renewal(0, term(5), 2));
    assert!(!done.iter().any(|action| matches!(action, Action::Persist(_))), "nothing changed");
    assert_eq!(promised_ms(&rig.called(V, 2, term(6))), Some(LEASE), "from the last promise on");
}

/// A node that adopted a certificate of an election that another called and that elected it.
fn elected_by_another() -> (Rig, nitro_elect_protocol::proof::Bundle) {
    let mut rig = Rig::new();
    [1, 2, 3].into_iter().for_each(|peer| drop(rig.up(0, peer)));
    let bundle = rig.certified(term(5), 2, 0);
    rig.tell(0, 2, PeerMessage::Certificate(Box::new(bundle.clone())));
    (rig, bundle)
}

impl Rig {
    /// A voter answers a renewal of node 0's with this promise.
    fn promises(&mut self, promise: Promise) -> Vec<Action> {
        let voter = crate::plan::number(&promise.voter);
        let (term, seq) = (promise.term, promise.seq);
        let answer = RenewAnswer { term, seq, outcome: Ok(sign(promise)), certificate: None };
        self.tell(0, voter, PeerMessage::RenewAnswer(Box::new(answer)))
    }
}

/// PROTOCOL L5
#[test]
fn a_leader_elected_by_anothers_call_holds_nothing_before_its_first_renewal() {
    let (mut rig, bundle) = elected_by_another();
    assert_eq!(rig.term(0), term(5));
    assert!(!rig.holds(0));
    rig.promises(rig.promise(&bundle, 1, 1));
    assert!(!rig.holds(0), "its own and one more of three");
    rig.promises(rig.promise(&bundle, 2, 1));
    assert_eq!(rig.lease_left(0), Some(LEASE - MARGIN));
}

/// PROTOCOL L12
#[test]
fn a_leader_elected_by_another_renews_at_once_when_that_one_frees_its_voter() {
    let mut rig = Rig::new();
    rig.connect();
    assert!(rig.called(0, 1, term(5)).is_ok());
    let bundle = rig.certified(term(5), 1, 0);
    rig.tell(0, 1, PeerMessage::Certificate(Box::new(bundle.clone())));
    rig.promises(rig.promise(&bundle, 1, 1));
    rig.promises(rig.promise(&bundle, 2, 1));
    assert!(!rig.holds(0), "its own voter has promised the caller");
    let done = rig.tell_resign(0, rig.resign(1, 1, term(5)));
    let renews = |action: &Action| matches!(action, Action::Send { message: PeerMessage::Renew(_), .. });
    assert!(done.iter().any(renews), "not a renewal later");
    rig.promises(rig.promise(&bundle, 1, 2));
    rig.promises(rig.promise(&bundle, 2, 2));
    assert!(rig.holds(0));
}

/// PROTOCOL L3
#[test]
fn a_lease_less_margin_runs_from_the_q_th_latest_time_before_the_renewals_were_sent() {
    let (mut rig, bundle) = elected_by_another();
    // The first renewal began at 0; its answers come late.
    rig.pass(200);
    rig.promises(rig.promise(&bundle, 1, 1));
    rig.promises(rig.promise(&bundle, 2, 1));
    assert_eq!(rig.lease_left(0), Some(LEASE - MARGIN - 200), "from when it was sent");
    rig.pass(LEASE / 3 + 1 - 200);
    rig.tick(0);
    rig.promises(rig.promise(&bundle, 1, 2));
    assert_eq!(rig.lease_left(0), Some(LEASE - MARGIN - LEASE / 3 - 1), "two of the second renewal");
    rig.promises(rig.promise(&bundle, 3, 2));
    assert_eq!(rig.lease_left(0), Some(LEASE - MARGIN), "three");
}

/// PROTOCOL L3
#[test]
fn only_promises_for_its_own_certificate_life_renewal_and_challenge_count() {
    let (mut rig, bundle) = elected_by_another();
    rig.promises(rig.promise(&bundle, 1, 1));
    let good = rig.promise(&bundle, 2, 1);
    let other = rig.certified(term(6), 2, 0).certificate.digest();
    for bad in [
        Promise { generation: Generation(2), ..good.clone() },
        Promise { leader: id(3), ..good.clone() },
        Promise { term: term(4), ..good.clone() },
        Promise { seq: 2, ..good.clone() },
        Promise { challenge: Challenge([1; 32]), ..good.clone() },
        Promise { certificate: other, ..good.clone() },
        Promise { voter: id(1), ..good.clone() },
    ] {
        rig.promises(bad.clone());
        assert!(!rig.holds(0), "{bad:?}");
    }
    let answer = RenewAnswer { term: term(5), seq: 1, outcome: Ok(sign(good.clone())), certificate: None };
    rig.tell(0, 3, PeerMessage::RenewAnswer(Box::new(answer)));
    assert!(!rig.holds(0), "passed on by another");
    rig.promises(good);
    assert!(rig.holds(0));
}

/// PROTOCOL L3
#[test]
fn the_views_of_an_election_that_an_earlier_life_called_give_no_lease() {
    let mut rig = Rig::led();
    let bundle = rig.certified(Term(rig.term(0).0 + 1), 0, 0);
    rig.restart(0);
    rig.tell(0, 2, PeerMessage::Certificate(Box::new(bundle)));
    assert!(!rig.holds(0));
}

/// PROTOCOL L4
#[test]
fn it_claims_the_term_of_its_highest_certificate_and_nothing_once_another_is_named() {
    let mut rig = Rig::led();
    let before = rig.term(0);
    assert_eq!(rig.status(0).held.map(|(held, _)| held), Some(before));
    let next = rig.certified(Term(before.0 + 1), 2, 0);
    rig.tell(0, 2, PeerMessage::Certificate(Box::new(next)));
    assert_eq!(rig.status(0).held.map(|(held, _)| held), Some(before.next()));
    let other = rig.certified(Term(before.0 + 2), 2, 3);
    rig.tell(0, 2, PeerMessage::Certificate(Box::new(other)));
    assert!(!rig.holds(0));
}

/// PROTOCOL L4
#[test]
fn support_in_terms_that_it_resigned_from_gives_no_lease() {
    let mut rig = Rig::led();
    let led = rig.term(0);
    rig.command(0, Command::StepDown { to: None });
    assert!(!rig.holds(0));
    // A certificate of a higher term, called by another: the support for the resigned term does not count in it.
    let next = rig.certified(led.next(), 2, 0);
    rig.tell(0, 2, PeerMessage::Certificate(Box::new(next)));
    assert!(!rig.holds(0));
}

/// PROTOCOL L4
#[test]
fn a_certificate_that_surfaces_after_its_coordinator_resigned_gives_it_nothing() {
    let mut rig = Rig::new();
    rig.loses = |mail| matches!(mail.message, PeerMessage::Call(_));
    rig.connect();
    while rig.record_term(0) == 0 {
        rig.run(5);
        assert!(rig.elapsed() < LEASE, "it calls");
    }
    let called = Term(rig.record_term(0));
    rig.run(3 * STEP);
    let resigned = rig.status(0).held.is_none();
    assert!(resigned);
    let late = rig.certified(called, 0, 0);
    rig.tell(0, 2, PeerMessage::Certificate(Box::new(late)));
    assert_eq!(rig.term(0), called, "adopted");
    assert!(!rig.holds(0), "it resigned when its call failed");
}

/// PROTOCOL L6
#[test]
fn a_repeated_renewal_does_not_move_its_time() {
    let (mut rig, bundle) = elected_by_another();
    rig.wire.clear();
    rig.pass(LEASE / 9 + 1);
    rig.tick(0);
    let repeated = rig.take(|mail| matches!(mail.message, PeerMessage::Renew(renew) if renew.seq == 1));
    assert_eq!(repeated.len(), 3, "to the silent");
    rig.promises(rig.promise(&bundle, 1, 1));
    rig.promises(rig.promise(&bundle, 2, 1));
    assert_eq!(rig.lease_left(0), Some(LEASE - MARGIN - LEASE / 9 - 1));
}

/// PROTOCOL L7
#[test]
fn a_connected_leader_keeps_its_lease_while_every_enclave_is_down() {
    let mut rig = Rig::led();
    let term = rig.term(0);
    rig.enclaves[0].service = None;
    for _ in 0..500 {
        rig.run(STEP);
        assert_eq!((rig.holders(), rig.term(0)), (vec![0], term));
    }
}

/// PROTOCOL L7
#[test]
fn a_leader_regains_its_lease_in_the_same_term_while_every_enclave_is_down() {
    let mut rig = Rig::led();
    let term = rig.term(0);
    rig.enclaves[0].service = None;
    rig.cut.insert(0);
    rig.run(3 * LEASE);
    assert!(rig.holders().is_empty());
    rig.cut.clear();
    rig.run(LEASE);
    assert_eq!((rig.holders(), rig.term(0)), (vec![0], term));
}

/// PROTOCOL L8
#[test]
fn the_remaining_time_is_computed_when_asked() {
    let mut rig = Rig::led();
    let left = rig.lease_left(0).expect("it leads");
    rig.pass(100);
    assert_eq!(rig.lease_left(0), Some(left - 100), "no event has told it");
    rig.pass(left - 101);
    assert_eq!(rig.lease_left(0), Some(1));
    rig.pass(2);
    assert_eq!(rig.lease_left(0), None);
}

/// The newest proof that a node has.
fn proof(rig: &Rig, node: usize) -> LeaseProof {
    rig.status(node).lease_proof.expect("a proof").0
}

/// PROTOCOL L9
#[test]
fn a_proof_is_a_quorum_of_one_renewal_under_the_challenge_of_the_verifiers_nonces() {
    let mut rig = Rig::led();
    let (mine, other) = (Nonce([1; 32]), Nonce([2; 32]));
    rig.command(0, Command::Prove(mine));
    rig.run(STEP);
    let proven = rig.nodes[0].notices.iter();
    assert!(proven.filter(|notice| matches!(notice, Notice::Proven(nonce) if *nonce == mine)).count() > 0);
    let proof = proof(&rig, 0);
    let certificate = rig.status(0).certificate.expect("a certificate");
    let crypto = Shared::get().crypto(Primitives::StandIn);
    let check = |proof: &LeaseProof| proof.verify(&*crypto, &rig.electorate, &certificate);
    let checked = check(&proof).expect("it proves");
    assert_eq!((checked.leader, checked.term), (id(0), rig.term(0)));
    assert_eq!(checked.answers(&mine), Ok(()));
    assert_eq!(checked.answers(&other), Err(LeaseProofError::NotMyNonce));
    let few = LeaseProof { promises: proof.promises[..2].to_vec(), ..proof.clone() };
    assert_eq!(check(&few), Err(LeaseProofError::NoQuorum { found: 2, quorum: 3 }));
    let claimed = LeaseProof { nonces: vec![other], ..proof.clone() };
    assert_eq!(check(&claimed), Err(LeaseProofError::Challenge));
    let (mixed, bundle) = (proof.clone(), rig.status(0).bundle.expect("a bundle"));
    let promises = [rig.promise(&bundle, 0, 90), rig.promise(&bundle, 1, 91), rig.promise(&bundle, 2, 91)];
    let mixed = LeaseProof { promises: promises.map(sign).to_vec(), nonces: Vec::new(), ..mixed };
    assert!(check(&mixed).is_err(), "of two renewals");
}

/// PROTOCOL L9
#[test]
fn a_nonce_that_reaches_a_follower_is_answered_through_the_leader_at_once() {
    let mut rig = Rig::led();
    let nonce = Nonce([3; 32]);
    rig.run(LEASE / 30);
    rig.command(2, Command::Prove(nonce));
    rig.run(LEASE / 30 + 1);
    let proven = rig.nodes[2].notices.iter();
    assert_eq!(proven.filter(|notice| matches!(notice, Notice::Proven(told) if *told == nonce)).count(), 1);
}

/// PROTOCOL L10
#[test]
fn a_follower_reckons_the_lease_from_its_receipt_of_a_newer_renewal_than_any_it_had() {
    let mut rig = Rig::new();
    let bundle = rig.adopt(V, term(5), 0);
    let proof = |rig: &Rig, seq| {
        let promises = [0, 2, 3].map(|voter| sign(rig.promise(&bundle, voter, seq))).to_vec();
        let certificate = bundle.certificate.digest();
        let proof = LeaseProof { term: term(5), certificate, promises, nonces: Vec::new() };
        PeerMessage::Lease(Box::new(proof))
    };
    let left = |rig: &Rig| rig.status(V).leader.map(|leader| leader.lease_left.as_millis() as u64);
    assert_eq!(left(&rig), None, "a certificate alone is no news of a lease");
    rig.tell(V, 3, proof(&rig, 7));
    assert_eq!(left(&rig), Some(LEASE - MARGIN));
    rig.pass(100);
    for old in [7, 6] {
        rig.tell(V, 3, proof(&rig, old));
        assert_eq!(left(&rig), Some(LEASE - MARGIN - 100), "renewal {old}");
    }
    rig.tell(V, 3, proof(&rig, 8));
    assert_eq!(left(&rig), Some(LEASE - MARGIN));
    let PeerMessage::Lease(mut forged) = proof(&rig, 9) else { panic!("a proof") };
    forged.promises[0] = forged.promises[1].clone();
    rig.pass(50);
    let done = rig.tell(V, 3, PeerMessage::Lease(forged));
    assert!(sent_to(&done, 3).is_empty());
    assert_eq!(left(&rig), Some(LEASE - MARGIN - 50));
    assert!(rig.status(V).drops.contains(&(Drop::LeaseProof, 1)));
}

/// PROTOCOL L11
#[test]
fn a_leader_without_a_lease_renews_only_while_a_quorum_that_can_promise_is_connected() {
    let mut rig = Rig::led();
    let renews = |done: &[Action]| {
        let is_renewal = |message: &PeerMessage| matches!(message, PeerMessage::Renew(_));
        (1..4).any(|voter| sent_to(done, voter).iter().any(is_renewal))
    };
    for gone in [2, 3] {
        rig.feed(0, nitro_elect::core::event::Event::PeerDown { peer: id(gone) });
    }
    rig.pass(LEASE / 3 + 1);
    assert!(rig.holds(0) && renews(&rig.tick(0)), "while the lease runs it tries");
    rig.pass(LEASE);
    for _ in 0..9 {
        assert!(!renews(&rig.tick(0)), "its lease is over, and two of three are within reach");
        rig.pass(LEASE / 9);
    }
    assert!(renews(&rig.up(0, 2)));
}
