//! §10: open clusters, whose electorate is the list of active nodes.

use nitro_elect::core::event::{Event, HaltReason, LeaseLoss, Notice};
use nitro_elect_protocol::heartbeat::{Flags, Heartbeat};
use nitro_elect_protocol::ids::Generation;
use nitro_elect_protocol::peer::{PeerMessage, Refusal};
use nitro_elect_protocol::policy::{Policy, Rule};

use crate::forgery::term;
use crate::plan::{LEASE, Plan, STEP, address, id};
use crate::rig::Rig;

fn open(count: usize, alone: bool) -> Rig {
    let policy = Policy::of(Rule::Highest);
    Rig::with(Plan { voters: count, f: 0, policy, open: Some(alone), ..Plan::default() })
}

/// A rig of an open cluster where the node of the highest address, the first, leads all.
fn led(count: usize) -> Rig {
    let mut rig = open(count, false);
    rig.connect();
    rig.run(3 * LEASE);
    assert_eq!(rig.holders(), [0]);
    rig
}

/// PROTOCOL O1
#[test]
fn the_electorate_is_the_list_of_active_nodes_and_all_must_sign() {
    let rig = led(3);
    let status = rig.status(1);
    assert_eq!(
        status.electorate.voters.iter().map(|voter| voter.key).collect::<Vec<_>>(),
        [id(0), id(1), id(2)]
    );
    assert_eq!(status.electorate.quorum(), 3);
    assert_eq!(status.certificate.expect("elected").signers.len(), 3);
}

/// PROTOCOL O1
#[test]
fn a_node_signs_only_for_a_list_equal_to_its_own() {
    let mut rig = open(3, false);
    rig.connect();
    rig.run(LEASE / 2);
    let listed = rig.status(1).electorate;
    assert_eq!(listed.n(), 3);
    rig.electorate = listed.clone();
    rig.electorate.voters.pop();
    assert_eq!(rig.called(1, 0, term(1)), Err(Refusal::OtherElectorate(listed.digest())));
    rig.electorate = listed;
    assert!(rig.called(1, 0, term(1)).is_ok());
}

/// PROTOCOL O2
#[test]
fn a_node_calls_only_after_a_lease_of_discovery() {
    let mut rig = open(3, false);
    rig.connect();
    rig.loses = |mail| {
        assert!(!matches!(mail.message, PeerMessage::PreVote(_) | PeerMessage::Call(_)), "{mail:?}");
        false
    };
    rig.run(LEASE - 1);
    rig.loses = |_| false;
    rig.run(LEASE / 2);
    assert_eq!(rig.holders(), [0]);
}

/// PROTOCOL O2
#[test]
fn a_node_leads_a_list_of_itself_alone_only_if_told_to() {
    for alone in [false, true] {
        let mut rig = open(1, alone);
        rig.run(5 * LEASE);
        assert_eq!(rig.holds(0), alone);
        let called = rig.nodes[0].notices.iter().any(|notice| matches!(notice, Notice::Called { .. }));
        assert_eq!(called, alone);
    }
}

/// PROTOCOL O3
#[test]
fn a_leader_whose_list_changes_stops_resigns_and_calls_over_the_new_list() {
    let mut rig = led(3);
    let before = rig.term(0);
    rig.nodes[2].is_up = false;
    for peer in [0, 1] {
        rig.feed(peer, Event::PeerDown { peer: id(2) });
    }
    let lost = rig.nodes[0]
        .notices
        .iter()
        .any(|notice| matches!(notice, Notice::LeaseLost { why: LeaseLoss::ListChanged, .. }));
    assert!(lost && !rig.holds(0), "it stops at once");
    let resigned = rig.take(|mail| mail.from == 0 && matches!(mail.message, PeerMessage::Resign(_)));
    assert!(!resigned.is_empty());
    rig.wire.extend(resigned);
    rig.run(2 * LEASE);
    assert_eq!(rig.holders(), [0]);
    assert!(rig.term(0) > before);
    assert_eq!(rig.status(0).electorate.n(), 2);
}

/// PROTOCOL O4
#[test]
fn an_address_counts_only_where_the_node_was_reached_at_it_with_its_key() {
    let mut rig = open(3, false);
    rig.hear(1, 0, rig.heartbeat(0, 1));
    rig.tick(1);
    assert_eq!(rig.status(1).electorate.n(), 1, "heard, not reached");
    rig.feed(1, Event::PeerUp { peer: id(0), reached_at: None });
    rig.tick(1);
    assert_eq!(rig.status(1).electorate.n(), 1, "it came by itself");
    rig.feed(1, Event::PeerUp { peer: id(0), reached_at: Some("10.9.9.9:1".into()) });
    rig.tick(1);
    assert_eq!(rig.status(1).electorate.n(), 1, "reached elsewhere");
    rig.up(1, 0);
    rig.tick(1);
    assert_eq!(rig.status(1).electorate.n(), 2);
}

/// PROTOCOL O4
#[test]
fn another_key_at_an_address_is_refused_while_the_old_entry_is_heard() {
    let mut rig = open(3, false);
    rig.hear(1, 0, rig.heartbeat(0, 1));
    let thief = Heartbeat { address: address(0), ..rig.heartbeat(2, 1) };
    rig.hear(1, 2, thief.clone());
    assert!(rig.member(1, 2).is_none_or(|member| member.generation.is_none()), "another's address");
    let myself = Heartbeat { address: address(1), ..thief.clone() };
    rig.hear(1, 2, myself);
    assert!(rig.member(1, 2).is_none_or(|member| member.generation.is_none()), "its own address");
    for _ in 0..9 * LEASE / STEP {
        rig.pass(STEP);
        rig.tick(1);
    }
    let later = Heartbeat { seq: 9, boot: rig.now(2).boot, ..thief };
    rig.hear(1, 2, later);
    assert!(rig.member(1, 2).is_some_and(|member| member.generation.is_some()), "the old entry was silent");
}

/// PROTOCOL G10
#[test]
fn a_copy_of_a_node_is_found_in_an_open_cluster_too() {
    let mut rig = open(3, false);
    rig.tick(1);
    let copy = Heartbeat { flags: Flags { draining: true, ..Flags::default() }, ..rig.heartbeat(1, 1) };
    rig.hear(1, 0, copy);
    assert_eq!(rig.nodes[1].halted, Some(HaltReason::Doppelganger));
    assert_eq!(rig.nodes[1].generation, Generation(1));
}
