//! §8: leader-only work ends before the lease is given up.

use nitro_elect::core::event::{Action, CannotStepDown, Command, LeaseLoss, Notice};
use nitro_elect_protocol::ids::Term;
use nitro_elect_protocol::peer::PeerMessage;
use nitro_elect_protocol::policy::{Policy, Prefer, Rule};

use crate::plan::{LEASE, Plan, STEP, id};
use crate::rig::Rig;

fn resigns(done: &[Action]) -> usize {
    let is_one = |action: &&Action| matches!(action, Action::Send { message: PeerMessage::Resign(_), .. });
    done.iter().filter(is_one).count()
}

/// How often the work was asked to end, and told that it may go on.
fn asked(rig: &Rig) -> (usize, usize) {
    let count = |wanted: fn(&Notice) -> bool| rig.nodes[0].notices.iter().filter(|one| wanted(one)).count();
    let ends = count(|notice| matches!(notice, Notice::EndWork { .. }));
    (ends, count(|notice| matches!(notice, Notice::WorkMayGoOn)))
}

/// A rig whose first node leads, and works.
fn working() -> Rig {
    let mut rig = Rig::led();
    rig.command(0, Command::Working(true));
    rig.nodes[0].notices.clear();
    rig
}

/// PROTOCOL R7
#[test]
fn a_leader_that_is_to_step_down_renews_until_its_work_is_gone() {
    let mut rig = working();
    let term = rig.term(0);
    let done = rig.command(0, Command::StepDown { to: Some(id(2)) });
    assert_eq!(resigns(&done), 0);
    rig.run(5 * LEASE);
    assert_eq!((rig.holders(), rig.term(0)), (vec![0], term), "it waits, however long");
    assert_eq!(asked(&rig), (1, 0), "the work is asked once");
    assert!(resigns(&rig.command(0, Command::Working(false))) > 0);
    rig.run(2 * STEP);
    assert_eq!(rig.holders(), [2]);
    assert_eq!(asked(&rig), (1, 1));
}

/// PROTOCOL R7
#[test]
fn a_leader_that_would_not_lead_asks_its_work_to_end_before_it_hands_over() {
    for order in [Command::Drain(true), Command::Unhealthy(true)] {
        let mut rig = working();
        rig.command(0, order);
        rig.run(4 * LEASE);
        assert_eq!((rig.holders(), asked(&rig)), (vec![0], (1, 0)));
        rig.command(0, Command::Working(false));
        rig.run(LEASE);
        assert!(!rig.holds(0) && rig.holders().len() == 1);
    }
}

/// PROTOCOL R7
#[test]
fn work_is_asked_to_end_for_a_preferred_voter_too() {
    let policy = Policy { prefer: Prefer::Return, ..Policy::of(Rule::Priority) };
    let mut rig = Rig::with(Plan { policy, ..Plan::default() });
    rig.cut.insert(0);
    rig.connect();
    rig.run(2 * LEASE);
    rig.cut.clear();
    assert_eq!(rig.holders(), [1]);
    rig.command(1, Command::Working(true));
    rig.run(15 * LEASE);
    assert_eq!(rig.holders(), [1]);
    rig.command(1, Command::Working(false));
    rig.run(LEASE);
    assert_eq!(rig.holders(), [0]);
}

/// PROTOCOL R7
#[test]
fn work_is_not_asked_to_end_when_nobody_could_take_over() {
    let mut rig = working();
    (1..4).for_each(|node| drop(rig.command(node, Command::Drain(true))));
    rig.run(LEASE);
    rig.command(0, Command::StepDown { to: None });
    let refused = |notice: &Notice| matches!(notice, Notice::CannotStepDown(CannotStepDown::NobodyElse));
    assert!(rig.nodes[0].notices.iter().any(refused));
    rig.command(0, Command::Drain(true));
    rig.run(LEASE);
    assert_eq!((asked(&rig), rig.holds(0)), ((0, 0), true));
}

