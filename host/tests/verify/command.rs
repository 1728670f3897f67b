//! `nitro-elect verify` as a script meets it: exit codes, JSON, and what stands where a person looks.

use nitro_elect::verify::Step;
use nitro_elect::{evidence_file, trust_file};
use nitro_elect_protocol::crypto::Signer;
use nitro_elect_protocol::evidence::Evidence;
use nitro_elect_protocol::ids::Nonce;
use nitro_elect_protocol::time::Wall;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use crate::world::{SOON, World, shared, world};

struct Files {
    dir: tempfile::TempDir,
}

/// A directory with the proof, the manifest and the trust file of a world.
fn files(world: &World, promises: usize) -> Files {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("proof.json"), world.proof(promises).to_text()).unwrap();
    fs::write(dir.path().join("cluster.toml"), world.manifest().to_string()).unwrap();
    fs::write(dir.path().join("trust.json"), trust_file::to_text(&world.electorate.trust)).unwrap();
    Files { dir }
}

impl Files {
    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn verify(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nitro-elect"));
        command.current_dir(self.path()).env_clear().arg("verify").args(["--proof", "proof.json"]);
        command.args(args).output().unwrap()
    }
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("it was not killed")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

const MANIFEST: [&str; 2] = ["--manifest", "cluster.toml"];

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&MANIFEST[..], more].concat()
}

#[test]
fn a_valid_proof_is_exit_0_with_every_check_and_simulated_in_plain_sight() {
    let output = files(shared(), 2).verify(&with(&["--at", &SOON.to_string(), "--allow-simulated"]));
    let text = stdout(&output);
    assert_eq!(code(&output), 0, "{text}");
    assert!(text.contains("VALID, SIMULATED") && text.contains("node-1 was elected in term 7"), "{text}");
    assert!(text.contains("as you stated with --at, not now"), "{text}");
    for number in ["1", "2", "3", "4.1", "4.19", "5", "12"] {
        assert!(
            text.lines().any(|line| line.trim_start().starts_with(&format!("{number}  OK"))),
            "{number}: {text}"
        );
    }
    assert!(!text.contains('\x1b'), "no colours into a pipe");
}

#[test]
fn less_assurance_is_exit_3_and_says_how_to_accept_it() {
    let output = files(shared(), 2).verify(&with(&["--at", &SOON.to_string()]));
    assert_eq!(code(&output), 3);
    assert!(stdout(&output).contains("LESS ASSURANCE THAN ASKED FOR, SIMULATED"), "{}", stdout(&output));
    assert!(stdout(&output).contains("--allow-simulated"));
}

#[test]
fn nothing_in_the_environment_lowers_the_demand() {
    let files = files(shared(), 2);
    let mut command = Command::new(env!("CARGO_BIN_EXE_nitro-elect"));
    command.current_dir(files.path()).args(["verify", "--proof", "proof.json", "--manifest", "cluster.toml"]);
    command.args(["--at", &SOON.to_string()]).env("NITRO_ELECT_ALLOW_SIMULATED", "true");
    assert_eq!(code(&command.output().unwrap()), 3);
}

#[test]
fn without_a_time_the_present_counts() {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = Wall(u64::try_from(since_1970.as_millis()).unwrap());
    let old = now - Duration::from_secs(30 * 24 * 3600);
    for (made, promises, expected, what) in [
        (now, 0, 0, "attested now"),
        (old, 2, 0, "VOUCHED FOR by 2 voters"),
        (old, 1, 1, "expired: not vouched for (1 of 2"),
    ] {
        let files = files(shared(), promises);
        fs::write(files.path().join("proof.json"), shared().proof_made(made, promises).to_text()).unwrap();
        let output = files.verify(&with(&["--allow-simulated"]));
        assert_eq!(code(&output), expected, "{}", stdout(&output));
        assert!(stdout(&output).contains(what), "{}", stdout(&output));
    }
}

#[test]
fn an_invalid_proof_is_exit_1_and_names_the_check() {
    let other = crate::world::world();
    let files = files(shared(), 2);
    fs::write(files.path().join("cluster.toml"), other.manifest().to_string()).unwrap();
    let output = files.verify(&with(&["--at", &SOON.to_string(), "--allow-simulated"]));
    assert_eq!(code(&output), 1);
    let text = stdout(&output);
    assert!(text.contains("3  FAILED") && text.contains("INVALID: it proves nothing"), "{text}");
    assert!(text.contains("4.1  not made"), "{text}");
}

#[test]
fn what_cannot_be_read_is_exit_2_with_its_place_and_what_to_do() {
    let files = files(shared(), 2);
    let proof = fs::read_to_string(files.path().join("proof.json")).unwrap();
    fs::write(files.path().join("proof.json"), proof.replace("\"promises\"", "\"promise\"")).unwrap();
    let output = files.verify(&with(&[]));
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).starts_with("error: proof proof.json: unknown field"), "{}", stderr(&output));
    assert!(stderr(&output).contains("\nhelp: "), "{}", stderr(&output));
    fs::remove_file(files.path().join("proof.json")).unwrap();
    assert_eq!(code(&files.verify(&with(&[]))), 2);
}

