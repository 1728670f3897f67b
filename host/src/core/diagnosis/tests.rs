//! One node that lacks one thing at a time, and what it says.

use super::*;
use crate::core::Core;
use crate::core::config::{Config, FANOUT_DEFAULT, Membership, Observers};
use crate::core::durable::{Record, Support};
use crate::core::status::{FailureStatus, PromiseStatus};
use nitro_elect_protocol::crypto::{NodeKey, Ring, Signer};
use nitro_elect_protocol::electorate::{Electorate, VERSION, Voter};
use nitro_elect_protocol::heartbeat::Flags;
use nitro_elect_protocol::ids::{ClusterId, ElectorateDigest, Generation, Term};
use nitro_elect_protocol::policy::{Policy, Rule};
use nitro_elect_protocol::time::{Boot, Now, Wall};
use nitro_elect_protocol::trust::{Root, Trust};
use std::sync::Arc;

const NOW: Now = Now { boot: Boot(1_000_000_000), wall: Wall(1_700_000_000_000) };
const NAMES: [&str; 4] = ["alpha", "beta", "gamma", "delta"];

fn key(number: u8) -> NodeKey {
    NodeKey::from_seed([number + 1; 32])
}

/// alpha's view of a cluster of so many, at its start.
fn fresh(voters: u8, cluster: ClusterId, support: Option<Support>) -> Status {
    let voter = |number: u8| Voter {
        key: key(number).id(),
        name: NAMES[usize::from(number)].into(),
        address: format!("10.0.0.{number}:5000"),
        weight: 1,
    };
    let mut electorate = Electorate {
        version: VERSION,
        cluster,
        name: "test".into(),
        epoch: 1,
        previous: None,
        f: 0,
        policy: Policy::of(Rule::Priority),
        lease_ms: 1000,
        trust: Trust { root: Root::Aws, accepted: vec![], allow_debug: false, max_age_ms: 1 },
        voters: (0..voters).map(voter).collect(),
    };
    electorate.sort();
    let membership = match cluster {
        ClusterId::OPEN => Membership::Open { template: Box::new(electorate), alone: false },
        _ => Membership::Manifest { electorate: Box::new(electorate), observers: Observers::Off },
    };
    let node = key(0).id();
    let config = Config {
        name: "alpha".into(),
        address: "10.0.0.0:5000".into(),
        membership,
        predecessor: None,
        enclaves: 1,
        fanout: FANOUT_DEFAULT,
        record: Record {
            node,
            cluster: Some(cluster),
            generation: Generation(2),
            support,
            forgot_votes: false,
        },
        newest: None,
        evidence: Vec::new(),
        seed: [0; 32],
    };
    Core::new(config, Box::new(key(0)), Arc::new(Ring), NOW).status(NOW)
}

/// Three voters that see each other, with an enclave that has just failed to answer.
fn alive() -> Status {
    let mut status = fresh(3, ClusterId([7; 16]), None);
    for member in &mut status.members {
        member.active = true;
        member.eligible = true;
        member.silent_for = Some(Duration::from_millis(10));
    }
    status.enclaves[0].place = "tcp://127.0.0.1:5900".into();
    status.enclaves[0].error = Some(Unanswered.to_string());
    status
}

/// Nothing is wrong with their enclave either: only an observer does not ask for one.
fn sound() -> Status {
    Status { voter: false, ..alive() }
}

fn failed(why: CallFailure) -> Option<FailureStatus> {
    Some(FailureStatus { ago: Duration::from_millis(100), why })
}

fn refused_by(number: u8, why: Refusal) -> Option<FailureStatus> {
    failed(CallFailure::PreVote { yes: 1, needed: 2, refusals: vec![(key(number).id(), why)] })
}

#[track_caller]
fn expect(status: &Status, name: CauseName, text: &[&str], next: &str) {
    let causes = causes(status);
    let cause = causes.iter().find(|cause| cause.name == name);
    let cause = cause.unwrap_or_else(|| panic!("no {name:?} among {causes:?}"));
    for part in text {
        assert!(cause.text.contains(part), "{part:?} is not in {:?}", cause.text);
    }
    assert!(cause.next.contains(next), "{next:?} is not in {:?}", cause.next);
    assert_eq!(causes.len(), 1, "and nothing else is wrong: {causes:?}");
}

