//! §1: heartbeats, digests, and who is alive. Node 1 listens; the others' heartbeats are made by hand.

use nitro_elect::core::event::{Action, Drop, HaltReason, Notice};
use nitro_elect_protocol::heartbeat::{Flags, Heartbeat};
use nitro_elect_protocol::ids::{ClusterId, Generation, NodeId};
use nitro_elect_protocol::peer::{Delta, DigestEntry, PeerMessage};
use nitro_elect_protocol::statement::Signed;
use nitro_elect_protocol::time::Boot;
use std::time::Duration;

use crate::forgery::{delta_of, sent_to, sign};
use crate::plan::{LEASE, id};
use crate::rig::Rig;

/// The node that listens.
const N: usize = 1;
/// The interval between heartbeats.
const BEAT: u64 = LEASE / 5;
/// How long a node may be silent.
const DETECTION: u64 = 3 * BEAT;

fn own_heartbeats(done: &[Action], from: usize, to: usize) -> Vec<Heartbeat> {
    let deltas = sent_to(done, to).into_iter().filter_map(|message| match message {
        PeerMessage::Delta(delta) => Some(delta),
        _ => None,
    });
    let heartbeats = deltas.flat_map(|delta| delta.heartbeats).map(|signed| signed.peek().expect("one"));
    heartbeats.filter(|heartbeat| heartbeat.node == id(from)).collect()
}

fn dropped(rig: &Rig, why: Drop) -> u64 {
    rig.status(N).drops.iter().find(|(reason, _)| *reason == why).map_or(0, |(_, count)| *count)
}

/// PROTOCOL G1
#[test]
fn a_heartbeat_goes_to_every_voter_every_fifth_of_a_lease() {
    let mut rig = Rig::new();
    let mut sent = Vec::new();
    for _ in 0..20 {
        let done = rig.tick(N);
        let each: Vec<_> = [0, 2, 3].iter().flat_map(|to| own_heartbeats(&done, N, *to)).collect();
        assert!(each.is_empty() || each.len() == 3, "all voters or nobody");
        sent.extend(each.first().map(|heartbeat| (rig.elapsed(), heartbeat.seq)));
        rig.pass(BEAT / 4);
    }
    assert_eq!(sent, [(0, 1), (200, 2), (400, 3), (600, 4), (800, 5)]);
}

/// PROTOCOL G2
#[test]
fn a_digest_is_answered_with_what_is_newer_and_a_request_for_what_is_missing() {
    let mut rig = Rig::new();
    rig.tick(N);
    rig.hear(N, 0, rig.heartbeat(0, 5));
    rig.hear(N, 2, rig.heartbeat(2, 5));
    let entry = |node, seq| DigestEntry { node: id(node), generation: Generation(1), seq };
    let digest = vec![entry(0, 4), entry(1, 1), entry(2, 6)];
    let done = rig.tell(N, 3, PeerMessage::Digest(digest));
    let answers: Vec<Delta> = sent_to(&done, 3)
        .into_iter()
        .filter_map(|message| if let PeerMessage::Delta(delta) = message { Some(delta) } else { None })
        .collect();
    let [answer] = answers.as_slice() else { panic!("one answer: {answers:?}") };
    let sent: Vec<_> = answer.heartbeats.iter().map(|signed| signed.peek().expect("one")).collect();
    assert_eq!(sent.iter().map(|beat| (beat.node, beat.seq)).collect::<Vec<_>>(), [(id(0), 5)]);
    assert_eq!(answer.wanted, [id(2)]);
}

/// PROTOCOL G2
#[test]
fn a_digest_of_the_same_heartbeats_is_not_answered_and_what_is_wanted_is_sent() {
    let mut rig = Rig::new();
    rig.tick(N);
    rig.hear(N, 0, rig.heartbeat(0, 5));
    let entry = |node, seq| DigestEntry { node: id(node), generation: Generation(1), seq };
    let done = rig.tell(N, 3, PeerMessage::Digest(vec![entry(0, 5), entry(1, 1)]));
    assert!(sent_to(&done, 3).is_empty());
    let wish = Delta { heartbeats: Vec::new(), wanted: vec![id(0), id(N), id(2)] };
    let done = rig.tell(N, 3, PeerMessage::Delta(wish));
    let [PeerMessage::Delta(answer)] = &sent_to(&done, 3)[..] else { panic!("one answer") };
    let nodes: Vec<NodeId> =
        answer.heartbeats.iter().map(|signed| signed.peek().expect("one").node).collect();
    assert_eq!(nodes, [id(0), id(N)], "nothing is known of the third");
}

