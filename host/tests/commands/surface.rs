//! What every command owes its user: help with examples that work and exit codes, JSON, a version, colours only where
//! wanted. The commands are those of the program's own parser, so none is forgotten.

use crate::{program, refused, run, said};
use clap::Command;
use nitro_elect::cli::line;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::fd::FromRawFd;
use std::path::Path;
use std::process::Stdio;
use std::ptr::{null, null_mut};

/// Commands whose result is no value: they run until they are told to stop, or write what another program reads.
const WITHOUT_JSON: [&str; 8] =
    ["node", "proxy", "simulate-enclave", "gate", "connect", "exec", "completions", "log export"];

/// What fits between the margins of help.
const WIDEST: usize = 100;

/// Every command and group that people see, with the words that lead to it, the program itself first.
fn commands() -> Vec<(Vec<String>, Command)> {
    fn walk(command: &Command, path: &[String], found: &mut Vec<(Vec<String>, Command)>) {
        found.push((path.to_vec(), command.clone()));
        let shown = |inner: &&Command| inner.get_name() != "help" && !inner.is_hide_set();
        for inner in command.get_subcommands().filter(shown) {
            walk(inner, &[path, &[inner.get_name().to_owned()]].concat(), found);
        }
    }
    let mut line = line();
    line.build();
    let mut found = Vec::new();
    walk(&line, &[], &mut found);
    found
}

/// Whether a command does something itself: a group only has commands.
fn does_something(command: &Command) -> bool {
    !command.is_subcommand_required_set()
}

fn after_help(command: &Command) -> String {
    command.get_after_help().map(ToString::to_string).unwrap_or_default()
}

#[test]
fn every_command_and_group_has_help_with_examples_and_every_command_its_exit_codes() {
    let dir = tempfile::tempdir().unwrap();
    for (path, command) in commands() {
        let words: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
        let help = run(dir.path(), &words);
        assert_eq!((help.code, help.err.as_str()), (0, ""), "{path:?}");
        assert!(
            help.out.contains("Examples:\n") && help.out.contains("\n  nitro-elect "),
            "{path:?}: {}",
            help.out
        );
        let documented = help.out.contains("Exit codes:");
        assert!(documented || !does_something(&command), "{path:?}: {}", help.out);
        let widest = help.out.lines().map(|line| line.chars().count()).max().unwrap_or_default();
        assert!(widest <= 160, "{path:?} has a line of {widest} characters");
        let text = after_help(&command);
        let broken = text.lines().find(|line| line.chars().count() > WIDEST);
        assert_eq!(broken, None, "{path:?}: longer than {WIDEST} characters, so help breaks it anywhere");
    }
}

#[test]
fn every_flag_and_argument_says_what_it_is() {
    for (path, command) in commands() {
        for arg in command.get_arguments() {
            assert!(arg.get_help().is_some(), "{path:?} {}", arg.get_id());
        }
        assert!(command.get_about().is_some(), "{path:?}");
    }
}

#[test]
fn every_command_with_a_result_has_it_as_json() {
    for (path, command) in commands().into_iter().filter(|(path, command)| {
        !path.is_empty() && does_something(command) && !WITHOUT_JSON.contains(&path.join(" ").as_str())
    }) {
        let has = command.get_arguments().any(|arg| arg.get_long() == Some("json"));
        assert!(has, "{path:?} has no --json");
    }
}

#[test]
fn an_unknown_flag_is_named_by_every_command_with_a_way_on() {
    for (path, _) in commands() {
        let words =
            ["nitro-elect".to_owned()].into_iter().chain(path.clone()).chain(["--no-such-flag".to_owned()]);
        let error = line().try_get_matches_from(words).unwrap_err();
        let text = error.to_string();
        assert!(error.use_stderr() && text.contains("'--no-such-flag'"), "{path:?}: {text}");
        assert!(text.contains("--help"), "{path:?}: {text}");
    }
}

/// What stands in examples for a value that nobody wants to read.
fn filled_in(line: &str) -> String {
    let (nonce, pcr) = ("ab".repeat(32), "cd".repeat(48));
    let stand_ins = [
        ("$nonce", nonce.as_str()),
        ("--nonce HEX", &format!("--nonce {nonce}")),
        ("--pcr0 HEX", &format!("--pcr0 {pcr}")),
        ("=KEY", &format!("={OTHER_KEY}")),
        ("--drained TERM", "--drained 7"),
        ("-key KEY", &format!("-key {OTHER_KEY}")),
    ];
    stand_ins.iter().fold(line.to_owned(), |line, (name, value)| line.replace(name, value))
}

/// The words of a shell line up to the end of its first command.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in filled_in(line).chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '|' | '>' | '<' | '&' | ';' | '#') => break,
            (None, ' ') => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// The public key of RFC 8032's first test.
const OTHER_KEY: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

/// Whether the parser takes a line; one that asks for help or the version is taken too.
fn parses(text: &str) -> Result<(), String> {
    match line().try_get_matches_from(words(text)) {
        Err(error) if error.use_stderr() => Err(format!("{text}\n{error}")),
        _ => Ok(()),
    }
}