#[test]
fn missing_voters_are_named_with_their_addresses() {
    let mut status = sound();
    let silent = [("beta", None), ("gamma", Some(Duration::from_millis(3400)))];
    for (name, silent_for) in silent {
        let member = status.members.iter_mut().find(|member| member.name == name).unwrap();
        (member.active, member.silent_for) = (false, silent_for);
    }
    let text = ["1 of 3 voters are active, 2 are needed", "beta (never heard)", "gamma (silent for 3.4 s)"];
    expect(&status, CauseName::VotersMissing, &text, "10.0.0.1:5000");
}

#[test]
fn an_enclave_that_does_not_answer_is_told_with_its_place_and_the_reason() {
    let mut status = alive();
    status.enclaves[0].silent_because = Some("connection refused".into());
    let text = ["no enclave is reachable", "connection refused", "tcp://127.0.0.1:5900"];
    expect(&status, CauseName::EnclaveUnreachable, &text, "start the enclave");
    status.enclaves[0].error = None;
    status.enclaves[0].silent_because = None;
    expect(&status, CauseName::EnclaveUnreachable, &["it has not answered yet"], "--enclave");
}

#[test]
fn an_enclave_that_is_not_accepted_is_told_with_the_failed_check() {
    let mut status = alive();
    status.enclaves[0].error = Some("check 5 (PCR0): none of the accepted sets".into());
    expect(&status, CauseName::EnclaveRefused, &["check 5 (PCR0)"], "measurements");
}

#[test]
fn a_voter_that_does_not_accept_the_enclave_is_named() {
    let status = Status { last_failure: refused_by(1, Refusal::Enclave { check: 12 }), ..sound() };
    expect(&status, CauseName::EnclaveRefused, &["beta does not accept the enclave"], "clocks");
}

#[test]
fn a_wall_clock_that_is_off_is_named() {
    let status = Status { clock_offset_ms: -125_000, ..sound() };
    expect(&status, CauseName::ClockOff, &["this node is 2 min behind"], "chrony");
    let mut status = sound();
    let gamma = status.members.iter_mut().find(|member| member.name == "gamma").unwrap();
    gamma.clock_offset_ms = Some(90_000);
    expect(&status, CauseName::ClockOff, &["gamma is 90.0 s ahead of"], "chrony");
    let gamma = status.members.iter_mut().find(|member| member.name == "gamma").unwrap();
    gamma.clock_offset_ms = Some(30_000);
    expect(&status, CauseName::ElectionUnderWay, &[], "wait");
}

#[test]
fn back_off_is_told_with_its_end() {
    let status = Status { last_failure: refused_by(2, Refusal::BackOff { ms: 1000 }), ..sound() };
    expect(&status, CauseName::BackOff, &["gamma signs nothing", "900 ms more"], "wait 900 ms");
    let status = Status { back_off: Some(Duration::from_millis(700)), ..sound() };
    expect(&status, CauseName::BackOff, &["this node signs nothing", "700 ms"], "wait 700 ms");
    let over = Status { last_failure: refused_by(2, Refusal::BackOff { ms: 100 }), ..sound() };
    expect(&over, CauseName::ElectionUnderWay, &[], "wait");
}

#[test]
fn the_hold_after_a_restart_is_told_apart_from_an_old_promise() {
    let support = Support {
        term: Term(5),
        holder: key(2).id(),
        generation: Generation(1),
        electorate: ElectorateDigest([0; 32]),
        lease_ms: 1000,
    };
    let mut status = fresh(3, ClusterId([7; 16]), Some(support));
    assert_eq!(status.promise.as_ref().map(|promise| promise.holder.as_str()), Some("gamma"));
    status = Status { promise: status.promise, hold_at_start: status.hold_at_start, ..sound() };
    expect(&status, CauseName::HoldAfterStart, &["restarted", "1000 ms more"], "wait 1000 ms");
    status.hold_at_start = None;
    expect(&status, CauseName::Promised, &["promise to gamma runs for 1000 ms more"], "wait 1000 ms");
}

