//! §1: who is admitted, what a peer may bring, and the clock of all.

use nitro_elect::core::config::Observers;
use nitro_elect::core::event::Drop;
use nitro_elect_protocol::ids::{NodeId, Term};
use nitro_elect_protocol::limits::TERM_WINDOW;
use nitro_elect_protocol::peer::{Delta, PeerMessage, Refusal};
use nitro_elect_protocol::time::Wall;
use std::collections::BTreeSet;

use crate::forgery::{delta_of, sent_to, sign};
use crate::plan::{LEASE, Plan, id};
use crate::rig::Rig;

/// The node that listens.
const N: usize = 1;

fn dropped(rig: &Rig, why: Drop) -> u64 {
    rig.status(N).drops.iter().find(|(reason, _)| *reason == why).map_or(0, |(_, count)| *count)
}

fn admitted(rig: &Rig, node: usize) -> bool {
    rig.member(N, node).is_some()
}

/// PROTOCOL G7
#[test]
fn observers_are_off_unless_the_manifest_says_otherwise() {
    let mut rig = Rig::new();
    rig.hear(N, 0, rig.heartbeat(10, 1));
    rig.tell(N, 10, PeerMessage::Digest(Vec::new()));
    assert!(!admitted(&rig, 10));
    assert_eq!(dropped(&rig, Drop::Stranger), 2);
}

/// PROTOCOL G7
#[test]
fn listed_observers_are_admitted_and_no_others() {
    let observers = Observers::Listed(BTreeSet::from([id(10)]));
    let mut rig = Rig::with(Plan { observers, ..Plan::default() });
    rig.hear(N, 0, rig.heartbeat(10, 1));
    rig.hear(N, 0, rig.heartbeat(11, 1));
    assert!(admitted(&rig, 10) && !admitted(&rig, 11));
}

/// PROTOCOL G7
#[test]
fn strangers_fill_their_own_room_and_never_a_voters_place() {
    let mut rig = Rig::with(Plan { observers: Observers::Open(2), ..Plan::default() });
    (10..20).for_each(|stranger| drop(rig.hear(N, 0, rig.heartbeat(stranger, 1))));
    assert_eq!((10..20).filter(|stranger| admitted(&rig, *stranger)).count(), 2);
    rig.hear(N, 2, rig.heartbeat(2, 1));
    assert!(rig.sees(N, 2), "a voter that comes last has its place");
    // Strangers that were silent for long make room for others.
    for _ in 0..60 {
        rig.pass(LEASE / 5);
        rig.tick(N);
    }
    rig.hear(N, 0, rig.heartbeat(19, 2));
    assert!(admitted(&rig, 19) && !admitted(&rig, 10));
}

/// PROTOCOL G8
#[test]
fn at_least_half_of_every_fan_out_goes_to_voters() {
    for fanout in [1, 2, 3, 4, 5] {
        let observers = Observers::Open(30);
        let mut rig = Rig::with(Plan { voters: 7, f: 2, fanout, observers, ..Plan::default() });
        (0..30).filter(|peer| *peer != N).for_each(|peer| drop(rig.up(N, peer)));
        rig.tick(N);
        for _ in 0..20 {
            rig.pass(LEASE / 5);
            rig.wire.clear();
            rig.tick(N);
            let digests = rig.take(|mail| matches!(mail.message, PeerMessage::Digest(_)));
            let voters = digests.iter().filter(|mail| mail.to < 7).count();
            assert_eq!(digests.len(), fanout);
            assert!(2 * voters >= fanout, "{voters} of {fanout}");
        }
    }
}

