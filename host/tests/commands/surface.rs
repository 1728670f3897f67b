//! What every command owes its user: help with examples and exit codes, a version, colours only where wanted.

use crate::{program, run, said};

/// Every command and group.
const COMMANDS: [&[&str]; 22] = [
    &[],
    &["keygen"],
    &["manifest"],
    &["manifest", "new"],
    &["manifest", "check"],
    &["manifest", "digest"],
    &["init"],
    &["proxy"],
    &["gate"],
    &["connect"],
    &["verify"],
    &["status"],
    &["watch"],
    &["resign"],
    &["drain"],
    &["undrain"],
    &["attestation"],
    &["attestation", "show"],
    &["attestation", "verify"],
    &["eif"],
    &["eif", "build"],
    &["eif", "show"],
];

#[test]
fn every_command_and_group_has_help_with_examples() {
    let dir = tempfile::tempdir().unwrap();
    for command in COMMANDS.into_iter().chain([&["simulate-enclave"][..]]) {
        let help = run(dir.path(), &[command, &["--help"]].concat());
        assert_eq!(help.code, 0, "{command:?}");
        assert!(
            help.out.contains("Examples:\n") && help.out.contains("\n  nitro-elect "),
            "{command:?}: {}",
            help.out
        );
        let is_group = [&["manifest"][..], &["attestation"], &["eif"]].contains(&command);
        assert!(is_group || help.out.contains("Exit codes:"), "{command:?}: {}", help.out);
    }
}

#[test]
fn bash_completes_commands_and_flags_by_the_script() {
    let dir = tempfile::tempdir().unwrap();
    let script = run(dir.path(), &["completions", "bash"]);
    assert_eq!(script.code, 0, "{}", script.err);
    std::fs::write(dir.path().join("script"), &script.out).unwrap();
    let complete = |words: &str, last: usize| {
        let line = format!(
            "source ./script; COMP_WORDS=(nitro-elect {words}); COMP_CWORD={last}; \
             _nitro__elect nitro-elect \"${{COMP_WORDS[$COMP_CWORD]}}\"; echo \"${{COMPREPLY[@]}}\""
        );
        let mut bash = std::process::Command::new("bash");
        said(bash.current_dir(dir.path()).args(["-c", &line]).output().unwrap()).out
    };
    assert_eq!(complete("prox", 1).trim(), "proxy");
    assert_eq!(complete("proxy --enc", 2).trim(), "--enclave");
    assert_eq!(run(dir.path(), &["completions", "tcsh"]).code, 2);
}

#[test]
fn a_variable_stands_for_its_flag_and_the_flag_on_the_line_wins() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = program(dir.path(), &["node", "-p", "1", "--state", "state"]);
    let absent = said(command.env("NITRO_ELECT_TRUST", "absent.json").output().unwrap());
    assert!(absent.code == 2 && absent.err.contains("absent.json"), "{}", absent.err);
    let mut command = program(dir.path(), &["node", "-p", "1", "--state", "state", "--trust", "other.json"]);
    let other = said(command.env("NITRO_ELECT_TRUST", "absent.json").output().unwrap());
    assert!(other.code == 2 && other.err.contains("other.json"), "{}", other.err);
}

#[test]
fn the_version_names_the_protocol_and_the_build() {
    let dir = tempfile::tempdir().unwrap();
    let version = run(dir.path(), &["--version"]);
    assert_eq!(version.code, 0);
    assert!(version.out.starts_with(concat!("nitro-elect ", env!("CARGO_PKG_VERSION"), " (protocol 1, ")));
    assert!(version.out.contains(" build, "), "{}", version.out);
}

#[test]
fn wrong_usage_is_exit_2_on_standard_error() {
    let dir = tempfile::tempdir().unwrap();
    for line in [&["nonsense"][..], &[], &["keygen"], &["keygen", "--stat", "x"], &["manifest"]] {
        let said = run(dir.path(), line);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{line:?}");
        assert!(!said.err.is_empty(), "{line:?}");
    }
}

#[test]
fn a_reader_that_leaves_early_is_no_failure_and_a_full_disk_is_one() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), &["keygen", "--state", "node"]);
    let into = |redirection: &str, state: &str| {
        let program = env!("CARGO_BIN_EXE_nitro-elect");
        let script = format!("{program} keygen --state {state} {redirection}");
        let mut shell = std::process::Command::new("bash");
        said(shell.current_dir(dir.path()).args(["-c", &script]).output().unwrap())
    };
    let closed = into("2>/dev/null | true; exit ${PIPESTATUS[0]}", "closed");
    assert_eq!(closed.code, 0, "{}", closed.err);
    let full = into(">/dev/full", "full");
    assert!(full.code == 1 && full.err.contains("standard output"), "{}", full.err);
}

#[test]
fn colours_are_for_terminals_alone() {
    let dir = tempfile::tempdir().unwrap();
    for no_color in ["", "1"] {
        let mut command = program(dir.path(), &["manifest", "check", "none"]);
        let said = said(command.env("NO_COLOR", no_color).output().unwrap());
        assert!(!said.err.contains('\x1b') && said.err.starts_with("error: "), "{}", said.err);
    }
}