#[test]
fn a_promise_of_another_voter_is_told_until_it_is_over() {
    let status = Status { last_failure: refused_by(1, Refusal::Promised { ms: 400 }), ..sound() };
    expect(&status, CauseName::Promised, &["beta has promised another node for 300 ms more"], "wait 300 ms");
}

#[test]
fn a_state_that_cannot_be_written_is_told_with_what_the_disk_said() {
    let status = Status { write_error: Some("no space left on device".into()), ..sound() };
    expect(&status, CauseName::StateNotWritten, &["no space left on device"], "no restart is needed");
    let status = Status { last_failure: refused_by(1, Refusal::NotSigning), ..sound() };
    expect(&status, CauseName::VoterNotSigning, &["beta cannot sign"], "disk");
}

#[test]
fn when_nobody_would_lead_each_says_why() {
    let mut status = sound();
    let flags = [
        Flags { draining: true, ..Flags::default() },
        Flags { unhealthy: true, ..Flags::default() },
        Flags { stepped_down: true, ..Flags::default() },
    ];
    for (member, flags) in status.members.iter_mut().zip(flags) {
        (member.eligible, member.flags) = (false, flags);
    }
    let text = ["alpha (drained)", "(unhealthy)", "(stepped down a moment ago)"];
    expect(&status, CauseName::NobodyEligible, &text, "undrain");
}

#[test]
fn alone_in_an_open_cluster_it_says_how_not_to_be() {
    let status = Status { voter: false, ..fresh(1, ClusterId::OPEN, None) };
    expect(&status, CauseName::Alone, &["no other node is active"], "--alone");
    let status = Status { alone: true, ..status };
    expect(&status, CauseName::ElectionUnderWay, &[], "wait");
}

#[test]
fn another_manifest_is_told_with_this_nodes_digest() {
    let other = Refusal::OtherElectorate(ElectorateDigest([9; 32]));
    let status = Status { last_failure: refused_by(2, other), ..sound() };
    let digest = status.digest.to_string();
    expect(&status, CauseName::OtherManifest, &["gamma has another electorate"], &digest[..16]);
}

#[test]
fn lost_votes_and_a_copied_key_are_told() {
    expect(
        &Status { votes_lost: true, ..sound() },
        CauseName::VotesLost,
        &["votes are lost"],
        "other voters",
    );
    expect(&Status { halted: true, ..sound() }, CauseName::Halted, &["signs nothing"], "new key");
}

#[test]
fn an_election_that_the_enclave_refused_says_what_it_said() {
    let status = Status { last_failure: failed(CallFailure::Enclave("it is full".into())), ..sound() };
    expect(&status, CauseName::ElectionFailed, &["it is full"], "restart the enclave");
}

#[test]
fn with_nothing_wrong_an_election_is_under_way_and_says_when() {
    expect(&sound(), CauseName::ElectionUnderWay, &["due or under way"], "wait a moment");
    let status = Status {
        calls_in: Some(Duration::from_millis(250)),
        last_failure: failed(CallFailure::NoEnclave),
        ..sound()
    };
    expect(&status, CauseName::ElectionUnderWay, &["in 250 ms", "the last try failed"], "wait a moment");
}

#[test]
fn what_people_can_mend_comes_before_what_time_mends() {
    let status = Status {
        write_error: Some("read-only file system".into()),
        promise: Some(PromiseStatus { holder: "beta".into(), left: Duration::from_millis(10) }),
        ..alive()
    };
    let names: Vec<_> = causes(&status).into_iter().map(|cause| cause.name).collect();
    assert_eq!(names, [CauseName::StateNotWritten, CauseName::EnclaveUnreachable, CauseName::Promised]);
    assert!(status.no_leader_because().unwrap().contains("read-only"));
}

#[test]
fn programs_know_causes_by_name_also_those_of_later_versions() {
    let json = serde_json::to_value(causes(&alive())).unwrap();
    assert_eq!(json[0]["name"], "enclave_unreachable");
    assert_eq!(serde_json::from_str::<CauseName>("\"of_a_later_version\"").unwrap(), CauseName::Unknown);
}
