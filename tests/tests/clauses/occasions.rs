//! Why an election was needed, as each node saw it: told to people, and decided by nothing.

use nitro_elect::core::event::{Command, Notice};
use nitro_elect::core::occasion::Occasion;
use nitro_elect_protocol::peer::PeerMessage;
use nitro_elect_protocol::policy::{Policy, Prefer, Rule};

use crate::plan::{LEASE, Plan, STEP, id};
use crate::rig::Rig;

/// What a node said of the newest certificate that it adopted.
fn told(rig: &Rig, node: usize) -> Option<Occasion> {
    rig.nodes[node].notices.iter().rev().find_map(|notice| match notice {
        Notice::Adopted { occasion, .. } => Some(*occasion),
        _ => None,
    })
}

/// The same of every node that runs.
fn all_told(rig: &Rig) -> Vec<Occasion> {
    let up = (0..rig.nodes.len()).filter(|node| rig.nodes[*node].is_up);
    up.filter_map(|node| told(rig, node)).collect()
}

/// Runs until another node holds the lease than the first.
fn succeeded(rig: &mut Rig) -> usize {
    for _ in 0..40 {
        rig.run(STEP);
        if let Some(next) = rig.holders().into_iter().find(|node| *node != 0) {
            return next;
        }
    }
    panic!("nobody succeeds the first");
}

#[test]
fn the_first_election_succeeds_nobody() {
    assert_eq!(all_told(&Rig::led()), [Occasion::First; 4]);
}

#[test]
fn a_dead_leader_without_a_will_has_fallen_silent() {
    let mut rig = Rig::led();
    rig.run(3 * LEASE);
    rig.nodes[0].is_up = false;
    succeeded(&mut rig);
    assert_eq!(all_told(&rig), [Occasion::LeaderSilent(id(0)); 3]);
}

#[test]
fn a_will_says_that_the_leader_died() {
    let mut rig = Rig::led();
    let will = rig.nodes[0].core.last_will().expect("the first life leaves its will at once");
    rig.nodes[0].is_up = false;
    for to in 1..4 {
        rig.tell(to, 0, PeerMessage::Resign(will.clone()));
    }
    succeeded(&mut rig);
    assert_eq!(all_told(&rig), [Occasion::LeaderDied(id(0)); 3]);
}

#[test]
fn what_the_leader_resigned_for_is_told_by_all_with_the_leader_itself() {
    let from = id(0);
    let cases = [
        (Command::Drain(true), Occasion::LeaderDrained(from)),
        (Command::Stop, Occasion::LeaderDrained(from)),
        (Command::Unhealthy(true), Occasion::LeaderUnhealthy(from)),
        (Command::StepDown { to: None }, Occasion::LeaderResigned(from)),
        (Command::StepDown { to: Some(id(2)) }, Occasion::HandedOver { from, to: id(2) }),
    ];
    for (command, occasion) in cases {
        let mut rig = Rig::led();
        rig.run(LEASE);
        rig.command(0, command);
        succeeded(&mut rig);
        assert_eq!(all_told(&rig), [occasion; 4]);
    }
}

#[test]
fn a_heavier_voter_that_comes_back_is_handed_the_lead() {
    let mut rig = Rig::with(Plan {
        policy: Policy { prefer: Prefer::Return, ..Policy::of(Rule::Priority) },
        ..Plan::default()
    });
    rig.nodes[0].is_up = false;
    rig.connect();
    let first = succeeded(&mut rig);
    rig.restart(0);
    rig.connect();
    rig.run(12 * LEASE);
    assert_eq!(rig.holders(), [0]);
    assert_eq!(told(&rig, 2), Some(Occasion::HandedOver { from: id(first), to: id(0) }));
}

#[test]
fn a_leader_that_hears_its_voters_but_is_not_heard_by_them_is_told_from_one_that_is_silent() {
    let mut rig = Rig::led();
    rig.run(LEASE);
    // Its heartbeats come through, its renewals do not.
    rig.loses = |mail| mail.from == 0 && !matches!(mail.message, PeerMessage::Delta(_));
    succeeded(&mut rig);
    assert_eq!([told(&rig, 1), told(&rig, 2)], [Some(Occasion::NotRenewed(id(0))); 2]);
}

#[test]
fn a_resignation_that_comes_after_the_lease_ran_out_is_not_why() {
    let mut rig = Rig::led();
    rig.run(LEASE);
    rig.nodes[0].is_up = false;
    let will = rig.nodes[0].core.last_will().expect("the first life leaves its will at once");
    // The lease has run out at everybody, and no call was made yet.
    rig.pass(2 * LEASE);
    for to in 1..4 {
        rig.tell(to, 0, PeerMessage::Resign(will.clone()));
    }
    succeeded(&mut rig);
    assert_eq!(all_told(&rig), [Occasion::LeaderSilent(id(0)); 3]);
}

#[test]
fn a_leader_that_is_back_before_its_lease_is_over_was_restarted() {
    let mut rig = Rig::led();
    rig.run(LEASE);
    rig.restart(0);
    rig.connect();
    rig.run(2 * STEP);
    assert_eq!(rig.holders(), [0]);
    assert_eq!(all_told(&rig), [Occasion::LeaderRestarted(id(0)); 4]);
}

#[test]
fn a_node_that_was_away_says_that_it_did_not_see_it() {
    let mut rig = Rig::led();
    rig.run(LEASE);
    // It misses one election altogether, and hears of the second.
    rig.nodes[3].is_up = false;
    rig.command(0, Command::StepDown { to: Some(id(1)) });
    succeeded(&mut rig);
    rig.restart(3);
    rig.connect();
    rig.run(LEASE);
    assert_eq!(
        (told(&rig, 3), told(&rig, 2)),
        (Some(Occasion::NotSeen), Some(Occasion::HandedOver { from: id(0), to: id(1) }),)
    );
    // The next one it sees as well as the others.
    rig.nodes[1].is_up = false;
    for _ in 0..20 {
        rig.run(STEP);
    }
    assert_eq!(told(&rig, 3), Some(Occasion::LeaderSilent(id(1))));
}

#[test]
fn a_leader_that_too_few_voters_renew_calls_under_its_own_lease() {
    let mut rig = Rig::led();
    rig.run(LEASE);
    rig.loses = |mail| mail.from == 0 && mail.to > 1 && matches!(mail.message, PeerMessage::Renew(_));
    rig.run(LEASE);
    assert_eq!(rig.holders(), [0]);
    assert_eq!(all_told(&rig), [Occasion::CalledEarly(id(0)); 4]);
}