/// PROTOCOL G3
#[test]
fn a_heartbeat_with_anothers_signature_or_of_another_cluster_is_no_life() {
    let mut rig = Rig::new();
    let forged = sign(rig.heartbeat(2, 9));
    let stolen = Signed::from_parts(sign(rig.heartbeat(0, 1)).bytes().to_vec(), *forged.signature());
    rig.tell(N, 2, delta_of(stolen));
    assert_eq!(dropped(&rig, Drop::Signature), 1);
    rig.hear(N, 0, Heartbeat { cluster: ClusterId([8; 16]), ..rig.heartbeat(0, 1) });
    assert_eq!(dropped(&rig, Drop::OtherCluster), 1);
    assert!(!rig.sees(N, 0));
    rig.hear(N, 2, rig.heartbeat(0, 1));
    assert!(rig.sees(N, 0), "its own heartbeat counts, whoever passes it on");
}

/// PROTOCOL G3
#[test]
fn an_old_heartbeat_neither_shows_life_nor_takes_the_place_of_a_newer_one() {
    let mut rig = Rig::new();
    let (old, new) = (rig.heartbeat(0, 1), Heartbeat { flags: draining(), ..rig.heartbeat(0, 2) });
    rig.hear(N, 0, new.clone());
    rig.idle(N, DETECTION);
    rig.hear(N, 0, old);
    rig.hear(N, 0, new);
    assert!(!rig.sees(N, 0));
    assert!(!rig.member(N, 0).expect("a voter").eligible, "the newer one's flags");
    rig.nodes[0].generation = Generation(2);
    rig.hear(N, 0, rig.heartbeat(0, 1));
    assert!(rig.sees(N, 0), "a later life begins at 1 again");
}

/// PROTOCOL G3
#[test]
fn a_heartbeat_whose_texts_would_begin_a_line_of_a_log_or_steer_a_terminal_is_no_life() {
    let mut rig = Rig::new();
    for hostile in ["node-1\n2026-01-01 INFO", "\x1b[2J", "\u{9b}2J", "\0"] {
        rig.hear(N, 0, Heartbeat { name: hostile.into(), ..rig.heartbeat(0, 1) });
        rig.hear(N, 0, Heartbeat { address: hostile.into(), ..rig.heartbeat(0, 1) });
        assert!(!rig.sees(N, 0), "{hostile:?}");
    }
    rig.hear(N, 0, Heartbeat { name: "nœud 1".into(), ..rig.heartbeat(0, 1) });
    assert!(rig.sees(N, 0));
}

fn draining() -> Flags {
    Flags { draining: true, ..Flags::default() }
}

/// PROTOCOL G4
#[test]
fn a_node_is_active_until_it_was_silent_for_the_detection_time_of_the_receivers_clock() {
    let mut rig = Rig::new();
    rig.hear(N, 0, rig.heartbeat(0, 1));
    rig.tick(N);
    for _ in 0..DETECTION / 50 - 1 {
        rig.pass(50);
        assert!(rig.sees(N, 0), "at {} ms", rig.elapsed());
    }
    rig.pass(50);
    assert!(!rig.sees(N, 0));
}

/// PROTOCOL G4
#[test]
fn nothing_that_anybody_says_makes_a_node_inactive() {
    let mut rig = Rig::new();
    rig.hear(N, 0, rig.heartbeat(0, 1));
    rig.feed(N, nitro_elect::core::event::Event::PeerDown { peer: id(0) });
    rig.tell(N, 2, PeerMessage::Digest(Vec::new()));
    rig.tell_resign(N, rig.resign(0, 1, crate::forgery::term(1)));
    rig.hear(N, 0, Heartbeat { flags: draining(), ..rig.heartbeat(0, 2) });
    assert!(rig.sees(N, 0));
}

