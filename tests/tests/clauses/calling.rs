//! §2: who calls, and when.

use nitro_elect::core::event::{Command, Notice};
use nitro_elect_protocol::ids::{NodeId, Term};
use nitro_elect_protocol::peer::{PeerMessage, PreVoteAnswer, Refusal, RenewAnswer};
use nitro_elect_protocol::proof::LeaseProof;

use crate::forgery::{sign, term};
use crate::plan::{LEASE, MARGIN, STEP, id};
use crate::prevote::{asks, calls};
use crate::rig::Rig;

/// How long a node takes to ask for a pre-vote while it sees these nodes alive.
fn waits(rig: &mut Rig, node: usize, alive: &[usize]) -> u64 {
    let begun = rig.elapsed();
    for _ in 0..4 * LEASE {
        if (rig.elapsed() - begun).is_multiple_of(50) {
            for other in alive {
                let seq = 1000 + rig.elapsed();
                let done = rig.hear(node, *other, rig.heartbeat(*other, seq));
                if asks(&done).is_some() {
                    return rig.elapsed() - begun;
                }
            }
        }
        if asks(&rig.tick(node)).is_some() {
            return rig.elapsed() - begun;
        }
        rig.pass(1);
    }
    panic!("it never asks");
}

/// PROTOCOL C1
#[test]
fn nobody_calls_while_its_own_promise_runs() {
    let mut rig = Rig::new();
    assert!(rig.called(1, 0, term(1)).is_ok());
    let waited = waits(&mut rig, 1, &[]);
    assert!((LEASE..=LEASE + STEP / 2).contains(&waited), "{waited}");
}

/// PROTOCOL C1
#[test]
fn nobody_calls_for_a_lease_from_the_adoption_of_the_newest_certificate() {
    let mut rig = Rig::new();
    rig.adopt(1, term(1), 0);
    let waited = waits(&mut rig, 1, &[]);
    assert!((LEASE..=LEASE + STEP / 2).contains(&waited), "{waited}");
}

/// PROTOCOL C1
#[test]
fn nobody_calls_while_the_newest_lease_proof_runs() {
    let mut rig = Rig::new();
    let bundle = rig.adopt(1, term(1), 0);
    rig.pass(600);
    let promises = [0, 2, 3].map(|voter| sign(rig.promise(&bundle, voter, 1))).to_vec();
    let certificate = bundle.certificate.digest();
    let proof = LeaseProof { term: term(1), certificate, promises, nonces: Vec::new() };
    rig.tell(1, 0, PeerMessage::Lease(Box::new(proof)));
    let waited = waits(&mut rig, 1, &[]);
    let proven = LEASE - MARGIN;
    assert!((proven..=proven + STEP / 2).contains(&waited), "{waited}");
}

/// PROTOCOL C1
#[test]
fn under_a_leader_that_renews_nobody_ever_calls() {
    let mut rig = Rig::led();
    let term = rig.term(0);
    rig.loses = |mail| {
        assert!(!matches!(mail.message, PeerMessage::PreVote(_) | PeerMessage::Call(_)), "{mail:?}");
        false
    };
    for _ in 0..200 {
        rig.run(STEP);
        assert_eq!((rig.holders(), rig.term(3)), (vec![0], term));
    }
}

/// PROTOCOL C2
#[test]
fn the_leaders_resignation_ends_the_lease_known_if_it_covers_the_term() {
    let mut rig = Rig::new();
    rig.adopt(1, term(5), 0);
    rig.pass(100);
    let done = rig.tell_resign(1, rig.resign(0, 1, term(4)));
    assert_eq!(asks(&done), None, "a lower term");
    let done = rig.tell_resign(1, rig.resign(2, 1, term(5)));
    assert_eq!(asks(&done), None, "another's");
    let done = rig.tell_resign(1, rig.resign(0, 1, term(5)));
    assert!(asks(&done).is_some(), "of rank 0 it asks at once");
}

/// PROTOCOL C2
#[test]
fn the_leaders_resignation_ends_every_wait_told_before() {
    let mut rig = Rig::new();
    rig.adopt(1, term(5), 0);
    [0, 2, 3].into_iter().for_each(|peer| drop(rig.up(1, peer)));
    let (_, round) = rig.until_asks(1, 2 * LEASE).expect("the lease runs out");
    for voter in [0, 2, 3] {
        let refusal = Some(Refusal::Promised { ms: 5000 });
        let no = PreVoteAnswer { round, refusal, record_term: Term(0), eligible: true, certificate: None };
        rig.tell(1, voter, PeerMessage::PreVoteAnswer(Box::new(no)));
    }
    assert_eq!(rig.until_asks(1, LEASE), None, "it waits");
    let done = rig.tell_resign(1, rig.resign(0, 1, term(5)));
    assert!(asks(&done).is_some());
}

/// PROTOCOL C3
#[test]
fn a_voter_asks_after_its_rank_in_steps_and_up_to_half_a_step_of_jitter() {
    for node in 0..4 {
        let mut rig = Rig::new();
        rig.adopt(node, term(1), if node == 0 { 1 } else { 0 });
        let others: Vec<usize> = (0..4).filter(|other| *other != node).collect();
        let waited = waits(&mut rig, node, &others);
        let due = LEASE + node as u64 * STEP;
        assert!((due..=due + STEP / 2).contains(&waited), "node {node}: {waited}");
    }
}

