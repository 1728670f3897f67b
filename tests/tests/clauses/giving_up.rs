//! §8: resignations, stepping down, and handing back.

use nitro_elect::core::event::{Action, CannotStepDown, Command, LeaseLoss, Notice};
use nitro_elect_protocol::heartbeat::{Flags, Heartbeat};
use nitro_elect_protocol::ids::{Generation, Term};
use nitro_elect_protocol::peer::{PeerMessage, Refusal};
use nitro_elect_protocol::policy::{Policy, Prefer, Rule};

use crate::forgery::{promised_ms, term};
use crate::plan::{LEASE, Plan, STEP, id};
use crate::rig::Rig;

/// The voter that hears resignations.
const V: usize = 1;

/// The bounds of the resignations among these actions.
fn resigns(done: &[Action]) -> Vec<Term> {
    let all = done.iter().filter_map(|action| match action {
        Action::Send { message: PeerMessage::Resign(resign), .. } => {
            Some(resign.peek().expect("one").up_to_term)
        }
        _ => None,
    });
    all.collect()
}

/// PROTOCOL R1
#[test]
fn a_promise_ends_early_by_its_holders_resignation_of_its_life_and_term_alone() {
    let mut rig = Rig::new();
    rig.nodes[0].generation = Generation(2);
    assert!(rig.called(V, 0, term(5)).is_ok());
    for (node, generation, up_to) in [(2, 2, 5), (0, 1, 9), (0, 3, 9)] {
        let mut rig = Rig::new();
        rig.nodes[0].generation = Generation(2);
        assert!(rig.called(V, 0, term(5)).is_ok());
        rig.tell_resign(V, rig.resign(node, generation, term(up_to)));
        assert_eq!(promised_ms(&rig.called(V, 3, term(6))), Some(LEASE), "{node} {generation} {up_to}");
    }
    rig.tell_resign(V, rig.resign(0, 2, term(4)));
    assert_eq!(promised_ms(&rig.called(V, 3, term(6))), Some(LEASE), "its bound is below the record");
    rig.tell_resign(V, rig.resign(0, 2, term(5)));
    assert!(rig.called(V, 3, term(6)).is_ok());
}

/// PROTOCOL R1
#[test]
fn a_forged_resignation_ends_nothing() {
    let mut rig = Rig::new();
    assert!(rig.called(V, 0, term(5)).is_ok());
    let true_one = rig.resign(0, 1, term(5));
    let by_another = rig.resign(2, 1, term(5));
    let forged = nitro_elect_protocol::statement::Signed::from_parts(
        true_one.bytes().to_vec(),
        *by_another.signature(),
    );
    rig.tell(V, 0, PeerMessage::Resign(forged));
    assert_eq!(promised_ms(&rig.called(V, 2, term(6))), Some(LEASE));
}

/// PROTOCOL R1
#[test]
fn a_resignation_delivered_again_does_not_end_a_later_promise() {
    let mut rig = Rig::new();
    let resign = rig.resign(0, 1, term(5));
    assert!(rig.called(V, 0, term(5)).is_ok());
    rig.tell_resign(V, resign.clone());
    assert!(rig.called(V, 0, term(6)).is_err(), "in back-off");
    rig.pass(LEASE);
    assert!(rig.called(V, 0, term(6)).is_ok());
    rig.tell_resign(V, resign);
    assert_eq!(promised_ms(&rig.called(V, 2, term(7))), Some(LEASE));
}

/// PROTOCOL R2
#[test]
fn one_resignation_a_node_is_remembered_of_its_highest_life_and_then_its_highest_term() {
    let mut rig = Rig::new();
    let covered = |rig: &mut Rig, generation: u64, number: u64| {
        rig.nodes[0].generation = Generation(generation);
        let call = rig.call(0, term(number));
        // Asked of a voter that refuses for the term at the latest, so that nothing changes by asking.
        rig.hand_call(V, 0, call).1.outcome == Err(Refusal::Resigned)
    };
    rig.tell_resign(V, rig.resign(0, 2, term(9)));
    rig.tell_resign(V, rig.resign(0, 2, term(5)));
    assert!(covered(&mut rig, 2, 9), "the lower bound did not take its place");
    rig.tell_resign(V, rig.resign(0, 1, term(20)));
    assert!(covered(&mut rig, 2, 9), "nor did the earlier life's");
    rig.tell_resign(V, rig.resign(0, 3, term(1)));
    assert!(covered(&mut rig, 3, 1));
    assert!(!covered(&mut rig, 2, 9), "a later life's takes the place of an earlier's");
}