/// PROTOCOL G5
#[test]
fn hoarded_heartbeats_are_news_and_no_life() {
    let mut rig = Rig::new();
    let hoard: Vec<Heartbeat> = (2..40)
        .map(|seq| Heartbeat {
            boot: rig.now(0).boot + Duration::from_millis((seq - 1) * BEAT),
            ..rig.heartbeat(0, seq)
        })
        .collect();
    rig.hear(N, 0, rig.heartbeat(0, 1));
    rig.pass(BEAT);
    rig.hear(N, 0, hoard[0].clone());
    // The node dies; a relay drips what it hoarded at half the pace.
    let mut seen = Vec::new();
    for heartbeat in &hoard[1..9] {
        rig.idle(N, 2 * BEAT);
        rig.hear(N, 2, heartbeat.clone());
        seen.push(rig.sees(N, 0));
    }
    // The third is 600 ms late, less 2 % of the time since, and the last that counts.
    assert_eq!(seen, [true, true, true, true, false, false, false, false]);
    let newest = rig.status(N).members.iter().any(|member| member.id == id(0) && !member.active);
    assert!(newest, "known, and not alive");
}

/// PROTOCOL G5
#[test]
fn the_lag_of_another_generation_says_nothing() {
    let mut rig = Rig::new();
    rig.hear(N, 0, rig.heartbeat(0, 1));
    rig.idle(N, 10 * LEASE);
    rig.nodes[0].generation = Generation(2);
    // Its machine booted anew, so that its clock stands far behind.
    rig.hear(N, 0, Heartbeat { boot: Boot(1), ..rig.heartbeat(0, 1) });
    assert!(rig.sees(N, 0));
}

/// PROTOCOL G6
#[test]
fn a_node_that_itself_runs_late_gives_others_that_much_more_time() {
    let mut rig = Rig::new();
    rig.tick(N);
    rig.pass(BEAT);
    rig.tick(N);
    // It should have run again after 200 ms, and ran after 500.
    rig.pass(BEAT + 300);
    rig.tick(N);
    rig.hear(N, 0, rig.heartbeat(0, 1));
    rig.idle(N, DETECTION);
    assert!(rig.sees(N, 0));
    let mut punctual = Rig::new();
    punctual.hear(N, 0, punctual.heartbeat(0, 1));
    punctual.idle(N, DETECTION);
    assert!(!punctual.sees(N, 0), "a punctual one does not");
}

/// PROTOCOL G10
#[test]
fn a_later_life_under_its_own_key_stops_a_node() {
    let mut rig = Rig::new();
    rig.tick(N);
    let later = Heartbeat { generation: Generation(2), ..rig.heartbeat(N, 1) };
    rig.hear(N, 0, later);
    assert_eq!(rig.nodes[N].halted, Some(HaltReason::LaterLife));
    assert!(rig.tell(N, 0, PeerMessage::Digest(Vec::new())).is_empty(), "it does nothing any more");
}

/// PROTOCOL G10
#[test]
fn a_heartbeat_of_its_own_life_that_it_never_sent_stops_a_node_and_an_echo_does_not() {
    let mut rig = Rig::new();
    let done = rig.tick(N);
    let [PeerMessage::Delta(delta), ..] = &sent_to(&done, 0)[..] else { panic!("a heartbeat") };
    rig.tell(N, 0, PeerMessage::Delta(delta.clone()));
    let own = delta.heartbeats[0].peek().expect("its own");
    rig.hear(N, 0, Heartbeat { generation: Generation(0), ..own.clone() });
    assert_eq!(rig.nodes[N].halted, None, "an echo, and an earlier life");
    rig.hear(N, 0, Heartbeat { flags: draining(), ..own });
    assert_eq!(rig.nodes[N].halted, Some(HaltReason::Doppelganger));
}

/// PROTOCOL G10
#[test]
fn a_forged_heartbeat_of_its_own_key_stops_nobody() {
    let mut rig = Rig::new();
    rig.tick(N);
    let later = Heartbeat { generation: Generation(2), ..rig.heartbeat(N, 1) };
    let stolen = Signed::from_parts(sign(later).bytes().to_vec(), *sign(rig.heartbeat(0, 1)).signature());
    rig.tell(N, 0, delta_of(stolen));
    assert_eq!(rig.nodes[N].halted, None);
    let caught = rig.nodes[N].notices.iter();
    assert!(
        caught.filter(|notice| matches!(notice, Notice::Dropped { why: Drop::Signature, .. })).count() == 1
    );
}