/// PROTOCOL R7
#[test]
fn work_that_ended_for_a_successor_that_is_gone_may_go_on() {
    let mut rig = working();
    rig.command(0, Command::StepDown { to: Some(id(2)) });
    rig.command(2, Command::Drain(true));
    rig.run(LEASE);
    let done = rig.command(0, Command::Working(false));
    assert_eq!(resigns(&done), 0, "nothing was given up");
    assert_eq!((asked(&rig), rig.holds(0)), ((1, 1), true));
}

/// PROTOCOL R7
#[test]
fn work_that_ended_for_a_wish_that_is_gone_may_go_on() {
    let mut rig = working();
    rig.command(0, Command::Drain(true));
    rig.run(LEASE);
    assert_eq!(asked(&rig), (1, 0));
    rig.command(0, Command::Drain(false));
    rig.command(0, Command::Working(false));
    rig.run(STEP);
    assert_eq!((asked(&rig), rig.holds(0)), ((1, 1), true));
}

/// PROTOCOL R7
#[test]
fn work_that_ended_while_the_enclave_went_away_may_go_on_after_a_lease() {
    let mut rig = working();
    rig.command(0, Command::Drain(true));
    rig.run(LEASE);
    assert_eq!(asked(&rig), (1, 0));
    let service = rig.enclaves[0].service.take();
    rig.run(LEASE);
    rig.command(0, Command::Working(false));
    rig.run(LEASE / 2);
    assert_eq!((asked(&rig), rig.holds(0)), ((1, 0), true), "one may come back");
    rig.run(LEASE);
    assert_eq!((asked(&rig), rig.holds(0)), ((1, 1), true));
    rig.enclaves[0].service = service;
    rig.run(2 * LEASE);
    assert!(!rig.holds(0) && rig.holders().len() == 1, "without work it goes at once");
}

/// PROTOCOL R8
#[test]
fn a_superseded_leader_claims_nothing_and_its_resignation_waits_for_its_work() {
    let mut rig = working();
    let other = rig.certified(rig.term(0).next(), 2, 3);
    let done = rig.tell(0, 2, PeerMessage::Certificate(Box::new(other)));
    let lost = |action: &Action| {
        matches!(action, Action::Notice(Notice::LeaseLost { why: LeaseLoss::Superseded, .. }))
    };
    assert!(done.iter().any(lost) && !rig.holds(0));
    assert_eq!(resigns(&done), 0, "its voters keep the next leader away until the lease would have ended");
    assert!(resigns(&rig.command(0, Command::Working(false))) > 0);
}

/// PROTOCOL R8
#[test]
fn what_was_owed_for_an_earlier_leadership_does_not_end_the_next() {
    let mut rig = working();
    let led = rig.term(0);
    let other = rig.certified(led.next(), 2, 3);
    rig.tell(0, 2, PeerMessage::Certificate(Box::new(other)));
    let again = rig.certified(Term(led.0 + 2), 3, 0);
    rig.tell(0, 3, PeerMessage::Certificate(Box::new(again)));
    rig.run(LEASE);
    let term = rig.term(0);
    assert!(rig.holds(0));
    assert_eq!(resigns(&rig.command(0, Command::Working(false))), 0);
    rig.run(LEASE);
    assert_eq!((rig.holders(), rig.term(0)), (vec![0], term));
}

/// PROTOCOL R8
#[test]
fn a_process_that_ends_while_work_runs_leaves_its_lease_to_time() {
    let mut rig = working();
    let done = rig.command(0, Command::Stop);
    assert!(!rig.holds(0));
    assert_eq!(resigns(&done), 0);
    rig.nodes[0].is_up = false;
    rig.run(LEASE / 2);
    assert_eq!(rig.holders(), [] as [usize; 0], "nobody leads beside the work");
    rig.run(2 * LEASE);
    assert_eq!(rig.holders().len(), 1);
}