#[test]
fn every_example_in_every_help_is_a_line_that_the_program_takes() {
    let mut tried = 0;
    for (path, command) in commands() {
        let help = after_help(&command).replace("\\\n", " ");
        let (_, examples) = help.split_once("Examples:\n").expect("another test demands them");
        let examples = examples.split("\nExit codes").next().unwrap_or_default();
        let lines = examples.lines().map(str::trim).filter(|line| line.starts_with("nitro-elect "));
        for line in lines {
            parses(line).unwrap_or_else(|error| panic!("{path:?}: {error}"));
            tried += 1;
        }
    }
    assert!(tried >= commands().len(), "{tried} examples");
}

#[test]
fn every_line_of_the_documents_is_one_that_the_program_takes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let pages = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = pages.filter(|path| path.extension().is_some_and(|ending| ending == "md"));
    let mut tried = 0;
    for page in pages.chain([root.join("README.md")]) {
        let text = fs::read_to_string(&page).unwrap().replace("\\\n", " ");
        for block in text.split("```").skip(1).step_by(2).filter(|block| block.starts_with("sh\n")) {
            for line in block.lines().map(str::trim).filter(|line| line.starts_with("nitro-elect ")) {
                parses(line).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
                tried += 1;
            }
        }
    }
    assert!(tried > 10, "{tried} lines");
}

#[test]
fn a_variable_for_a_groups_own_flag_does_not_get_in_its_commands_way() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = program(dir.path(), &["log", "verify", "absent.jsonl", "--manifest", "absent.toml"]);
    let said =
        said(command.env("NITRO_ELECT_STATE", "state").env("NITRO_ELECT_SINCE", "3").output().unwrap());
    assert!(said.code == 2 && said.err.contains("absent.toml"), "{}", said.err);
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
    for (words, last) in [("''", 1), ("help ''", 2)] {
        let offered = complete(words, last);
        assert!(offered.contains("resign") && !offered.contains("runner"), "not for people: {offered}");
    }
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
    let expected = match option_env!("NITRO_ELECT_BUILD") {
        None | Some("") => "development",
        Some(build) => build,
    };
    let line = format!("nitro-elect {} (protocol 1, build {expected})\n", env!("CARGO_PKG_VERSION"));
    assert_eq!((version.code, version.out), (0, line));
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
fn an_admin_address_that_is_something_else_is_told_in_words_with_a_way_on() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let other = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        assert!(stream.read(&mut [0; 4096]).unwrap() > 0, "the question came");
        stream.write_all(b"-ERR unknown command\r\n").unwrap();
    });
    let said = run(dir.path(), &["drain", "--admin", &address]);
    refused(&said, 1, "does not speak HTTP");
    assert!(said.err.contains("name a node's admin address with --admin"), "{}", said.err);
    other.join().unwrap();
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

/// What a command writes to standard error when that is a terminal.
fn on_a_terminal(dir: &Path, args: &[&str], no_color: Option<&str>) -> String {
    let (mut ours, mut theirs) = (0, 0);
    // SAFETY: two live numbers to write to; the other pointers may be null.
    let opened = unsafe { libc::openpty(&mut ours, &mut theirs, null_mut(), null(), null()) };
    assert_eq!(opened, 0);
    // SAFETY: openpty gave both descriptors to this function alone.
    let (mut ours, theirs) = unsafe { (File::from_raw_fd(ours), File::from_raw_fd(theirs)) };
    let mut command = program(dir, args);
    command.env("TERM", "xterm").stdout(Stdio::null()).stderr(theirs);
    if let Some(value) = no_color {
        command.env("NO_COLOR", value);
    }
    command.status().unwrap();
    drop(command);
    let mut text = Vec::new();
    // Linux ends a terminal that nobody holds with an error; what came before it was read.
    let _hung_up = ours.read_to_end(&mut text);
    String::from_utf8(text).unwrap()
}

#[test]
fn no_color_is_honoured_on_a_terminal_by_errors_of_the_program_and_of_its_parser() {
    let dir = tempfile::tempdir().unwrap();
    for args in [&["manifest", "check", "none"][..], &["manifest", "--no-such-flag"]] {
        let coloured = on_a_terminal(dir.path(), args, None);
        assert!(coloured.contains('\x1b'), "{coloured}");
        let plain = on_a_terminal(dir.path(), args, Some("1"));
        assert!(!plain.contains('\x1b') && plain.starts_with("error: "), "{plain}");
    }
}

#[test]
fn a_node_that_lies_does_not_steer_the_terminal_of_whoever_asks_it() {
    let dir = tempfile::tempdir().unwrap();
    let liar = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let admin = liar.local_addr().unwrap().to_string();
    let lie = serde_json::json!({ "error": "\u{1b}]0;title\u{7}\u{9b}2J" }).to_string();
    let lying = std::thread::spawn(move || {
        let (mut asker, _) = liar.accept().unwrap();
        let _head = asker.read(&mut [0; 4096]).unwrap();
        write!(asker, "HTTP/1.1 409 Conflict\r\ncontent-length: {}\r\n\r\n{lie}", lie.len()).unwrap();
    });
    let sent = on_a_terminal(dir.path(), &["resign", "--admin", &admin], None);
    lying.join().unwrap();
    assert!(sent.contains("error:") && sent.contains("]0;title"), "{sent:?}");
    assert!(!sent.contains("\x1b]") && !sent.contains(['\x07', '\u{9b}']), "{sent:?}");
}
