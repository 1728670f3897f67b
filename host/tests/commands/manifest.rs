//! `nitro-elect manifest new`, `check` and `digest`.

use serde_json::Value;
use std::fs;
use std::path::Path;

use crate::{refused, run, write_trust};

/// Four voters: two by the state directories of this machine, two by their public keys.
fn voters(dir: &Path) -> Vec<String> {
    let key = |name: &str| run(dir, &["keygen", "--state", name]).out.trim().to_owned();
    let [_, _, c, d] = ["a", "b", "c", "d"].map(key);
    vec![
        "alpha=10.0.0.1:5000=a=20".into(),
        "beta=10.0.0.2:5000=b".into(),
        format!("gamma=10.0.0.3:5000={c}"),
        format!("delta=[::1]:5000={d}=0"),
    ]
}

fn new(dir: &Path, voters: &[String], more: &[&str]) -> crate::Said {
    let mut args = vec!["manifest", "new", "--trust", "trust.json"];
    args.extend(voters.iter().flat_map(|voter| ["--voter", voter]));
    args.extend(more);
    run(dir, &args)
}

fn cluster() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    write_trust(dir.path());
    let made = new(dir.path(), &voters(dir.path()), &["--name", "eu", "--lease", "500ms"]);
    assert_eq!(made.code, 0, "{}", made.err);
    dir
}

#[test]
fn a_new_manifest_is_sound_and_its_digest_is_printed_alike_by_all_three() {
    let dir = tempfile::tempdir().unwrap();
    write_trust(dir.path());
    let made = new(dir.path(), &voters(dir.path()), &[]);
    assert_eq!(made.code, 0, "{}", made.err);
    let digest = run(dir.path(), &["manifest", "digest", "cluster.toml"]);
    assert_eq!((digest.code, &digest.out), (0, &made.out));
    assert_eq!(made.out.trim().len(), 64);
    let check = run(dir.path(), &["manifest", "check", "--json", "cluster.toml"]);
    let json: Value = serde_json::from_str(&check.out).unwrap();
    assert_eq!((check.code, &json["valid"], &json["digest"]), (0, &true.into(), &made.out.trim().into()));
    assert_eq!((&json["voters"], &json["f"], &json["quorum"]), (&4.into(), &1.into(), &3.into()));
}

#[test]
fn every_flag_ends_up_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    write_trust(dir.path());
    let observer = run(dir.path(), &["keygen", "--state", "watcher"]).out.trim().to_owned();
    let flags =
        ["--name", "eu", "--lease", "2s", "--policy", "rotate", "--sticky", "--prefer", "return", "--f", "0"];
    let made = new(
        dir.path(),
        &voters(dir.path()),
        &[&flags[..], &["--observers", &observer, "--out", "x.toml"]].concat(),
    );
    assert_eq!(made.code, 0, "{}", made.err);
    let text = fs::read_to_string(dir.path().join("x.toml")).unwrap();
    let lines = [
        "name = \"eu\"",
        "lease = \"2s\"",
        "policy = \"rotate\"",
        "sticky = true",
        "prefer = \"return\"",
        "f = 0",
    ];
    for line in lines.into_iter().chain(["epoch = 1", "weight = 20", "weight = 1", "weight = 0", &observer]) {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[test]
fn every_cluster_has_an_id_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    write_trust(dir.path());
    let voters = voters(dir.path());
    let first = new(dir.path(), &voters, &["--out", "1.toml"]);
    let second = new(dir.path(), &voters, &["--out", "2.toml"]);
    assert_ne!(first.out, second.out);
}

#[test]
fn the_digest_is_the_same_after_an_editor_was_at_work() {
    let dir = cluster();
    let path = dir.path().join("cluster.toml");
    let before = run(dir.path(), &["manifest", "digest", "cluster.toml"]).out;
    let text = fs::read_to_string(&path).unwrap();
    let (head, voters) = text.split_at(text.find("[[voter]]").unwrap());
    let mut voters: Vec<&str> = voters.split("[[voter]]").skip(1).collect();
    voters.rotate_left(1);
    let voters: String = voters.iter().map(|voter| format!("# a comment\n[[voter]]{voter}\n")).collect();
    fs::write(&path, format!("{head}\n{voters}")).unwrap();
    assert_eq!(run(dir.path(), &["manifest", "digest", "cluster.toml"]).out, before);
}

