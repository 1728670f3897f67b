//! `nitro-elect simulate-enclave`.

use nitro_elect::trust_file;
use nitro_elect_protocol::attestation::{NonceCheck, When, verify_enclave};
use nitro_elect_protocol::enclave_api::{Request, Response};
use nitro_elect_protocol::peer::{open_envelope, seal_envelope};
use nitro_elect_protocol::time::Wall;
use nitro_elect_protocol::trust::Trust;
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::{program, refused, run};

/// A running enclave, ended when dropped.
struct Enclave {
    child: Child,
    ready: Value,
}

impl Drop for Enclave {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts one on a free port and waits for the line that says it is ready.
fn start(dir: &Path, more: &[&str]) -> Enclave {
    let mut command = program(dir, &["simulate-enclave", "--json"]);
    ready(command.args(more))
}

fn ready(command: &mut Command) -> Enclave {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ready = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
    Enclave { child, ready }
}

const ANY_PORT: [&str; 2] = ["--listen", "tcp://127.0.0.1:0"];

impl Enclave {
    /// Asks it one thing.
    fn ask(&self, request: &Request) -> Response {
        let address = self.ready["listen"].as_str().unwrap().strip_prefix("tcp://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        let bytes = seal_envelope(request);
        stream.write_all(&u32::try_from(bytes.len()).unwrap().to_be_bytes()).unwrap();
        stream.write_all(&bytes).unwrap();
        let mut length = [0; 4];
        stream.read_exact(&mut length).unwrap();
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut answer).unwrap();
        open_envelope(&answer).unwrap()
    }

    /// Its attestation document.
    fn document(&self, nonce: &[u8]) -> Vec<u8> {
        match self.ask(&Request::Attest { nonce: Some(serde_bytes::ByteBuf::from(nonce)) }) {
            Response::Attestation { document } => document,
            other => panic!("{other:?}"),
        }
    }

    /// Whether a trust section accepts it, live.
    fn is_accepted_by(&self, trust: &Trust) -> bool {
        let nonce = [7; 32];
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let when = When::Live { now: Wall(u64::try_from(now).unwrap()) };
        verify_enclave(&self.document(&nonce), trust, None, NonceCheck::Sent(&nonce), when).is_ok()
    }
}

#[test]
fn it_serves_and_its_trust_file_accepts_it_and_calls_it_simulated() {
    let dir = tempfile::tempdir().unwrap();
    let enclave = start(dir.path(), &[&ANY_PORT[..], &["--trust-out", "trust.json"]].concat());
    assert_eq!((&enclave.ready["event"], &enclave.ready["simulated"]), (&"ready".into(), &true.into()));
    let trust = trust_file::load(&dir.path().join("trust.json")).unwrap();
    assert!(enclave.is_accepted_by(&trust));
    assert!(fs::read_to_string(dir.path().join("trust.json")).unwrap().contains("\"simulated\": true"));
}

#[test]
fn each_start_has_a_root_of_its_own_unless_one_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let flags = |trust| [&ANY_PORT[..], &["--trust-out", trust, "--pki", "pki.pem"]].concat();
    let first = start(dir.path(), &flags("trust.json"));
    assert_eq!(fs::metadata(dir.path().join("pki.pem")).unwrap().permissions().mode() & 0o777, 0o600);
    let trust = trust_file::load(&dir.path().join("trust.json")).unwrap();
    let second = start(dir.path(), &flags("second.json"));
    assert!(first.is_accepted_by(&trust) && second.is_accepted_by(&trust));
    assert_ne!(first.ready["enclave"], second.ready["enclave"], "the keys are new");
    let stranger = start(dir.path(), &[&ANY_PORT[..], &["--trust-out", "third.json"]].concat());
    assert!(!stranger.is_accepted_by(&trust));
}

#[test]
fn a_port_in_use_is_an_error_and_leaves_the_trust_file_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let enclave = start(dir.path(), &[&ANY_PORT[..], &["--trust-out", "trust.json"]].concat());
    let before = fs::read(dir.path().join("trust.json")).unwrap();
    let listen = enclave.ready["listen"].as_str().unwrap();
    let said = run(dir.path(), &["simulate-enclave", "--listen", listen, "--trust-out", "trust.json"]);
    refused(&said, 1, "is in use");
    assert_eq!(fs::read(dir.path().join("trust.json")).unwrap(), before);
}

#[test]
fn it_stops_when_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let mut enclave = start(dir.path(), &["--listen", "unix://enclave.sock", "--trust-out", "trust.json"]);
    let pid = enclave.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(enclave.child.wait().unwrap().code(), Some(0));
    assert!(!dir.path().join("enclave.sock").exists());
}

#[test]
fn what_it_prints_for_people_says_simulated() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = program(dir.path(), &["simulate-enclave", "--trust-out", "trust.json"]);
    let mut child = command.args(ANY_PORT).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (first, second) = (lines.next().unwrap().unwrap(), lines.next().unwrap().unwrap());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(first.starts_with("SIMULATED enclave ") && first.contains("serves tcp://127.0.0.1:"), "{first}");
    assert!(second.contains("trust.json"), "{second}");
}

#[test]
fn the_default_trust_file_goes_into_a_directory_of_the_users_own() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = program(dir.path(), &["simulate-enclave", "--json"]);
    let enclave = ready(command.args(ANY_PORT).env("XDG_STATE_HOME", dir.path().join("state")));
    let path = dir.path().join("state/nitro-elect/simulated/trust.json");
    assert_eq!(enclave.ready["trust"], path.to_str().unwrap());
    assert!(enclave.is_accepted_by(&trust_file::load(&path).unwrap()));
    let mode = fs::metadata(path.parent().unwrap()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn what_it_cannot_serve_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let simulate =
        |args: &[&str]| run(dir.path(), &[&["simulate-enclave", "--trust-out", "t.json"], args].concat());
    refused(&simulate(&["--listen", "tls://127.0.0.1:0"]), 2, "plain frames");
    refused(&simulate(&["--listen", "tcp://0.0.0.0:0"]), 1, "--danger-open");
    assert_eq!(simulate(&["--listen", "nonsense"]).code, 2);
    fs::write(dir.path().join("pki.pem"), "hello").unwrap();
    fs::set_permissions(dir.path().join("pki.pem"), fs::Permissions::from_mode(0o600)).unwrap();
    refused(&simulate(&["--listen", "tcp://127.0.0.1:0", "--pki", "pki.pem"]), 1, "pki.pem");
    let nowhere =
        run(dir.path(), &["simulate-enclave", "--listen", "tcp://127.0.0.1:0", "--trust-out", "no/t.json"]);
    refused(&nowhere, 1, "could not write the trust file no/t.json");
    assert!(!dir.path().join("t.json").exists());
}
