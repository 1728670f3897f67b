//! Traces that left clusters of earlier drafts without a leader, or for too long. Each test says what broke and the
//! rule that stops it now; see [`crate::traces`].

use nitro_elect::core::event::{Command, Notice};
use nitro_elect_protocol::ids::Term;
use nitro_elect_protocol::peer::{PeerMessage, Refusal, RenewAnswer};

use crate::forgery::{back_off_ms, term};
use crate::plan::{LEASE, STEP, id};
use crate::rig::Rig;

/// The voter that attacks, or is missing.
const LAST: usize = 3;

/// Lets the last voter attack every so many milliseconds, until somebody leads. Says how long it took.
fn until_led(rig: &mut Rig, every: u64, most: u64, attack: impl Fn(&mut Rig)) -> u64 {
    rig.nodes[LAST].is_up = false;
    rig.connect();
    while rig.holders().is_empty() {
        assert!(rig.elapsed() < most, "nobody leads after {most} ms");
        attack(rig);
        rig.run(every);
    }
    rig.elapsed()
}

/// The last voter calls the next term of a voter that would sign it.
fn call_next(rig: &mut Rig, voter: usize) {
    let next = Term(rig.record_term(voter) + 1);
    let _ = rig.called(voter, LAST, next);
}

/// What broke: a coordinator that withholds the results kept honest voters busy for ever. The rule: back-off.
#[test]
fn starvation_by_a_coordinator_that_withholds() {
    let mut rig = Rig::new();
    until_led(&mut rig, 5, 5 * LEASE, |rig| (0..LAST).for_each(|voter| call_next(rig, voter)));
}

/// What broke: one that signs and resigns every 30 ms, with the count of its holds capped low. The rule: each hold
/// without fruit doubles the wait, up to 2^6 times the hold.
#[test]
fn starvation_by_a_coordinator_that_resigns_at_once() {
    let mut rig = Rig::new();
    until_led(&mut rig, 30, 8 * LEASE, |rig| {
        for voter in 0..LAST {
            rig.tell_resign(voter, rig.resign(LAST, 1, Term(rig.record_term(voter))));
            call_next(rig, voter);
        }
    });
}

/// What broke: back-off counted failed elections alone, so that a coordinator that nominates others was never kept
/// waiting. The rule: a hold is fruitful by a promise given, or by a leader that its own call elected.
#[test]
fn starvation_by_a_coordinator_that_nominates_others() {
    let mut rig = Rig::new();
    assert!(rig.called(1, LAST, term(5)).is_ok());
    let certificate = rig.certified(term(5), LAST, 0);
    rig.tell(1, LAST, PeerMessage::Certificate(Box::new(certificate)));
    rig.pass(30);
    rig.tell_resign(1, rig.resign(LAST, 1, term(5)));
    assert_eq!(back_off_ms(&rig.called(1, LAST, term(6))), Some(60), "twice the hold");
}

/// What broke: a Byzantine voter calls one voter at its limit and resigns at once, every 25 ms for 3 s: its record is
/// beyond what anybody believes, and n = 4 never elects again. The rule: the bound's base is the certificate or the
/// cluster clock, plus the time without a leader; never the own record.
#[test]
fn a_term_bound_on_the_voters_own_record() {
    let mut rig = Rig::new();
    for _ in 0..120 {
        let limit = rig.called(1, LAST, Term((1 << 53) - 1));
        if let Err(Refusal::TermTooHigh { max }) = limit {
            assert!(rig.called(1, LAST, max).is_ok());
            rig.tell_resign(1, rig.resign(LAST, 1, max));
        }
        rig.pass(25);
    }
    assert!(rig.record_term(1) > term(1000).0, "it was driven up");
    let begun = rig.elapsed();
    until_led(&mut rig, STEP, begun + 5 * LEASE, |_| {});
}

/// What broke: a leader elected by another's call, and renewed by a voter that did not sign, was kept waiting for up to
/// eight leases when its promise ended. The rule: a hold with a promise given is no failed hold.
#[test]
fn healthy_leaders_in_back_off() {
    let mut rig = Rig::new();
    let certificate = rig.certified(term(5), 2, 0);
    rig.tell(1, 2, PeerMessage::Certificate(Box::new(certificate)));
    assert!(rig.renewed(1, 0, term(5)).is_ok());
    rig.pass(LEASE);
    assert!(rig.called(1, 0, term(6)).is_ok());
}

