//! `nitro-elect manifest diff`, `endorse`, `approve` and `replace`: changing the voters from the command line.

use nitro_elect::core::config::Observers;
use nitro_elect::manifest::Manifest;
use nitro_elect_protocol::electorate::Voter;
use nitro_elect_protocol::ids::NodeId;
use nitro_elect_protocol::policy::{Policy, Rule};
use serde_json::Value;
use std::fs;
use std::path::Path;

use crate::{Said, program, refused, run, said, write_trust};

/// A cluster of so many voters a, b, c, ..., whose state directories are beside their manifest.
fn site(voters: usize) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    write_trust(dir.path());
    let names: Vec<String> = ('a'..).take(voters).map(String::from).collect();
    let mut args = vec!["manifest".to_owned(), "new".into(), "--trust".into(), "trust.json".into()];
    for (index, name) in names.iter().enumerate() {
        assert_eq!(run(dir.path(), &["keygen", "--state", name]).code, 0);
        args.extend(["--voter".into(), format!("{name}=10.0.0.{}:5000={name}", index + 1)]);
    }
    let made = run(dir.path(), &args.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(made.code, 0, "{}", made.err);
    dir
}

fn load(dir: &Path, file: &str) -> Manifest {
    Manifest::load(&dir.join(file)).unwrap()
}

/// A voter of a key that nobody has.
fn newcomer(number: u8) -> Voter {
    let (key, name) = (NodeId([number; 32]), format!("new-{number}"));
    Voter { key, name, address: format!("10.0.1.{number}:5000"), weight: 1 }
}

/// Writes the successor of a manifest, with changes.
fn succeed(dir: &Path, old: &str, new: &str, change: impl FnOnce(&mut Manifest)) {
    let mut manifest = load(dir, old);
    manifest.electorate.previous = Some(manifest.electorate.digest());
    manifest.electorate.epoch += 1;
    change(&mut manifest);
    manifest.electorate.sort();
    manifest.save(&dir.join(new)).unwrap();
}

fn with_one_more(dir: &Path, new: &str, number: u8) {
    succeed(dir, "cluster.toml", new, |manifest| manifest.electorate.voters.push(newcomer(number)));
}

fn endorse(dir: &Path, voter: &str, new: &str, more: &[&str]) -> Said {
    let command = ["manifest", "endorse", "--state", voter, "cluster.toml", new];
    run(dir, &[&command[..], more].concat())
}

fn approve(dir: &Path, voter: &str, new: &str, endorsements: &[&str]) -> Said {
    let command = ["manifest", "approve", "--state", voter, "cluster.toml", new, "--endorsements"];
    run(dir, &[&command[..], endorsements].concat())
}

#[test]
fn diff_says_what_changes_and_that_the_step_is_allowed() {
    let dir = site(4);
    succeed(dir.path(), "cluster.toml", "new.toml", |manifest| {
        manifest.electorate.voters.push(newcomer(9));
        manifest.electorate.lease_ms = 2000;
        manifest.electorate.voters[0].address = "10.9.9.9:5000".into();
        manifest.electorate.policy = Policy::of(Rule::Rotate);
        manifest.observers = Observers::Open(5);
    });
    let diff = run(dir.path(), &["manifest", "diff", "cluster.toml", "new.toml"]);
    assert_eq!(diff.code, 0, "{}", diff.err);
    let voters = ["+ voter new-9", "becomes 10.9.9.9:5000", "allowed", "3 approvals"];
    let others = [
        "lease: 1s becomes 2s",
        "policy: priority becomes rotate",
        "sticky: true becomes false",
        "observers",
    ];
    for part in voters.into_iter().chain(others) {
        assert!(diff.out.contains(part), "{part:?} is missing in: {}", diff.out);
    }
    let json = run(dir.path(), &["manifest", "diff", "--json", "cluster.toml", "new.toml"]);
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((&json["allowed"], &json["shared"]), (&true.into(), &2.into()));
    assert_eq!((&json["approvals_needed"], &json["new"]["epoch"]), (&3.into(), &2.into()));
}