#[test]
fn an_existing_file_is_not_overwritten_and_a_plan_that_cannot_be_is_refused_whole() {
    let dir = cluster();
    let before = fs::read(dir.path().join("cluster.toml")).unwrap();
    let voter = ["x=h:1=a".to_owned()];
    refused(&new(dir.path(), &voter, &[]), 1, "there is a file already at cluster.toml");
    assert_eq!(fs::read(dir.path().join("cluster.toml")).unwrap(), before);
    let twice = ["x=h:1=a".to_owned(), "x=h:1=a".to_owned()];
    let said = new(dir.path(), &twice, &["--f", "1", "--lease", "0s", "--out", "new.toml"]);
    refused(&said, 1, "same public key");
    for fault in ["same address", "named x", "3f + 1", "a lease of 0 ms"] {
        assert!(said.err.contains(fault), "{fault}: {}", said.err);
    }
    assert!(!dir.path().join("new.toml").exists());
}

#[test]
fn wrong_flags_and_files_are_exit_2() {
    let dir = tempfile::tempdir().unwrap();
    write_trust(dir.path());
    let one = |voter: &str, more: &[&str]| new(dir.path(), &[voter.to_owned()], more);
    refused(&one("x=h:1=nowhere", &[]), 2, "there is no nowhere/key");
    assert_eq!(one("x=h:1", &[]).code, 2);
    assert_eq!(one("x=h:1=a=much", &[]).code, 2);
    let key = "11".repeat(32);
    let voter = format!("x=h:1={key}");
    assert_eq!(one(&voter, &["--policy", "king"]).code, 2);
    refused(&one(&voter, &["--lease", "soon"]), 2, "span of time");
    refused(&run(dir.path(), &["manifest", "new", "--voter", &voter]), 2, "no trust file");
    refused(&run(dir.path(), &["manifest", "new", "--voter", &voter, "--trust", "none"]), 2, "none");
    fs::write(dir.path().join("bad.json"), "{}").unwrap();
    refused(&run(dir.path(), &["manifest", "new", "--voter", &voter, "--trust", "bad.json"]), 2, "bad.json");
}

#[test]
fn check_explains_every_fault_with_its_line_and_exits_1() {
    let dir = cluster();
    let path = dir.path().join("cluster.toml");
    let text = fs::read_to_string(&path).unwrap();
    let faulty = text.replace("lease = \"500ms\"", "lease = \"0s\"").replace("f = 1\n", "f = 2\n");
    let faulty =
        faulty.replace("10.0.0.2:5000", "10.0.0.1:5000").replace("epoch = 1", "epoch = 1\ncolour = 1");
    fs::write(&path, &faulty).unwrap();
    let check = run(dir.path(), &["manifest", "check", "cluster.toml"]);
    assert_eq!(check.code, 1);
    let line = |piece: &str| 1 + faulty.lines().position(|line| line.contains(piece)).unwrap();
    for (at, what) in [
        (line("colour"), "colour is not known here"),
        (line("f = 2"), "f = 2 needs at least 7 voters"),
        (line("lease ="), "a lease of 0 ms"),
    ] {
        let expected = format!("cluster.toml:{at}: {what}");
        assert!(check.out.lines().any(|line| line.starts_with(&expected)), "{expected} in {}", check.out);
    }
    assert!(check.out.contains("have the same address 10.0.0.1:5000"), "{}", check.out);
    assert_eq!(check.out.lines().count(), 4);
    let json = run(dir.path(), &["manifest", "check", "--json", "cluster.toml"]);
    let faults: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((json.code, faults["faults"].as_array().unwrap().len()), (1, 4));
    refused(&run(dir.path(), &["manifest", "digest", "cluster.toml"]), 1, "has 4 faults");
}

#[test]
fn a_manifest_that_cannot_be_read_is_exit_2() {
    let dir = tempfile::tempdir().unwrap();
    for command in ["check", "digest"] {
        refused(&run(dir.path(), &["manifest", command, "none.toml"]), 2, "none.toml");
        refused(&run(dir.path(), &["manifest", command, "."]), 2, "could not read .");
        refused(&run(dir.path(), &["manifest", command, "/dev/zero"]), 2, "more than");
    }
    fs::write(dir.path().join("binary"), [0xff; 9]).unwrap();
    refused(&run(dir.path(), &["manifest", "check", "binary"]), 2, "is not text");
}
