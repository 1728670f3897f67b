//! `nitro-elect log` on state directories and exported files, as an operator and an auditor meet it.

use nitro_elect::proof_file::ProofFile;
use nitro_elect::storage::{Owner, Storage, StorageError, give_birth};
use nitro_elect_protocol::certificate::Certificate;
use nitro_elect_protocol::crypto::Signer;
use nitro_elect_protocol::ids::Term;
use nitro_elect_protocol::view::Accepted;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::world::{SOON, shared};

/// Certificates of terms 1 to 4, each naming the one before it, the last without promises.
fn proofs() -> Vec<ProofFile> {
    let mut proofs: Vec<ProofFile> = Vec::new();
    for term in 1..=4 {
        let previous = proofs.last().map(|last| {
            let certificate = last.bundle.certificate.peek().unwrap();
            let digest = last.bundle.certificate.digest();
            Accepted { term: certificate.term, leader: certificate.leader, certificate: digest }
        });
        let certificate = Certificate { term: Term(term), previous, ..shared().certificate() };
        proofs.push(shared().proof_of(&certificate, if term < 4 { 3 } else { 0 }));
    }
    proofs
}

fn lines(proofs: &[ProofFile]) -> String {
    proofs.iter().map(|proof| proof.to_line() + "\n").collect()
}

/// A directory with the manifest, a log of four, and a state directory with the same log.
fn home() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("cluster.toml"), shared().manifest().to_string()).unwrap();
    fs::write(dir.path().join("log.jsonl"), lines(&proofs())).unwrap();
    dir
}

/// A state directory under `home` that holds these certificates, still locked by whoever holds what is returned.
fn state(home: &Path, proofs: &[ProofFile]) -> Storage {
    let (dir, key) = (home.join("state"), &shared().voters[0]);
    give_birth(&dir, key).unwrap();
    let owner = Owner { node: key.id(), cluster: shared().electorate.cluster, danger_forget_votes: false };
    let mut storage = loop {
        // A test beside this one that starts a program holds all locks until it has become that program.
        match Storage::open(&dir, &owner) {
            Err(StorageError::Locked { .. }) => std::thread::yield_now(),
            opened => break opened.unwrap().0,
        }
    };
    for proof in proofs {
        storage.append(&proof.bundle).unwrap();
    }
    storage
}

fn log(home: &Path, args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nitro-elect"));
    let Output { status, stdout, stderr } =
        command.current_dir(home).env_clear().arg("log").args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().expect("it was not killed"), text(stdout), text(stderr))
}

/// `log verify` of these files at a time when the documents are good.
fn verify(home: &Path, more: &[&str]) -> (i32, String, String) {
    let at = SOON.to_string();
    log(home, &[&["verify", "--manifest", "cluster.toml", "--at", &at], more].concat())
}

#[test]
fn a_whole_log_is_exit_0_and_3_where_less_than_attested_was_not_asked_for() {
    let home = home();
    let (code, text, err) = verify(home.path(), &["log.jsonl", "--allow-simulated"]);
    assert_eq!(code, 0, "{text}{err}");
    assert!(text.contains("VALID: 4 certificates of terms 1 to 4, no gap, SIMULATED"), "{text}");
    let (code, text, _) = verify(home.path(), &["log.jsonl"]);
    assert!(code == 3 && text.contains("--allow-simulated accepts it"), "{text}");
}

#[test]
fn a_gap_a_fork_and_a_forgery_are_exit_1_and_named() {
    let (home, proofs) = (home(), proofs());
    let write = |text: String| fs::write(home.path().join("log.jsonl"), text).unwrap();
    write(lines(&[proofs[0].clone(), proofs[2].clone(), proofs[3].clone()]));
    let (code, text, _) = verify(home.path(), &["log.jsonl", "--allow-simulated"]);
    assert!(code == 1 && text.contains("GAP: the certificate of term 2 is not here"), "{text}");
    let allowed = verify(home.path(), &["log.jsonl", "--allow-simulated", "--allow-gaps"]);
    assert!(allowed.0 == 0 && allowed.1.contains("1 gap,"), "{allowed:?}");
    let rival = Certificate { term: Term(4), leader: shared().ids()[1], ..shared().certificate() };
    write(lines(&[&proofs[..], &[shared().proof_of(&rival, 3)]].concat()));
    let (code, text, _) = verify(home.path(), &["log.jsonl", "--allow-simulated", "--allow-gaps"]);
    assert!(code == 1 && text.contains("FORK: term 4 has two certificates"), "{text}");
    let mut forged = proofs.clone();
    forged[1].bundle.certificate.signature[3] ^= 4;
    write(lines(&forged));
    let (code, text, _) = verify(home.path(), &["log.jsonl", "--allow-simulated"]);
    assert!(code == 1 && text.contains("INVALID check 5"), "{text}");
}