#[test]
fn diff_names_every_reason_against_a_step() {
    let dir = site(3);
    succeed(dir.path(), "cluster.toml", "jump.toml", |manifest| {
        manifest.electorate.voters.push(newcomer(9));
        manifest.electorate.f = 1;
    });
    let diff = run(dir.path(), &["manifest", "diff", "cluster.toml", "jump.toml"]);
    assert_eq!(diff.code, 1);
    assert!(diff.out.contains("NOT allowed") && diff.out.contains("overlap: "), "{}", diff.out);
    assert!(diff.out.contains("the old f"), "and what to do: {}", diff.out);
    // The other way round that would be no manifest: four voters are needed for f = 1.
    let dir = site(4);
    succeed(dir.path(), "cluster.toml", "fall.toml", |manifest| {
        manifest.electorate.voters.pop();
        manifest.electorate.f = 0;
    });
    let diff = run(dir.path(), &["manifest", "diff", "cluster.toml", "fall.toml"]);
    assert!(diff.code == 1 && diff.out.contains("lower f in a step of its own before"), "{}", diff.out);
    succeed(dir.path(), "cluster.toml", "far.toml", |manifest| {
        manifest.electorate.epoch += 1;
        manifest.electorate.previous = Some(nitro_elect_protocol::ids::ElectorateDigest([1; 32]));
        manifest.electorate.voters.remove(0);
        manifest.electorate.voters.push(newcomer(9));
    });
    let json = run(dir.path(), &["manifest", "diff", "--json", "cluster.toml", "far.toml"]);
    assert_eq!(json.code, 1);
    let json: Value = serde_json::from_str(&json.out).unwrap();
    let names: Vec<&str> =
        json["reasons"].as_array().unwrap().iter().map(|reason| reason["name"].as_str().unwrap()).collect();
    assert!(["epoch", "previous", "replaced"].iter().all(|name| names.contains(name)), "{names:?}");
    refused(&run(dir.path(), &["manifest", "diff", "cluster.toml", "none.toml"]), 2, "none.toml");
}

#[test]
fn three_operators_endorse_and_approve_by_files() {
    let dir = site(4);
    with_one_more(dir.path(), "new.toml", 9);
    for voter in ["a", "b", "c"] {
        let said = endorse(dir.path(), voter, "new.toml", &["--out", &format!("{voter}.endorsement")]);
        assert_eq!(said.code, 0, "{}", said.err);
    }
    let text = fs::read_to_string(dir.path().join("a.endorsement")).unwrap();
    assert!(text.starts_with("Endorsement by a of cluster") && text.len() < 1000, "{text}");
    refused(
        &approve(dir.path(), "a", "new.toml", &["a.endorsement", "b.endorsement"]),
        1,
        "1 missing of c, d",
    );
    let all = ["a.endorsement", "b.endorsement", "c.endorsement"];
    let said = approve(dir.path(), "a", "new.toml", &all);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("no certificate under the old manifest"), "its node never ran: {}", said.err);
    assert!(
        said.out.contains("BEGIN NITRO-ELECT APPROVAL") && said.out.contains("BEGIN NITRO-ELECT ELECTORATE")
    );
    assert_eq!(approve(dir.path(), "a", "new.toml", &all).out, said.out, "the same again");
    let json = run(
        dir.path(),
        &[
            &["manifest", "approve", "--json", "--state", "b", "cluster.toml", "new.toml", "--endorsements"],
            &all[..],
        ]
        .concat(),
    );
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["attempt"], 1);
    assert!(json["text"].as_str().unwrap().contains("APPROVAL"));
}

/// PROTOCOL E8
#[test]
fn a_voter_that_endorsed_another_is_told_of_the_next_attempt() {
    let dir = site(4);
    with_one_more(dir.path(), "one.toml", 8);
    with_one_more(dir.path(), "other.toml", 9);
    let first = endorse(dir.path(), "a", "one.toml", &["--attempt", "1"]);
    assert_eq!(first.code, 0, "{}", first.err);
    assert_eq!(endorse(dir.path(), "a", "one.toml", &[]).out, first.out, "the same again");
    refused(&endorse(dir.path(), "a", "other.toml", &["--attempt", "1"]), 1, "next --attempt");
    let second = endorse(dir.path(), "a", "other.toml", &[]);
    assert!(second.out.contains("attempt 2"), "{}", second.out);
    refused(&endorse(dir.path(), "a", "one.toml", &["--attempt", "1"]), 1, "later");
}

