//! §8: last wills, and what a new life must not free of an earlier one's.

use nitro_elect::core::event::{Action, Command};
use nitro_elect_protocol::ids::Term;
use nitro_elect_protocol::limits::TERM_MAX;
use nitro_elect_protocol::peer::PeerMessage;
use nitro_elect_protocol::resign::Resign;
use nitro_elect_protocol::statement::Signed;

use crate::forgery::{promised_ms, term};
use crate::plan::{LEASE, STEP, id};
use crate::rig::Rig;

/// A voter that is told of wills.
const V: usize = 1;

fn resigns(done: &[Action]) -> bool {
    done.iter().any(|action| matches!(action, Action::Send { message: PeerMessage::Resign(_), .. }))
}

/// The will that a node has left by now.
fn will(rig: &Rig, node: usize) -> Option<Signed<Resign>> {
    rig.nodes[node].core.last_will()
}

/// A rig whose first node led, died, and leads again in its next life, with the time of its start.
fn led_again() -> (Rig, u64) {
    let mut rig = Rig::led();
    rig.restart(0);
    let started = rig.elapsed();
    rig.connect();
    rig.run(2 * STEP);
    assert!(rig.holds(0) && rig.elapsed() - started < LEASE, "its voters' promises are to it");
    (rig, started)
}

/// PROTOCOL R9
#[test]
fn a_life_after_one_that_may_have_led_frees_nobody_before_that_ones_lease_is_over() {
    let (mut rig, started) = led_again();
    assert!(
        !resigns(&rig.command(0, Command::StepDown { to: Some(id(2)) })),
        "what that one left may be at work"
    );
    rig.run(started + LEASE - 1 - rig.elapsed());
    assert_eq!((rig.holders(), will(&rig, 0)), (vec![0], None));
    rig.run(2 * STEP);
    assert_eq!(rig.holders(), [2], "then it does what it was told");
    assert!(will(&rig, 0).is_some());
}

/// PROTOCOL R9
#[test]
fn a_life_after_one_that_saw_another_elected_leaves_its_will_at_once_and_the_first_life_too() {
    let mut rig = Rig::new();
    assert!(will(&rig, V).is_some(), "nothing was before it");
    rig.adopt(V, term(5), 0);
    assert!(rig.renewed(V, 0, term(5)).is_ok());
    rig.restart(V);
    assert!(will(&rig, V).is_some(), "it led nothing");
}

/// What broke: C elected L and sent its `Resign` to all but L. L led by the promises of the others, its own record still named
/// C, and its next life took that to mean that it had never led: freed by C's `Resign`, it called, and its will ended the
/// promises that kept others away from the work of its earlier life.
///
/// PROTOCOL R9
#[test]
fn a_life_whose_record_names_the_caller_that_elected_it_leaves_no_will_before_that_lease_is_over() {
    let mut rig = Rig::new();
    assert!(rig.called(V, 0, term(5)).is_ok());
    let elected = rig.certified(term(5), 0, V);
    for adopts in [true, false] {
        if adopts {
            rig.tell(V, 0, PeerMessage::Certificate(Box::new(elected.clone())));
            assert_eq!(rig.term(V), term(5));
        } else {
            // A log that could not be written: nobody knows what became of term 5.
            rig.nodes[V].log = None;
        }
        rig.restart(V);
        assert!(will(&rig, V).is_none(), "adopted: {adopts}");
        rig.idle(V, LEASE);
        assert!(will(&rig, V).is_some(), "adopted: {adopts}");
    }
}

/// PROTOCOL R10
#[test]
fn a_will_ends_every_lease_of_its_life_and_of_no_other_however_often_it_comes_and_whoever_brings_it() {
    let mut rig = Rig::led();
    let will = will(&rig, 0).expect("the first life leaves its will at once");
    let resign = will.peek().expect("it is whole");
    assert!(resign.covers(id(0), rig.nodes[0].generation, Term(TERM_MAX)));
    let later = rig.term(0).next();
    assert!(promised_ms(&rig.called(V, 2, later)).is_some());
    for from in [0, 3, 0] {
        rig.tell(V, from, PeerMessage::Resign(will.clone()));
    }
    assert!(rig.called(V, 2, later).is_ok());

    let (mut rig, _) = led_again();
    let leads = rig.term(0);
    for from in [0, 3] {
        (1..4).for_each(|to| drop(rig.tell(to, from, PeerMessage::Resign(will.clone()))));
    }
    rig.run(2 * LEASE);
    assert_eq!((rig.holders(), rig.term(0)), (vec![0], leads), "a will of an earlier life, replayed");
}

/// PROTOCOL R10
#[test]
fn after_a_will_the_next_in_the_succession_leads_with_its_own_call_and_waits_for_nothing() {
    let mut rig = Rig::led();
    let will = will(&rig, 0).expect("the first life leaves its will at once");
    rig.nodes[0].is_up = false;
    for to in 1..4 {
        drop(rig.tell(to, 0, PeerMessage::Resign(will.clone())));
    }
    rig.settle();
    assert_eq!(rig.holders(), [1], "no time has passed");
}
