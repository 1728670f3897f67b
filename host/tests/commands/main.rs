//! The command line as people and scripts meet it: exit codes, messages, files; the real program in directories of
//! its own.
#![allow(clippy::unwrap_used)]

mod attestation;
mod deployment;
mod eif;
mod gate;
mod init;
mod keygen;
mod log;
mod manifest;
mod proxy;
mod simulate_enclave;
mod surface;
mod voters;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// PCRs of an image that nobody has.
const PCR: &str =
    "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1";

/// The program, in a directory, with nothing of the tests' environment but what finds it a temporary one.
fn program(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nitro-elect"));
    command.current_dir(dir).env_clear().args(args);
    command
}

/// What the program said, and how it ended.
struct Said {
    code: i32,
    out: String,
    err: String,
}

fn said(output: Output) -> Said {
    Said {
        code: output.status.code().expect("it was not killed"),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn run(dir: &Path, args: &[&str]) -> Said {
    said(program(dir, args).output().unwrap())
}

/// Checks an exit code, and that there is an error with a place and a way on.
fn refused(said: &Said, code: i32, what: &str) {
    assert_eq!(said.code, code, "{}", said.err);
    assert!(said.err.starts_with("error: ") && said.err.contains("\nhelp: "), "{}", said.err);
    assert!(said.err.contains(what), "{}", said.err);
}

fn write_trust(dir: &Path) {
    let set = format!(r#"{{"PCR0": "{PCR}", "PCR1": "{PCR}", "PCR2": "{PCR}"}}"#);
    let trust = format!(r#"{{"root": "aws", "accepted": [{set}], "allow_debug": false}}"#);
    fs::write(dir.join("trust.json"), trust).unwrap();
}