/// PROTOCOL R3
#[test]
fn a_coordinator_whose_election_failed_resigns_from_its_term() {
    let mut rig = Rig::new();
    rig.loses = |mail| matches!(mail.message, PeerMessage::CallAnswer(_));
    rig.connect();
    while rig.record_term(0) == 0 {
        rig.run(5);
        assert!(rig.elapsed() < LEASE, "it calls");
    }
    let called = rig.record_term(0);
    assert!(promised_ms(&rig.called(V, 2, Term(called + 1))).is_some(), "its voters wait for it");
    rig.pass(STEP);
    assert!(resigns(&rig.tick(0)).contains(&Term(called)));
    rig.settle();
    assert!(rig.called(V, 2, Term(called + 1)).is_ok(), "and are free");
}

/// PROTOCOL R3
#[test]
fn a_leader_that_holds_the_lease_does_not_resign_when_its_election_fails() {
    let mut rig = Rig::led();
    let before = rig.term(0);
    rig.loses = |mail| {
        assert!(!matches!(mail.message, PeerMessage::Resign(_)) || mail.from != 0);
        matches!(mail.message, PeerMessage::Renew(_) | PeerMessage::Call(_))
    };
    rig.nodes[0].notices.clear();
    let failed = |rig: &Rig| {
        let failures = rig.nodes[0].notices.iter();
        failures.filter(|notice| matches!(notice, Notice::CallFailed { term: Some(_), .. })).count()
    };
    while failed(&rig) == 0 {
        rig.run(5);
        assert!(rig.holds(0), "the election fails within the lease");
    }
    assert_eq!(rig.status(0).held.map(|(held, _)| held), Some(before));
}

/// PROTOCOL R3
#[test]
fn a_leader_that_adopts_a_newer_certificate_of_another_stops_and_then_resigns() {
    let mut rig = Rig::led();
    let led = rig.term(0);
    let other = rig.certified(led.next(), 2, 3);
    let done = rig.tell(0, 2, PeerMessage::Certificate(Box::new(other)));
    let stopped = |action: &Action| {
        matches!(action, Action::Notice(Notice::LeaseLost { why: LeaseLoss::Superseded, .. }))
    };
    let said = |action: &Action| matches!(action, Action::Send { message: PeerMessage::Resign(_), .. });
    let stopped = done.iter().position(stopped).expect("it stops");
    assert!(stopped < done.iter().position(said).expect("it says so"));
    assert!(resigns(&done).iter().all(|up_to| *up_to == led));
    assert!(!rig.holds(0));
}

/// PROTOCOL R3
#[test]
fn a_leader_that_steps_down_stops_before_it_says_so() {
    let mut rig = Rig::led();
    let done = rig.command(0, Command::StepDown { to: None });
    let stopped = |action: &Action| matches!(action, Action::Notice(Notice::LeaseLost { .. }));
    let said = |action: &Action| matches!(action, Action::Send { message: PeerMessage::Resign(_), .. });
    let stopped = done.iter().position(stopped).expect("it stops");
    assert!(stopped < done.iter().position(said).expect("it says so"));
}

fn refused(rig: &Rig, leader: usize) -> Option<CannotStepDown> {
    rig.nodes[leader].notices.iter().rev().find_map(|notice| match notice {
        Notice::CannotStepDown(why) => Some(why.clone()),
        _ => None,
    })
}

/// PROTOCOL R4
#[test]
fn stepping_down_fails_before_anything_is_given_up_if_nobody_else_is_eligible() {
    let mut rig = Rig::led();
    (1..4).for_each(|node| drop(rig.command(node, Command::Drain(true))));
    rig.run(LEASE);
    let done = rig.command(0, Command::StepDown { to: None });
    assert_eq!(refused(&rig, 0), Some(CannotStepDown::NobodyElse));
    assert!(resigns(&done).is_empty() && rig.holds(0));
    rig.command(0, Command::StepDown { to: Some(id(2)) });
    assert_eq!(refused(&rig, 0), Some(CannotStepDown::NotASuccessor(id(2))));
    rig.command(0, Command::StepDown { to: Some(id(9)) });
    assert_eq!(refused(&rig, 0), Some(CannotStepDown::NotASuccessor(id(9))), "no voter at all");
    assert!(rig.holds(0));
}

/// PROTOCOL R4
#[test]
fn a_node_that_does_not_lead_has_nothing_to_step_down_from() {
    let mut rig = Rig::new();
    assert!(resigns(&rig.command(0, Command::StepDown { to: None })).is_empty());
    assert_eq!(refused(&rig, 0), Some(CannotStepDown::NotLeading));
}

/// PROTOCOL R4
#[test]
fn stepping_down_for_a_voter_that_an_earlier_promise_binds_fails_until_that_is_over() {
    let mut rig = Rig::led();
    rig.run(LEASE);
    rig.command(0, Command::StepDown { to: Some(id(1)) });
    rig.run(2 * STEP);
    assert_eq!(rig.holders(), [1]);
    rig.nodes[1].is_up = false;
    rig.run(4 * LEASE);
    let [leader] = rig.holders()[..] else { panic!("nobody succeeds") };
    rig.restart(1);
    rig.connect();
    rig.run(STEP);
    let done = rig.command(leader, Command::StepDown { to: Some(id(1)) });
    assert!(
        matches!(refused(&rig, leader), Some(CannotStepDown::Bound { node, ms: 850..=950 }) if node == id(1))
    );
    assert!(resigns(&done).is_empty() && rig.holds(leader));
    rig.run(LEASE);
    assert_eq!(rig.status(1).ready, Ok(()));
    rig.command(leader, Command::StepDown { to: Some(id(1)) });
    rig.run(2 * STEP);
    assert_eq!(rig.holders(), [1]);
}

