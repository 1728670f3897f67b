//! `nitro-elect keygen`.

use nitro_elect::keys;
use nitro_elect_protocol::crypto::Signer;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::{program, refused, run, said};

#[test]
fn a_new_key_is_printed_and_lies_with_its_state_for_its_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let made = run(dir.path(), &["keygen", "--state", "a/node"]);
    assert_eq!(made.code, 0, "{}", made.err);
    let state = dir.path().join("a/node");
    assert_eq!(made.out.trim_end(), keys::load(&state).unwrap().id().to_string());
    for name in ["key", "record"] {
        assert_eq!(fs::metadata(state.join(name)).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn the_key_is_private_whatever_the_umask() {
    let dir = tempfile::tempdir().unwrap();
    let script = format!("umask 000 && exec {} keygen --state node", env!("CARGO_BIN_EXE_nitro-elect"));
    let made =
        std::process::Command::new("sh").current_dir(dir.path()).args(["-c", &script]).output().unwrap();
    assert_eq!(said(made).code, 0);
    let state = dir.path().join("node");
    assert_eq!(fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o700);
    keys::load(&state).unwrap();
}

#[test]
fn json_names_key_and_file() {
    let dir = tempfile::tempdir().unwrap();
    let made = run(dir.path(), &["keygen", "--json", "--state", "node"]);
    let json: Value = serde_json::from_str(&made.out).unwrap();
    assert_eq!(json["key"], keys::load(&dir.path().join("node")).unwrap().id().to_string());
    assert_eq!(json["file"], "node/key");
}

#[test]
fn a_key_or_a_state_that_is_there_is_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), &["keygen", "--state", "node"]);
    let key = fs::read(dir.path().join("node/key")).unwrap();
    refused(&run(dir.path(), &["keygen", "--state", "node"]), 1, "there is a key already at node/key");
    assert_eq!(fs::read(dir.path().join("node/key")).unwrap(), key);
    fs::create_dir(dir.path().join("dangling")).unwrap();
    symlink("nowhere", dir.path().join("dangling/key")).unwrap();
    refused(&run(dir.path(), &["keygen", "--state", "dangling"]), 1, "there is a key already");
}

#[test]
fn a_directory_that_others_can_write_to_and_a_file_in_its_place_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("open")).unwrap();
    fs::set_permissions(dir.path().join("open"), fs::Permissions::from_mode(0o777)).unwrap();
    refused(&run(dir.path(), &["keygen", "--state", "open"]), 1, "chmod 700 open");
    assert_eq!(fs::read_dir(dir.path().join("open")).unwrap().count(), 0);
    fs::write(dir.path().join("file"), "").unwrap();
    refused(&run(dir.path(), &["keygen", "--state", "file"]), 1, "file");
}

#[test]
fn the_state_can_be_named_by_the_environment_and_the_line_wins() {
    let dir = tempfile::tempdir().unwrap();
    let made = program(dir.path(), &["keygen"]).env("NITRO_ELECT_STATE", "by-env").output().unwrap();
    assert_eq!(said(made).code, 0);
    assert!(dir.path().join("by-env/key").exists());
    let mut both = program(dir.path(), &["keygen", "--state", "by-flag"]);
    assert_eq!(said(both.env("NITRO_ELECT_STATE", "not-this").output().unwrap()).code, 0);
    assert!(dir.path().join("by-flag/key").exists() && !dir.path().join("not-this").exists());
}

#[test]
fn no_output_shows_the_secret() {
    let dir = tempfile::tempdir().unwrap();
    let made = run(dir.path(), &["keygen", "--state", "node"]);
    let seed = keys::load(&dir.path().join("node")).unwrap();
    let secret: String = seed.seed().iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(!made.out.contains(&secret) && !made.err.contains(&secret));
}
