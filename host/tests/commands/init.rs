//! `nitro-elect init`.

use nitro_elect::keys;
use nitro_elect::manifest::Manifest;
use nitro_elect_protocol::crypto::Signer;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::{Said, program, refused, run, write_trust};

fn init(dir: &Path, more: &[&str]) -> Said {
    run(dir, &[&["init", "--trust", "trust.json"], more].concat())
}

fn place() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    write_trust(dir.path());
    dir
}

/// The names in a directory, hidden ones too.
fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_cluster_is_made_with_its_parents_and_the_lines_to_run_are_printed() {
    let dir = place();
    let made = init(dir.path(), &["--local", "4", "--base-port", "6000", "new/local"]);
    assert_eq!(made.code, 0, "{}", made.err);
    let cluster = dir.path().join("new/local");
    assert_eq!(names(&cluster), ["cluster.toml", "node-1", "node-2", "node-3", "node-4"]);
    let manifest = Manifest::load(&cluster.join("cluster.toml")).unwrap();
    let electorate = &manifest.electorate;
    assert_eq!((electorate.n(), electorate.f, electorate.epoch), (4, 1, 1));
    for number in 1..=4 {
        let state = cluster.join(format!("node-{number}"));
        let voter = electorate.voter(&keys::load(&state).unwrap().id()).expect("each key votes");
        assert_eq!(
            (&*voter.name, &*voter.address),
            (&*format!("node-{number}"), &*format!("127.0.0.1:{}", 5999 + number))
        );
        assert_eq!(names(&state), ["key", "lock", "record"]);
        assert_eq!(fs::metadata(state).unwrap().permissions().mode() & 0o777, 0o700);
    }
    let lines: Vec<&str> = made.out.lines().collect();
    assert_eq!(lines.len(), 4);
    let first = "nitro-elect node --manifest new/local/cluster.toml --state new/local/node-1 \
                 --enclave tcp://127.0.0.1:5900";
    assert_eq!(lines[0], first);
}

#[test]
fn json_has_the_nodes_and_the_lines() {
    let dir = place();
    let made = init(dir.path(), &["--local", "2", "--lease", "200ms", "--json", "my cluster"]);
    let json: Value = serde_json::from_str(&made.out).unwrap();
    assert_eq!((made.code, json["nodes"].as_array().unwrap().len()), (0, 2));
    assert_eq!(json["nodes"][1]["address"], "127.0.0.1:5001");
    let run = json["run"][0].as_str().unwrap();
    assert!(run.contains("--state 'my cluster/node-1'"), "{run}");
}

#[test]
fn an_empty_directory_is_used_and_any_other_left_alone() {
    let dir = place();
    fs::create_dir(dir.path().join("empty")).unwrap();
    assert_eq!(init(dir.path(), &["--local", "1", "empty"]).code, 0);
    let before = names(&dir.path().join("empty"));
    refused(&init(dir.path(), &["--local", "1", "empty"]), 1, "empty is not empty");
    assert_eq!(names(&dir.path().join("empty")), before);
    fs::create_dir(dir.path().join("hidden")).unwrap();
    fs::write(dir.path().join("hidden/.file"), "x").unwrap();
    refused(&init(dir.path(), &["--local", "1", "hidden"]), 1, "hidden is not empty");
    fs::write(dir.path().join("file"), "x").unwrap();
    refused(&init(dir.path(), &["--local", "1", "file"]), 1, "file");
    refused(&init(dir.path(), &["--local", "1", "file/below"]), 1, "file");
    assert_eq!(names(dir.path()), ["empty", "file", "hidden", "trust.json"]);
}

#[test]
fn a_failure_in_the_middle_leaves_nothing_not_even_parents() {
    let dir = place();
    // A limit of file sizes fails writes as a full disk does: at once, or, as here, after keys and records.
    for (limit, at) in [("ulimit -f 0", "record"), ("ulimit -f 1", "cluster.toml")] {
        let script = format!(
            "trap '' XFSZ; {limit}; exec {} init --local 4 --trust trust.json a/b/c",
            env!("CARGO_BIN_EXE_nitro-elect")
        );
        let output =
            std::process::Command::new("sh").current_dir(dir.path()).args(["-c", &script]).output().unwrap();
        let said = crate::said(output);
        refused(&said, 1, at);
        assert_eq!(names(dir.path()), ["trust.json"], "{limit}: {}", said.err);
    }
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_made() {
    let dir = place();
    for args in [["--local", "0", "x"], ["--local", "129", "x"], ["--local", "many", "x"]] {
        assert_eq!(init(dir.path(), &args).code, 2);
    }
    assert_eq!(init(dir.path(), &["--local", "4", "--base-port", "0", "x"]).code, 2);
    let ports = init(dir.path(), &["--local", "4", "--base-port", "65533", "x"]);
    refused(&ports, 1, "need ports up to 65536");
    refused(&init(dir.path(), &["--local", "4", "--f", "2", "x"]), 1, "3f + 1");
    assert_eq!(names(dir.path()), ["trust.json"]);
}

#[test]
fn a_manifest_is_never_made_with_a_trust_file_that_nobody_named() {
    let dir = tempfile::tempdir().unwrap();
    let said = run(dir.path(), &["init", "--local", "4", "x"]);
    refused(&said, 2, "no trust file");
    assert!(said.err.contains("nitro-elect simulate-enclave --trust-out trust.json"), "{}", said.err);
    // Not even where a simulated enclave left one; but then it is offered.
    let made = dir.path().join("state/nitro-elect/simulated");
    fs::create_dir_all(&made).unwrap();
    fs::write(made.join("trust.json"), "{}").unwrap();
    let mut command = program(dir.path(), &["init", "--local", "4", "x"]);
    let said = crate::said(command.env("XDG_STATE_HOME", dir.path().join("state")).output().unwrap());
    refused(&said, 2, "no trust file");
    assert!(said.err.contains(&format!("--trust {}", made.join("trust.json").display())), "{}", said.err);
    assert!(!dir.path().join("x").exists());
}