/// PROTOCOL R4
#[test]
fn the_named_successor_leads_within_two_steps() {
    let mut rig = Rig::led();
    rig.command(0, Command::StepDown { to: Some(id(2)) });
    rig.run(2 * STEP);
    assert_eq!(rig.holders(), [2]);
}

/// PROTOCOL R4
#[test]
fn whoever_stepped_down_is_ineligible_for_a_lease_or_until_another_leads() {
    let mut rig = Rig::led();
    rig.cut.insert(0);
    rig.command(0, Command::StepDown { to: None });
    assert!(!rig.status(0).eligible);
    for _ in 0..4 {
        rig.pass(100);
        (1..4).for_each(|other| drop(rig.hear(0, other, rig.heartbeat(other, 900 + rig.elapsed()))));
        assert!(!rig.status(0).eligible, "at {} ms", rig.elapsed());
    }
    let other = rig.certified(Term(rig.term(0).0 + 50), 2, 2);
    rig.tell(0, 2, PeerMessage::Certificate(Box::new(other)));
    rig.tick(0);
    assert!(rig.status(0).eligible, "another leads");

    let mut rig = Rig::led();
    rig.command(0, Command::StepDown { to: None });
    for waited in (100..=LEASE).step_by(100) {
        rig.pass(100);
        (1..4).for_each(|other| drop(rig.hear(0, other, rig.heartbeat(other, 900 + rig.elapsed()))));
        assert_eq!(rig.status(0).eligible, waited == LEASE, "after {waited} ms");
    }
}

/// PROTOCOL R4
#[test]
fn whoever_stepped_down_is_eligible_again_once_nobody_else_is() {
    let mut rig = Rig::led();
    rig.command(0, Command::StepDown { to: None });
    assert!(!rig.status(0).eligible);
    for other in 1..4 {
        let flags = Flags { unhealthy: true, ..Flags::default() };
        let seq = 900 + rig.elapsed();
        rig.hear(0, other, Heartbeat { flags, ..rig.heartbeat(other, seq) });
    }
    rig.tick(0);
    assert!(rig.status(0).eligible);
}

/// A cluster that returns to the heaviest, led by another while the heaviest was away.
fn led_by_second(prefer: Prefer) -> Rig {
    let policy = Policy { prefer, ..Policy::of(Rule::Priority) };
    let mut rig = Rig::with(Plan { policy, ..Plan::default() });
    rig.cut.insert(0);
    rig.connect();
    rig.run(2 * LEASE);
    assert_eq!(rig.holders(), [1]);
    rig.cut.clear();
    rig
}

/// PROTOCOL R5
#[test]
fn a_leader_hands_over_to_a_heavier_voter_that_was_active_for_ten_leases() {
    let mut rig = led_by_second(Prefer::Return);
    rig.run(9 * LEASE);
    assert_eq!(rig.holders(), [1], "not yet");
    rig.run(2 * LEASE);
    assert_eq!(rig.holders(), [0]);
}

/// PROTOCOL R5
#[test]
fn it_hands_over_neither_to_an_ineligible_voter_nor_under_a_policy_that_stays() {
    let mut rig = led_by_second(Prefer::Return);
    rig.command(0, Command::Unhealthy(true));
    rig.run(13 * LEASE);
    assert_eq!(rig.holders(), [1]);
    let mut rig = led_by_second(Prefer::Stay);
    rig.run(13 * LEASE);
    assert_eq!(rig.holders(), [1]);
}

/// PROTOCOL R6
#[test]
fn without_an_enclave_nobody_is_preferred_to_the_leader_there_is() {
    let mut rig = led_by_second(Prefer::Return);
    let service = rig.enclaves[0].service.take();
    rig.run(13 * LEASE);
    assert_eq!(rig.holders(), [1], "nobody could be elected in its place");
    rig.enclaves[0].service = service;
    rig.run(2 * LEASE);
    assert_eq!(rig.holders(), [0]);
}

/// PROTOCOL R6
#[test]
fn a_drained_leader_waits_for_an_enclave_before_it_hands_over() {
    let mut rig = Rig::led();
    let service = rig.enclaves[0].service.take();
    rig.run(LEASE);
    rig.command(0, Command::Drain(true));
    rig.run(4 * LEASE);
    assert!(rig.holds(0));
    rig.enclaves[0].service = service;
    rig.run(2 * LEASE);
    assert!(!rig.holds(0) && rig.holders().len() == 1);
}
