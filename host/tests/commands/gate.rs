//! `nitro-elect gate` and `connect`: what they refuse, and how a gate is told that a term is over.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nitro_elect::fence::{FenceState, Record};
use nitro_elect_protocol::ids::{ClusterId, Term};

use crate::{Said, refused, run, write_trust};

/// A cluster's files in `cluster`, and the arguments of a gate for it.
fn gate(dir: &Path, args: &[&str]) -> Said {
    if !dir.join("cluster").exists() {
        write_trust(dir);
        assert_eq!(run(dir, &["init", "--local", "1", "--trust", "trust.json", "cluster"]).code, 0);
    }
    let manifest =
        ["gate", "--manifest", "cluster/cluster.toml", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    run(dir, &[&manifest[..], args].concat())
}

#[test]
fn a_gate_that_cannot_keep_its_promise_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    let before = |args: &[&str]| gate(dir.path(), &[&["--upstream", "127.0.0.1:1"], args].concat());
    fs::create_dir(dir.path().join("open")).unwrap();
    fs::set_permissions(dir.path().join("open"), fs::Permissions::from_mode(0o777)).unwrap();
    refused(&before(&["--state", "open"]), 1, "others can write into the state directory");
    fs::create_dir(dir.path().join("damaged")).unwrap();
    fs::write(dir.path().join("damaged/fence"), "term 7").unwrap();
    let damaged = before(&["--state", "damaged"]);
    refused(&damaged, 1, "is damaged");
    assert!(damaged.err.contains("move damaged away whole"), "{}", damaged.err);
    fs::create_dir(dir.path().join("lost")).unwrap();
    fs::write(dir.path().join("lost/lock"), "").unwrap();
    refused(&before(&["--state", "lost"]), 1, "is missing, though this directory was in use");
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap().to_string();
    let taken =
        ["gate", "--manifest", "cluster/cluster.toml", "--upstream", "127.0.0.1:1", "--state", "taken"];
    refused(&run(dir.path(), &[&taken[..], &["--listen", &address]].concat()), 1, "cannot listen at");
    refused(&gate(dir.path(), &["--upstream", "tls://a:1", "--state", "s"]), 1, "is a proxy of ours");
    let exposed =
        ["gate", "--manifest", "cluster/cluster.toml", "--listen", "127.0.0.1:0", "--upstream", "a:1"];
    let exposed = run(dir.path(), &[&exposed[..], &["--state", "s", "--admin", "0.0.0.0:0"]].concat());
    refused(&exposed, 1, "can be reached from other machines");
}

#[test]
fn wrong_usage_of_a_gate_is_exit_2() {
    let dir = tempfile::tempdir().unwrap();
    for (args, what) in [
        (&["gate", "--state", "s"][..], "--listen <HOST:PORT>"),
        (&["gate", "--state", "s", "--drained", "x"], "invalid value"),
        (&["gate", "--state", "s", "--drained", "7", "--listen", "a:1"], "cannot be used with"),
        (
            &["gate", "--state", "s", "--listen", "a:1", "--upstream", "b:2", "--manifest", "none.toml"],
            "none.toml",
        ),
        (
            &["gate", "--state", "s", "--listen", "a:1", "--upstream", "b:2"],
            "--allow-open says that you let him in",
        ),
        (&["gate", "--state", "s", "--listen", "a:1", "--upstream", "b:2", "--trust", "t"], "--allow-open"),
        (
            &["gate", "--state", "s", "--listen", "a:1", "--upstream", "b:2", "--trust", "t", "--allow-open"],
            "could not read t",
        ),
        (&["connect", "--gate", "a:1", "--local", "b:2"], "--state <DIR>"),
        (&["connect", "--gate", "a:1", "--local", "b:2", "--state", "none"], "there is no none/key"),
        (&["connect", "--gate", "a:1", "--local", "b:2", "--state", "s", "--gate-key", "9"], "hexadecimal"),
    ] {
        let said = run(dir.path(), args);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{args:?}: {}", said.err);
        assert!(said.err.contains(what), "{args:?}: {}", said.err);
    }
}

#[test]
fn a_local_port_is_on_this_machine_unless_its_danger_is_named() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(run(dir.path(), &["keygen", "--state", "node"]).code, 0);
    let exposed = run(dir.path(), &["connect", "--gate", "a:1", "--local", "0.0.0.0:0", "--state", "node"]);
    refused(&exposed, 1, "--danger-open");
}

#[test]
fn an_operators_word_is_left_where_a_gate_that_admitted_that_term_finds_it() {
    let dir = tempfile::tempdir().unwrap();
    let (state, cluster) = (dir.path().join("state"), ClusterId([5; 16]));
    let say = |term: &str, state: &str| run(dir.path(), &["gate", "--drained", term, "--state", state]);
    refused(&say("7", "none"), 1, "none is no gate's state directory");
    let mut gate = FenceState::open(&state, cluster).unwrap();
    gate.save(Record { term: Term(7), open: true, ..Record::newborn(cluster) }).unwrap();
    refused(&say("8", "state"), 1, "admitted term 7 last");
    assert!(!state.join("drained").exists());
    let left = say("7", "state");
    assert!(left.code == 0 && left.err.contains("noted for term 7"), "{}", left.err);
    assert_eq!(fs::read_to_string(state.join("drained")).unwrap(), "7\n");
    fs::write(state.join("fence"), "term 7").unwrap();
    refused(&say("7", "state"), 1, "is damaged");
}