/// What broke: with every enclave down, candidates' calls moved voters above the old leader's term: no lease again until
/// the enclave came back, and long back-offs after. The rule: a pre-vote needs the enclave's answer.
#[test]
fn hopeless_calls() {
    let mut rig = Rig::led();
    let term = rig.term(0);
    rig.enclaves[0].service = None;
    rig.cut.insert(0);
    rig.run(3 * LEASE);
    assert!(rig.holders().is_empty());
    rig.cut.clear();
    rig.run(LEASE);
    assert_eq!(rig.status(0).held.map(|(held, _)| held), Some(term), "it is there again, in its term");
}

/// What broke: C's pre-vote overtakes the dead leader's Resign at a voter that is needed, which answers with the rest of
/// its promise. The rule: pre-vote and call carry the Resign, and it ends every told wait.
#[test]
fn slow_fail_over() {
    let mut rig = Rig::led();
    let begun = rig.elapsed();
    rig.command(0, Command::StepDown { to: None });
    let late = rig.take(|mail| matches!(mail.message, PeerMessage::Resign(_)) && mail.to != 1);
    assert_eq!(late.len(), 2);
    rig.settle();
    assert_eq!((rig.holders(), rig.elapsed()), (vec![1], begun), "without any wait");
}

/// What broke: "one step for collecting" ended every election before the tally when an active voter said nothing. The
/// rule: a step until the q-th view, half a step for the rest.
#[test]
fn one_silent_voter() {
    let mut rig = Rig::new();
    rig.loses = |mail| mail.from == LAST && matches!(mail.message, PeerMessage::CallAnswer(_));
    rig.connect();
    rig.run(2 * STEP);
    assert_eq!(rig.holders(), [0]);
}

/// What broke: who had stepped down was ineligible for three leases, and its successor died: over three leases without
/// a leader. The rule: one lease, or until no other is eligible.
#[test]
fn stepped_down_and_the_successor_dies() {
    let mut rig = Rig::led();
    for node in [2, LAST] {
        rig.command(node, Command::Drain(true));
    }
    rig.run(STEP);
    rig.command(0, Command::StepDown { to: Some(id(1)) });
    rig.nodes[1].is_up = false;
    rig.run(2 * LEASE);
    assert_eq!(rig.holders(), [0]);
}

/// What broke: a leader whose call under its live lease failed was itself past its term, did not count itself, and went
/// on renewing with too few. The rule: it takes note of its own record as of those of others.
#[test]
fn a_leader_past_its_own_term() {
    let mut rig = Rig::led();
    let term = rig.term(0);
    rig.nodes[0].notices.clear();
    rig.loses = |mail| matches!(mail.message, PeerMessage::RenewAnswer(_) | PeerMessage::CallAnswer(_));
    let failed = |notice: &Notice| matches!(notice, Notice::CallFailed { term: Some(_), .. });
    while !rig.nodes[0].notices.iter().any(failed) {
        rig.run(5);
        assert!(rig.holds(0), "its call fails within the lease");
    }
    rig.enclaves[0].service = None;
    while rig.holds(0) {
        rig.run(10);
    }
    let outcome = Err(Refusal::StaleTerm { last: term.next() });
    let answer = RenewAnswer { term, seq: 1, outcome, certificate: None };
    rig.tell(0, 2, PeerMessage::RenewAnswer(Box::new(answer)));
    rig.wire.clear();
    assert!(rig.until_asks(0, 3 * STEP).is_some(), "with itself, two of four are past its term");
}

/// What broke: a write that failed spoiled a view that never left; its hold counted as one without fruit, and kept the
/// caller, in the worst case the node itself, waiting for up to eight leases. The rule: what a voter's disk spoils is
/// not held against the holder.
#[test]
fn a_fruitless_hold_by_a_failed_write() {
    let mut rig = Rig::new();
    rig.nodes[1].disk_fails = true;
    let call = rig.call(2, term(5));
    rig.tell(1, 2, PeerMessage::Call(Box::new(call)));
    rig.nodes[1].disk_fails = false;
    rig.pass(LEASE);
    assert!(rig.called(1, 2, term(6)).is_ok());
}