/// How long a node waits that saw the leader 0 resign in favour of this successor.
fn waits_after_resign(node: usize, successor: Option<NodeId>) -> u64 {
    let mut rig = Rig::new();
    rig.adopt(node, term(1), 0);
    let others: Vec<usize> = (0..4).filter(|other| *other != node).collect();
    others.iter().for_each(|other| drop(rig.hear(node, *other, rig.heartbeat(*other, 1))));
    rig.tick(node);
    let done = rig.tell_resign(node, rig.resign_naming(0, 1, term(1), successor));
    if asks(&done).is_some() { 0 } else { waits(&mut rig, node, &others) }
}

/// PROTOCOL C4
#[test]
fn the_rank_is_the_place_among_active_voters_and_the_leader_that_resigned_is_last() {
    let [first, second, third] = [1, 2, 3].map(|node| waits_after_resign(node, None));
    assert_eq!(first, 0, "rank 0 after a resignation has no jitter");
    assert!((STEP..=STEP * 3 / 2).contains(&second), "{second}");
    assert!((2 * STEP..=STEP * 5 / 2).contains(&third), "{third}");
}

/// PROTOCOL C4
#[test]
fn a_named_successor_comes_first_and_without_jitter() {
    let [first, second, third] = [3, 1, 2].map(|node| waits_after_resign(node, Some(id(3))));
    assert_eq!(first, 0);
    assert!((STEP..=STEP * 3 / 2).contains(&second), "{second}");
    assert!((2 * STEP..=STEP * 5 / 2).contains(&third), "{third}");
}

/// PROTOCOL C4
#[test]
fn the_leader_that_resigned_calls_after_all_others() {
    let mut rig = Rig::led();
    rig.command(0, Command::StepDown { to: None });
    let waited = waits(&mut rig, 0, &[1, 2, 3]);
    assert!((3 * STEP..=STEP * 7 / 2).contains(&waited), "{waited}");
}

/// PROTOCOL C5
#[test]
fn a_leader_that_restarted_calls_at_once_and_gets_the_lead_back() {
    let mut rig = Rig::led();
    let before = rig.term(0);
    rig.restart(0);
    rig.connect();
    rig.run(STEP / 2);
    assert_eq!(rig.holders(), [0]);
    assert!(rig.term(0) > before, "in a term of its new life");
}

/// PROTOCOL C6
#[test]
fn a_leader_calls_when_less_than_a_third_of_its_lease_is_left() {
    let mut rig = Rig::led();
    let before = rig.term(0);
    rig.loses = |mail| matches!(mail.message, PeerMessage::Renew(_));
    while rig.term(0) == before {
        let left = rig.lease_left(0).expect("it never loses the lease");
        let called = rig.nodes[0].notices.iter();
        let called =
            called.filter(|notice| matches!(notice, Notice::Called { term } if *term > before)).count();
        assert!(called == 0 || left < LEASE / 3, "not with {left} ms left");
        assert!(left > LEASE / 4, "not before it is late");
        rig.run(5);
    }
    assert_eq!(rig.holders(), [0]);
}

/// PROTOCOL C6
#[test]
fn a_leader_calls_when_too_few_voters_can_still_promise_in_its_term() {
    let mut rig = Rig::led();
    let term = rig.term(0);
    let stale = |rig: &mut Rig, voter: usize, last: u64| {
        let outcome = Err(Refusal::StaleTerm { last: Term(last) });
        let answer = RenewAnswer { term, seq: 1, outcome, certificate: None };
        let mut done = rig.tell(0, voter, PeerMessage::RenewAnswer(Box::new(answer)));
        done.extend(rig.answer_all());
        calls(&done)
    };
    assert_eq!(stale(&mut rig, 2, term.0 + 1), None, "three of four still can");
    let called = stale(&mut rig, 3, term.0 + 7);
    assert_eq!(called, Some(Term(term.0 + 8)), "above what it was told");
    assert!(rig.lease_left(0).expect("it leads") > LEASE / 3);
}

/// PROTOCOL C7
#[test]
fn a_leader_that_cannot_regain_its_lease_calls_although_its_own_promise_runs() {
    for voters_past_its_term in [vec![2], vec![2, 3]] {
        let mut rig = Rig::led();
        let term = rig.term(0);
        rig.enclaves[0].service = None;
        rig.loses = |mail| matches!(mail.message, PeerMessage::RenewAnswer(_));
        while rig.holds(0) {
            rig.run(10);
        }
        for voter in &voters_past_its_term {
            let outcome = Err(Refusal::StaleTerm { last: term.next() });
            let answer = RenewAnswer { term, seq: 1, outcome, certificate: None };
            rig.tell(0, *voter, PeerMessage::RenewAnswer(Box::new(answer)));
        }
        rig.wire.clear();
        let asked = rig.until_asks(0, 3 * STEP).is_some();
        assert_eq!(asked, voters_past_its_term.len() == 2, "past its term: {voters_past_its_term:?}");
    }
}

/// PROTOCOL C8
#[test]
fn a_silent_voter_does_not_keep_a_leader_in_a_term_that_another_voter_is_past() {
    let mut rig = Rig::led();
    rig.cut.insert(2);
    rig.run(2 * LEASE);
    let high = Term(rig.term(0).0 + 1_000);
    assert!(rig.called(2, 3, high).is_ok(), "it is made to support a term that nobody is elected in");
    let enclave = rig.enclaves[0].service.take();
    rig.loses = |mail| mail.from == 3;
    rig.run(2 * LEASE);
    assert!(rig.holders().is_empty(), "with 2 cut off and 3 silent no lease can be held");
    rig.enclaves[0].service = enclave;
    rig.cut.clear();
    rig.run(LEASE);
    assert_eq!(rig.holders(), [0]);
    assert!(rig.term(0) > high);
}