/// PROTOCOL E8
#[test]
fn two_commands_at_once_endorse_one_successor_in_an_attempt() {
    let dir = site(4);
    let rivals: Vec<String> = (1..=6).map(|number| format!("rival-{number}.toml")).collect();
    for (file, number) in rivals.iter().zip(10..) {
        with_one_more(dir.path(), file, number);
    }
    let started: Vec<_> = rivals
        .iter()
        .map(|file| {
            let args =
                ["manifest", "endorse", "--state", "a", "--attempt", "1", "cluster.toml", file.as_str()];
            let mut command = program(dir.path(), &args);
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    let ended: Vec<Said> = started.into_iter().map(|child| said(child.wait_with_output().unwrap())).collect();
    assert_eq!(ended.iter().filter(|said| said.code == 0).count(), 1);
    for said in ended.iter().filter(|said| said.code != 0) {
        assert!(said.out.is_empty() && said.err.contains("help: "), "{}", said.err);
    }
}

/// PROTOCOL E8
#[test]
fn a_damaged_file_of_endorsements_is_refused_and_left_alone() {
    let dir = site(4);
    with_one_more(dir.path(), "new.toml", 9);
    assert_eq!(endorse(dir.path(), "a", "new.toml", &[]).code, 0);
    let file = dir.path().join("a/changes");
    let mut bytes = fs::read(&file).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&file, &bytes).unwrap();
    refused(&endorse(dir.path(), "a", "new.toml", &["--attempt", "2"]), 1, "checksum");
    assert_eq!(fs::read(&file).unwrap(), bytes);
    fs::remove_file(dir.path().join("b/record")).unwrap();
    refused(&endorse(dir.path(), "b", "new.toml", &[]), 1, "is lost");
}

#[test]
fn who_does_not_vote_and_steps_that_are_not_allowed_are_signed_by_nobody() {
    let dir = site(4);
    with_one_more(dir.path(), "new.toml", 9);
    assert_eq!(run(dir.path(), &["keygen", "--state", "stranger"]).code, 0);
    refused(&endorse(dir.path(), "stranger", "new.toml", &[]), 1, "no voter of the old manifest");
    succeed(dir.path(), "cluster.toml", "two.toml", |manifest| {
        manifest.electorate.voters.extend([newcomer(8), newcomer(9)]);
    });
    refused(&endorse(dir.path(), "a", "two.toml", &[]), 1, "one voter a change");
    refused(&approve(dir.path(), "a", "new.toml", &["trust.json"]), 2, "no endorsement");
}

#[test]
fn replace_writes_both_steps_and_neither_over_another_file() {
    let dir = site(4);
    let key = run(dir.path(), &["keygen", "--state", "new-disk"]).out.trim().to_owned();
    let replaced = run(dir.path(), &["manifest", "replace", "c", &key]);
    assert_eq!(replaced.code, 0, "{}", replaced.err);
    assert!(replaced.out.contains("1. cluster.2.toml") && replaced.out.contains("2. cluster.3.toml"));
    for (old, new, voters) in [("cluster.toml", "cluster.2.toml", 5), ("cluster.2.toml", "cluster.3.toml", 4)]
    {
        let diff = run(dir.path(), &["manifest", "diff", old, new]);
        assert_eq!(diff.code, 0, "{}", diff.out);
        assert_eq!(load(dir.path(), new).electorate.n(), voters);
    }
    let last = load(dir.path(), "cluster.3.toml").electorate;
    let new = last.voters.iter().find(|voter| voter.name == "c").unwrap();
    assert_eq!((new.key.to_string(), new.address.as_str()), (key, "10.0.0.3:5000"));
    refused(
        &run(dir.path(), &["manifest", "replace", "c", "new-disk"]),
        1,
        "newest manifest with --manifest",
    );
    refused(&run(dir.path(), &["manifest", "replace", "z", "new-disk"]), 1, "a, b, c, d");
    let further = run(dir.path(), &["manifest", "replace", "--manifest", "cluster.3.toml", "d", "b"]);
    refused(&further, 1, "votes already");
}

#[test]
fn replace_says_when_too_few_are_left_to_approve() {
    for voters in [1, 2] {
        let dir = site(voters);
        assert_eq!(run(dir.path(), &["keygen", "--state", "new-disk"]).code, 0);
        refused(&run(dir.path(), &["manifest", "replace", "a", "new-disk"]), 1, "manifest new");
    }
}