#[test]
fn a_faulty_manifest_is_exit_2_with_its_lines() {
    let files = files(shared(), 2);
    let manifest = fs::read_to_string(files.path().join("cluster.toml")).unwrap();
    fs::write(files.path().join("cluster.toml"), manifest.replace("\"1s\"", "\"0s\"")).unwrap();
    let output = files.verify(&with(&[]));
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("cluster.toml:12: a lease of 0 ms"), "{}", stderr(&output));
}

#[test]
fn wrong_usage_is_exit_2() {
    let files = files(shared(), 2);
    assert_eq!(code(&files.verify(&with(&["--at", "yesterday"]))), 2);
    assert_eq!(code(&files.verify(&with(&["--trust", "trust.json"]))), 2);
    let output = files.verify(&[]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("add --manifest"), "{}", stderr(&output));
}

#[test]
fn an_open_clusters_proof_needs_its_flag_and_the_verifiers_own_trust_file() {
    let world = World::opened();
    let files = files(&world, 0);
    let at = SOON.to_string();
    let trusting = ["--trust", "trust.json", "--at", &at];
    let output = files.verify(&[&trusting[..], &["--allow-open"]].concat());
    assert_eq!(code(&output), 0, "{}", stdout(&output));
    assert!(stdout(&output).contains("VALID, OPEN: anybody may be a voter"), "{}", stdout(&output));
    assert_eq!(code(&files.verify(&[&trusting[..], &["--allow-simulated"]].concat())), 3);
    let output = files.verify(&["--allow-open"]);
    assert_eq!(code(&output), 2, "without a home directory there is no default trust file");
    assert!(stderr(&output).contains("HOME"), "{}", stderr(&output));
}

#[test]
fn json_says_the_same() {
    let files = files(shared(), 2);
    let output = files.verify(&with(&["--at", &SOON.to_string(), "--allow-simulated", "--json"]));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (code(&output), &report["verdict"], &report["assurance"]),
        (0, &"valid".into(), &"simulated".into())
    );
    assert_eq!(report["checked_at_is_callers_word"], true);
    assert_eq!(report["checks"].as_array().unwrap().len(), Step::all().count());
    assert_eq!(report["certificate"]["term"], 7);
    assert_eq!(report["certificate"]["leader"]["name"], "node-1");
    fs::write(files.path().join("cluster.toml"), crate::world::world().manifest().to_string()).unwrap();
    let output = files.verify(&with(&["--json"]));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (code(&output), &report["verdict"], &report["certificate"]),
        (1, &"invalid".into(), &Value::Null)
    );
}

#[test]
fn a_proof_can_come_through_a_pipe() {
    let files = files(shared(), 2);
    let script = format!(
        "cat proof.json | {} verify --proof /dev/stdin --manifest cluster.toml --at {SOON} --allow-simulated",
        env!("CARGO_BIN_EXE_nitro-elect")
    );
    let output = Command::new("sh").current_dir(files.path()).args(["-c", &script]).output().unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
}

#[test]
fn a_lease_is_verified_with_the_callers_own_nonce() {
    let files = files(shared(), 2);
    let nonces = vec![Nonce([1; 32]), Nonce([2; 32])];
    fs::write(files.path().join("proof.json"), shared().lease_proof(3, nonces).to_text()).unwrap();
    let at = SOON.to_string();
    let verify = |nonce: &str| files.verify(&with(&["--at", &at, "--allow-simulated", "--nonce", nonce]));
    let mine = verify(&"02".repeat(32));
    let concluded = "was elected in term 7, and the lease holds until 980 ms after you drew the nonce.";
    assert!(code(&mine) == 0 && stdout(&mine).contains(concluded), "{}", stdout(&mine));
    let other = verify(&"07".repeat(32));
    assert!(code(&other) == 1 && stdout(&other).contains("11  FAILED"), "{}", stdout(&other));
    assert_eq!(code(&verify("02")), 2);
}

#[test]
fn evidence_names_the_voter_that_signed_twice_and_accuses_nobody_else() {
    let files = files(shared(), 2);
    let evidence = |pieces: &[Evidence], more: &[&str]| {
        fs::write(files.path().join("evidence.json"), evidence_file::to_text(pieces)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_nitro-elect"));
        command.current_dir(files.path()).env_clear().args(["verify", "--evidence", "evidence.json"]);
        command.args(MANIFEST).args(more).output().unwrap()
    };
    let proven = evidence(&[shared().equivocation(2)], &[]);
    let name = shared().electorate.voter(&shared().voters[2].id()).unwrap().name.clone();
    assert_eq!(code(&proven), 0, "{}", stderr(&proven));
    for text in ["PROVEN", &name, "two views for term 7", "eligibility", "EQUIVOCATION"] {
        assert!(stdout(&proven).contains(text), "{text}: {}", stdout(&proven));
    }
    let honest = shared().equivocation(1);
    let same = Evidence { second: honest.first.clone(), ..honest };
    let unproven = evidence(&[shared().equivocation(2), same], &["--json"]);
    let value: Value = serde_json::from_str(&stdout(&unproven)).unwrap();
    assert_eq!((code(&unproven), &value["proven"]), (1, &Value::from(1)));
    assert_eq!(value["evidence"][1]["proven"], false);
    assert_eq!(code(&evidence(&[], &[])), 1);
    assert_eq!(code(&evidence(&[world().equivocation(2)], &[])), 0, "the same voters and cluster");
}
