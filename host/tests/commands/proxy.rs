//! `nitro-elect proxy`: what it refuses, and what it reads from the environment.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;

use crate::{program, refused, run};

const ENCLAVE: [&str; 2] = ["--enclave", "vsock://16:5005"];

fn proxy(dir: &Path, args: &[&str]) -> crate::Said {
    run(dir, &[&["proxy"], args].concat())
}

#[test]
fn what_it_cannot_serve_is_refused_with_a_way_on() {
    let dir = tempfile::tempdir().unwrap();
    let with = |args: &[&str]| proxy(dir.path(), &[&ENCLAVE[..], args].concat());
    refused(&with(&["--listen", "tls://127.0.0.1:0"]), 1, "name the manifest whose voters it serves");
    refused(&with(&["--listen", "tcp://0.0.0.0:0"]), 1, "--danger-open");
    let exposed = ["--listen", "tcp://127.0.0.1:0", "--admin", "0.0.0.0:0"];
    refused(&with(&exposed), 1, "can be reached from other machines");
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap().to_string();
    refused(&with(&["--listen", &address]), 1, "is in use");
    refused(&with(&["--listen", "tcp://127.0.0.1:0", "--admin", &address]), 1, "another port with --admin");
    let behind = ["--listen", "tcp://127.0.0.1:0", "--enclave", "tls://127.0.0.1:5443"];
    refused(&proxy(dir.path(), &behind), 1, "name the enclave with --enclave");
    let missing = ["--listen", "tls://127.0.0.1:0", "--manifest", "none.toml"];
    refused(&with(&missing), 2, "none.toml");
}

#[test]
fn wrong_usage_is_exit_2_and_says_what_is_right() {
    let dir = tempfile::tempdir().unwrap();
    for (args, what) in [
        (&["--listen", "tcp://127.0.0.1:0"][..], "--enclave <ENDPOINT>"),
        (
            &["--listen", "http://a:1", "--enclave", "vsock://16:5005"],
            "use tcp://, tls://, vsock:// or unix://",
        ),
        (&["--listen", "tcp://127.0.0.1:0", "--enclave", "vsock://16"], "vsock://16"),
        (&["--listen", "tcp://127.0.0.1:0", "--enclave", "unix://a?port=x"], "port"),
        (&["--listen", "tcp://127.0.0.1:0", "--enclave", "vsock://16:5005", "--admin", "9"], "HOST:PORT"),
    ] {
        let said = proxy(dir.path(), args);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{args:?}");
        assert!(said.err.contains(what), "{args:?}: {}", said.err);
    }
}

#[test]
fn flags_can_come_from_the_environment_but_for_those_that_give_something_up() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = program(dir.path(), &["proxy", "--danger-open"]);
    command
        .env("NITRO_ELECT_PROXY_LISTEN", "tcp://0.0.0.0:0")
        .env("NITRO_ELECT_PROXY_ENCLAVE", "unix://no-enclave")
        .env("NITRO_ELECT_PROXY_ADMIN", "127.0.0.1:0")
        .env("NITRO_ELECT_LOG_FORMAT", "json");
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        said += &line.unwrap();
        if said.contains("listening at") {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(said.contains("proxy before the enclave at unix://no-enclave"), "{said}");
    assert!(said.contains("listening at tcp://0.0.0.0:") && said.contains("at http://127.0.0.1:"), "{said}");
    assert!(said.starts_with('{'), "{said}");

    let mut command =
        program(dir.path(), &["proxy", "--listen", "tls://127.0.0.1:0", "--enclave", "vsock://16:1"]);
    let said = crate::said(command.env("NITRO_ELECT_PROXY_MANIFEST", "a.toml,b.toml").output().unwrap());
    refused(&said, 2, "a.toml");
}