/// PROTOCOL G9
#[test]
fn heartbeats_beyond_a_peers_budget_are_dropped_and_counted() {
    let mut rig = Rig::new();
    let beats: Vec<_> = (1..=1030).map(|seq| sign(rig.heartbeat(0, seq))).collect();
    for chunk in beats.chunks(515) {
        let delta = Delta { heartbeats: chunk.to_vec(), wanted: Vec::new() };
        rig.tell(N, 2, PeerMessage::Delta(delta));
    }
    assert_eq!(dropped(&rig, Drop::TooMuch), 6);
    rig.tell(N, 3, delta_of(beats[1029].clone()));
    assert_eq!(dropped(&rig, Drop::TooMuch), 6, "another peer has its own budget");
    rig.pass(1000);
    rig.tell(N, 2, delta_of(sign(rig.heartbeat(0, 2000))));
    assert_eq!(dropped(&rig, Drop::TooMuch), 6, "a second gives it back");
}

/// PROTOCOL G9
#[test]
fn certificates_beyond_a_peers_budget_are_dropped_and_counted() {
    let mut rig = Rig::new();
    let mut bundle = rig.certified(Term(5), 0, 0);
    bundle.certificate.signature[0] ^= 1;
    for _ in 0..40 {
        rig.tell(N, 2, PeerMessage::Certificate(Box::new(bundle.clone())));
    }
    assert_eq!((dropped(&rig, Drop::Certificate), dropped(&rig, Drop::TooMuch)), (32, 8));
}

/// PROTOCOL G9
#[test]
fn a_message_with_more_parts_than_its_bound_is_dropped_whole() {
    let mut rig = Rig::new();
    let wanted: Vec<NodeId> = (0..1153).map(|_| id(0)).collect();
    let heartbeats = vec![sign(rig.heartbeat(0, 1))];
    let done = rig.tell(N, 0, PeerMessage::Delta(Delta { heartbeats, wanted }));
    assert!(sent_to(&done, 0).iter().all(|message| !matches!(message, PeerMessage::RenewAnswer(_))));
    assert_eq!(dropped(&rig, Drop::Bound), 1);
    assert!(!rig.sees(N, 0));
}

/// The highest term that a node believes from a voter that it has not promised.
fn believed(rig: &mut Rig) -> u64 {
    let beyond = Term((1 << 53) - 1);
    match rig.called(N, 3, beyond) {
        Err(Refusal::TermTooHigh { max }) => max.0,
        other => panic!("not too high: {other:?}"),
    }
}

/// A node hears voter's clock, so many milliseconds ahead of its own.
fn hear_clock(rig: &mut Rig, voter: usize, ahead: i64) {
    let wall = Wall(rig.now(N).wall.0.saturating_add_signed(ahead));
    let seq = rig.elapsed() + 1;
    rig.hear(N, voter, nitro_elect_protocol::heartbeat::Heartbeat { wall, ..rig.heartbeat(voter, seq) });
}

/// PROTOCOL G11
#[test]
fn the_cluster_clock_is_the_lower_median_of_all_voters_clocks_carried_forward() {
    let mut rig = Rig::new();
    let start = rig.now(N).wall.0;
    for (voter, ahead) in [(0, 5000), (2, 7000), (3, -4000)] {
        hear_clock(&mut rig, voter, ahead);
    }
    // Of -4000, 0 (its own), 5000, 7000 the lower median is its own.
    assert_eq!(believed(&mut rig), start + TERM_WINDOW);
    rig.pass(1);
    hear_clock(&mut rig, 3, 3999);
    // Of 0, 3999, 5000, 7000 it is the second; then half a second passes without a heartbeat.
    rig.pass(500);
    let leaderless = 501;
    assert_eq!(believed(&mut rig), start + 501 + 3999 + TERM_WINDOW + leaderless);
}

/// PROTOCOL G11
#[test]
fn with_too_few_clocks_the_cluster_clock_is_the_nodes_own() {
    let mut rig = Rig::new();
    let start = rig.now(N).wall.0;
    hear_clock(&mut rig, 0, -90_000);
    assert_eq!(believed(&mut rig), start + TERM_WINDOW, "two of four");
    hear_clock(&mut rig, 2, -80_000);
    assert_eq!(believed(&mut rig), start - 80_000 + TERM_WINDOW, "three of four are n - f");
}