#[test]
fn a_changed_line_is_found_wherever_it_is_changed() {
    let home = home();
    let text = fs::read_to_string(home.path().join("log.jsonl")).unwrap();
    let second = text.find('\n').unwrap() + 1;
    let end = second + text[second..].find('\n').unwrap();
    for at in (second..end).step_by(1009) {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1;
        fs::write(home.path().join("log.jsonl"), bytes).unwrap();
        let (code, out, _) = verify(home.path(), &["log.jsonl", "--allow-simulated", "--allow-gaps"]);
        assert_eq!(code, 1, "byte {at}: {out}");
    }
    fs::write(home.path().join("log.jsonl"), &text[..text.len() - 40]).unwrap();
    let (code, out, _) = verify(home.path(), &["log.jsonl", "--allow-simulated"]);
    assert!(code == 1 && out.contains("log.jsonl:4: it is no proof"), "cut short: {out}");
}

#[test]
fn other_files_are_exit_2_with_what_to_do() {
    let home = home();
    let (code, _, err) = verify(home.path(), &["cluster.toml"]);
    assert!(code == 2 && err.contains("is no exported log") && err.contains("log export"), "{err}");
    let (code, _, err) = verify(home.path(), &["absent.jsonl"]);
    assert!(code == 2 && err.contains("absent.jsonl") && err.contains("help:"), "{err}");
    fs::write(home.path().join("empty.jsonl"), "").unwrap();
    let (code, out, _) = verify(home.path(), &["empty.jsonl"]);
    assert!(code == 1 && out.contains("there is no certificate in it"), "{out}");
    let (code, _, err) = log(home.path(), &["verify", "log.jsonl"]);
    assert!(code == 2 && err.contains("--manifest"), "{err}");
}

#[test]
fn scripts_get_each_certificate_the_gaps_and_the_alarms() {
    let home = home();
    let (_, out, _) = verify(home.path(), &["log.jsonl", "--allow-simulated", "--json"]);
    let value: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&value["verdict"], &value["assurance"]), (&"valid".into(), &"simulated".into()));
    assert_eq!(value["certificates"].as_array().unwrap().len(), 4);
    let third = &value["certificates"][2];
    assert_eq!((&third["term"], &third["leader"]["name"]), (&3.into(), &"node-1".into()));
    assert_eq!((&third["previous"]["term"], &third["valid"]), (&2.into(), &true.into()));
    assert_eq!((&value["gaps"], &value["alarms"]), (&Value::Array(vec![]), &Value::Array(vec![])));
}

#[test]
fn the_log_of_a_running_nodes_directory_is_listed_and_exported_without_touching_it() {
    let (home, proofs) = (home(), proofs());
    let _running = state(home.path(), &proofs);
    let before = fs::read(home.path().join("state/certificates.log")).unwrap();
    let (code, out, err) = log(home.path(), &["--state", "state"]);
    assert!(code == 0 && out.lines().count() == 4 && out.contains("not verified"), "{out}{err}");
    assert!(out.contains("by priority") && out.contains("4 signed"), "{out}");
    let (_, out, _) = log(home.path(), &["--state", "state", "--manifest", "cluster.toml", "--since", "3"]);
    assert_eq!(out.lines().count(), 2, "{out}");
    assert!(out.contains("term 3") && out.contains("node-1") && out.contains("SIMULATED"), "{out}");
    let (_, out, _) = log(home.path(), &["--state", "state", "--json"]);
    let terms: Vec<Value> =
        out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["term"].clone()).collect();
    assert_eq!(terms, [1, 2, 3, 4]);
    let (code, out, err) = log(home.path(), &["export", "--state", "state"]);
    assert!(code == 0 && out == lines(&proofs) && err.contains("4 entries"), "{err}");
    let export = ["export", "--state", "state", "--since", "4", "--out", "part.jsonl"];
    assert_eq!(log(home.path(), &export).0, 0);
    assert_eq!(fs::read_to_string(home.path().join("part.jsonl")).unwrap(), lines(&proofs[3..]));
    let (code, _, err) = log(home.path(), &export);
    assert!(code == 1 && err.contains("not overwritten"), "{err}");
    assert_eq!(fs::read(home.path().join("state/certificates.log")).unwrap(), before);
}

#[test]
fn damage_in_a_state_directory_is_told_and_the_rest_is_read() {
    let (home, proofs) = (home(), proofs());
    drop(state(home.path(), &proofs));
    let path = home.path().join("state/certificates.log");
    let mut bytes = fs::read(&path).unwrap();
    let third = bytes.len() / 2;
    bytes[third] ^= 1;
    fs::write(&path, bytes).unwrap();
    let (code, out, err) = log(home.path(), &["--state", "state"]);
    assert!(code == 0 && out.contains("GAP: ") && err.contains("are damaged"), "{out}{err}");
    let (code, out, _) = log(home.path(), &["export", "--state", "state"]);
    assert_eq!((code, out.lines().count()), (1, 3), "an export that is not whole says so");
    let (code, _, err) = log(home.path(), &["--state", "absent"]);
    assert!(code == 2 && err.contains("absent"), "{err}");
}

#[test]
fn without_a_node_the_list_says_how_to_find_one() {
    let home = home();
    let (code, _, err) = log(home.path(), &["--admin", "127.0.0.1:1"]);
    assert!(code == 1 && err.contains("no node answers") && err.contains("--admin"), "{err}");
}
