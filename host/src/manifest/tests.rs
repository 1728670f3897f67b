//! Manifests: round trips, digests, and every fault in its line.

use super::*;
use nitro_elect_protocol::electorate::{ElectorateFault, Voter};
use nitro_elect_protocol::ids::{ClusterId, ElectorateDigest, NodeId, Pcr};
use nitro_elect_protocol::policy::{Policy, Prefer, Rule};
use nitro_elect_protocol::trust::{PcrSet, Root, Trust, TrustFault};
use std::collections::BTreeSet;
use std::time::Duration;

fn voter(number: u8) -> Voter {
    let (name, address) = (format!("node-{number}"), format!("127.0.0.1:{}", 5000 + u16::from(number)));
    Voter { key: NodeId([number; 32]), name, address, weight: 1 }
}

fn manifest() -> Manifest {
    let set = PcrSet { pcr0: Pcr([1; 48]), pcr1: Pcr([2; 48]), pcr2: Pcr([3; 48]), pcr8: None };
    let electorate = Electorate {
        version: 1,
        cluster: ClusterId([0xc1; 16]),
        name: "test".into(),
        epoch: 1,
        previous: None,
        f: 1,
        policy: Policy::of(Rule::Priority),
        lease_ms: 1000,
        trust: Trust::new(Root::Aws, vec![set], false, Duration::from_secs(3600)),
        voters: (1..=4).map(voter).collect(),
    };
    Manifest { electorate, observers: Observers::Off }
}

/// The text of the manifest with one piece replaced, which must be there.
fn text_with(from: &str, to: &str) -> String {
    let text = manifest().to_string();
    assert!(text.contains(from), "{from:?} is not in\n{text}");
    text.replacen(from, to, 1)
}

/// The faults as a person sees them.
fn faults(text: &str) -> Vec<String> {
    let faults = Manifest::parse(text).expect_err("a faulty manifest");
    faults.iter().map(Fault::to_string).collect()
}

/// The line of the first occurrence of a piece of text.
fn line_of(text: &str, piece: &str) -> usize {
    1 + text.lines().position(|line| line.contains(piece)).expect("the piece is there")
}

/// Checks that replacing a piece gives exactly one fault, in the line of the new piece, that says `what`.
fn one_fault(from: &str, to: &str, what: &str) {
    let text = text_with(from, to);
    let found = faults(&text);
    let expected = format!("line {}: ", line_of(&text, to.lines().next().unwrap()));
    assert!(
        found.len() == 1 && found[0].starts_with(&expected) && found[0].contains(what),
        "{found:#?}\n{text}"
    );
}

#[test]
fn a_written_manifest_is_read_back_whole() {
    let keys = BTreeSet::from([NodeId([7; 32]), NodeId([8; 32])]);
    for observers in [Observers::Off, Observers::Open(16), Observers::Listed(keys)] {
        let manifest = Manifest { observers, ..manifest() };
        assert_eq!(Manifest::parse(&manifest.to_string()), Ok(manifest));
    }
}

#[test]
fn every_field_of_the_electorate_survives_writing() {
    let mut other = manifest();
    let electorate = &mut other.electorate;
    (electorate.name, electorate.epoch) = ("it's \"quoted\" \\ ☃".into(), 3);
    (electorate.previous, electorate.f) = (Some(ElectorateDigest([9; 32])), 0);
    electorate.policy = Policy { rule: Rule::Lottery, sticky: true, prefer: Prefer::Return };
    electorate.lease_ms = 1_500;
    electorate.trust.allow_debug = true;
    electorate.trust.max_age_ms = 90_000;
    electorate.trust.accepted[0].pcr8 = Some(Pcr([8; 48]));
    electorate.voters[2].weight = 70;
    assert_eq!(Manifest::parse(&other.to_string()), Ok(other));
}

#[test]
fn the_digest_depends_neither_on_order_nor_on_comments_nor_on_observers() {
    let manifest = manifest();
    let text = manifest.to_string();
    let (head, voters) = text.split_at(text.find("\n[[voter]]").unwrap());
    let (top, trust) = head.split_at(head.find("\n# Which").unwrap());
    let mut voters: Vec<&str> = voters.split("\n[[voter]]").skip(1).collect();
    voters.reverse();
    let voters: String = voters.iter().map(|voter| format!("\n[[voter]] # comment{voter}")).collect();
    let mut top: Vec<&str> = top.lines().filter(|line| !line.starts_with('#')).collect();
    top.reverse();
    let top = top.join("\n").replace("observers = \"off\"", "observers = 5");
    let shuffled = format!("# Another comment\n{top}\n{voters}\n{trust}");
    let read = Manifest::parse(&shuffled).expect("the same manifest in another order");
    assert_eq!(read.electorate.digest(), manifest.electorate.digest());
    assert_ne!(read.observers, manifest.observers);
}

#[test]
fn the_digest_depends_on_everything_else() {
    let digest = |text: &str| Manifest::parse(text).unwrap().electorate.digest();
    let changes = [
        ("cluster = \"c1", "cluster = \"c2"),
        ("\"test\"", "\"tess\""),
        ("f = 1", "f = 0"),
        ("\"priority\"", "\"rotate\""),
        ("sticky = true", "sticky = false"),
        ("\"stay\"", "\"return\""),
        ("\"1s\"", "\"2s\""),
        ("allow_debug = false", "allow_debug = true"),
        ("\"1h\"", "\"59m\""),
        ("PCR0 = \"01", "PCR0 = \"02"),
        ("\"node-1\"", "\"node-x\""),
        (":5001", ":6001"),
        ("key = \"01", "key = \"11"),
        ("weight = 1", "weight = 2"),
    ];
    let mut digests = BTreeSet::from([digest(&manifest().to_string())]);
    for (from, to) in changes {
        assert!(digests.insert(digest(&text_with(from, to))), "{from} to {to} changes nothing");
    }
}

#[test]
fn what_may_be_left_away_has_its_default() {
    let mut text = manifest().to_string();
    for line in
        ["f = 1\n", "policy = \"priority\"\n", "sticky = true\n", "prefer = \"stay\"\n", "lease = \"1s\"\n"]
    {
        text = text.replacen(line, "", 1);
    }
    for line in ["observers = \"off\"\n", "simulated = false\n", "max_age = \"1h\"\n"] {
        text = text.replacen(line, "", 1);
    }
    assert_eq!(Manifest::parse(&text.replace("weight = 1\n", "")), Ok(manifest()));
}

#[test]
fn a_policy_that_is_not_sticky_by_default_is_not() {
    let text = text_with("sticky = true\n", "").replace("priority", "highest");
    assert!(!Manifest::parse(&text).unwrap().electorate.policy.sticky);
}

#[test]
fn each_fault_of_one_line_is_found_in_its_line_alone() {
    one_fault("version = 1", "version = 2", "version 2 is not known");
    one_fault("\"test\"", "\"\"", "1 to 63 printable characters");
    one_fault("epoch = 1", "epoch = 0", "the first manifest");
    one_fault("epoch = 1", "epoch = 2", "needs previous");
    one_fault("f = 1", "f = 2", "at least 7 voters (3f + 1), but there are 4");
    one_fault("f = 1", "f = 500", "from 0 to 128");
    one_fault("\"priority\"", "\"prority\"", "one of priority, highest, rotate, lottery");
    one_fault("sticky = true", "sticky = \"yes\"", "sticky must be true or false, not a text");
    one_fault("\"stay\"", "\"go\"", "one of stay, return");
    one_fault("\"1s\"", "\"0s\"", "a lease of 0 ms");
    one_fault("\"1s\"", "\"61s\"", "a lease of 61000 ms");
    one_fault("\"1s\"", "\"soon\"", "not a span of time");
    one_fault("lease = \"1s\"", "lease = 1", "lease must be a text in quotes, not a number");
    one_fault("observers = \"off\"", "observers = \"on\"", "observers must be \"off\", a number");
    one_fault("observers = \"off\"", "observers = 0", "from 1 to 1024");
    one_fault("observers = \"off\"", "observers = [\"ab\"]", "expected 64 hexadecimal digits");
    one_fault("\"node-3\"", "\"\"", "a voter must have 1 to 63");
    one_fault("\"127.0.0.1:5003\"", "\"127.0.0.1\"", "is not an address HOST:PORT");
    one_fault("\"127.0.0.1:5003\"", "\"nowhere:0\"", "is not an address HOST:PORT");
    one_fault("weight = 1", "weight = -1", "voter.weight must be a whole number");
    let cluster = format!("\"{}\"", ClusterId([0xc1; 16]));
    one_fault(&cluster, "\"c1\"", "cluster: expected 32 hexadecimal digits");
    one_fault(&cluster, &format!("\"{}\"", ClusterId::OPEN), "an open cluster's");
}

#[test]
fn each_fault_of_the_trust_section_is_found_in_its_line() {
    one_fault("root = \"aws\"", "root = \"amazon\"", "trust.root: write \"aws\"");
    one_fault("simulated = false", "simulated = true", "but the root is AWS's");
    one_fault("allow_debug = false", "allow_debug = 0", "trust.allow_debug must be true or false");
    one_fault("\"1h\"", "\"0s\"", "max_age is zero");
    one_fault("\"1h\"", "\"4h\"", "at most 10800000 ms");
    one_fault("\"1h\"", "\"1500ms\"", "whole number of seconds");
    let pcr2 = format!("PCR2 = \"{}\"", Pcr([3; 48]));
    one_fault(&pcr2, &format!("PCR2 = \"{}\"", Pcr([0; 48])), "PCR2 of accepted set 1 is zero");
    one_fault(&pcr2, "PCR2 = \"03\"", "trust.accepted.PCR2: expected 96");
    one_fault("PCR1 =", "PCR3 = 1\nPCR1 =", "trust.accepted.PCR3 is not known here");
}

#[test]
fn what_collides_is_found_at_the_later_of_the_two() {
    let key = |number| format!("key = \"{}\"", NodeId([number; 32]));
    let text = text_with(&key(4), &key(2));
    let later = 1 + text.lines().enumerate().filter(|(_, line)| **line == key(2)).last().unwrap().0;
    assert_eq!(faults(&text), [format!("line {later}: voters node-2 and node-4 have the same public key")]);
    // Sorted by key, node-1 comes before node-3, whatever the file says.
    let text = text_with(":5003", ":5001");
    let later = line_of(&text, "\"node-3\"") + 1;
    let expected = format!("line {later}: voters node-1 and node-3 have the same address 127.0.0.1:5001");
    assert_eq!(faults(&text), [expected]);
    let text = text_with("\"node-3\"", "\"node-2\"");
    let later =
        1 + text.lines().enumerate().filter(|(_, line)| line.contains("\"node-2\"")).last().unwrap().0;
    assert_eq!(faults(&text), [format!("line {later}: two voters are named node-2")]);
}

#[test]
fn an_accepted_set_given_twice_and_a_root_that_contradicts_are_found() {
    let text = manifest().to_string();
    let set = &text[text.find("\n[[trust.accepted]]").unwrap()..text.find("\n[[voter]]").unwrap()];
    let doubled = text.replacen(set, &format!("{set}{set}"), 1);
    let later =
        1 + doubled.lines().enumerate().filter(|(_, line)| line.contains("[[trust.acc")).last().unwrap().0;
    let [fault] = &Manifest::parse(&doubled).unwrap_err()[..] else { panic!("one fault") };
    let unordered = FaultKind::Electorate(ElectorateFault::Trust(TrustFault::Unordered { set: 2 }));
    assert_eq!((fault.line, &fault.what), (later, &unordered));
    let first = faults(&text_with("epoch = 1", &format!("epoch = 1\nprevious = \"{}\"", NodeId([1; 32]))));
    assert!(first[0].contains("epoch 1 is the first"), "{first:?}");
}

#[test]
fn what_has_to_be_there_is_missed() {
    for key in ["version", "cluster", "name", "epoch"] {
        let line = manifest().to_string().lines().find(|line| line.starts_with(key)).unwrap().to_owned();
        assert_eq!(faults(&text_with(&format!("{line}\n"), "")), [format!("line 1: {key} is missing")]);
    }
    for (from, key) in [("name = \"node-2\"\n", "name"), ("address = \"127.0.0.1:5002\"\n", "address")] {
        let text = text_with(from, "");
        let found = faults(&text);
        assert!(found.len() == 1 && found[0].ends_with(&format!("voter.{key} is missing")), "{found:?}");
    }
    let text = manifest().to_string();
    let no_voters = &text[..text.find("\n[[voter]]").unwrap()];
    assert_eq!(faults(no_voters), ["line 1: there are no voters; name at least one"]);
    let none = "version = 1\nname = \"x\"\nepoch = 1\n";
    assert_eq!(
        faults(none),
        [
            "line 1: cluster is missing",
            "line 1: trust is missing",
            "line 1: there are no voters; name at least one"
        ]
    );
}

#[test]
fn an_unknown_key_is_refused_and_a_misspelt_one_recognised() {
    let found = faults(&text_with("lease =", "leese ="));
    assert!(found[0].ends_with("leese is not known here; did you mean lease?"), "{found:?}");
    let found = faults(&text_with("allow_debug = false", "allow_debug = false\nallow_all = true"));
    assert!(found[0].ends_with("trust.allow_all is not known here"), "{found:?}");
    let found = faults(&text_with("weight = 1", "weight = 1\nvote = 2"));
    assert!(found[0].ends_with("voter.vote is not known here"), "{found:?}");
}

#[test]
fn all_faults_come_in_one_go_in_the_order_of_lines() {
    let mut text = text_with("\"1s\"", "\"0ms\"").replace("f = 1", "f = 2").replace(":5004", ":5001");
    text = text.replace("policy = \"priority\"", "policy = \"king\"").replace("simulated", "simulatet");
    text = text.replace(&format!("key = \"{}\"", NodeId([3; 32])), "key = \"33\"");
    let faults = Manifest::parse(&text).unwrap_err();
    assert_eq!(faults.len(), 6, "{faults:#?}");
    assert!(faults.is_sorted_by_key(|fault| fault.line));
}

#[test]
fn text_that_is_no_toml_is_refused_in_its_line_without_follow_up() {
    let found = faults(&text_with("lease = \"1s\"", "lease = 1s"));
    assert!(found.len() == 1 && found[0].contains("not TOML"), "{found:#?}");
    let text = text_with("lease = \"1s\"", "lease = \"1s\"\nlease = \"2s\"");
    let found = faults(&text);
    let expected = format!("line {}: not TOML", line_of(&text, "lease = \"2s\""));
    assert!(found.len() == 1 && found[0].starts_with(&expected), "{found:#?}");
    for garbage in ["{", "\0", "voter", "[[voter]", "= 1", "\u{feff}{}"] {
        assert!(!faults(garbage).is_empty(), "{garbage:?}");
    }
}

#[test]
fn another_kind_of_file_is_refused_in_one_line() {
    let found = faults("{\n  \"certificate\": \"00\",\n  \"attestation\": \"00\"\n}\n");
    assert!(found.len() == 1 && found[0].starts_with("line 1: not TOML"), "{found:#?}");
}

#[test]
fn no_changed_byte_and_no_cut_makes_the_reader_panic_or_read_the_same() {
    let text = manifest().to_string();
    let read = Manifest::parse(&text).unwrap();
    let body = text.find("version").unwrap();
    for place in (body..text.len()).step_by(3) {
        let _ = Manifest::parse(&text[..place]);
        for other in ["\"", "[", "\n", "9", "=", "\u{0}", "☃"] {
            let changed = [&text[..place], other, &text[place + 1..]].concat();
            let is_space = text[place..].starts_with(['\n', ' ', '#']) || other == "\n";
            let same = Manifest::parse(&changed).is_ok_and(|changed| changed == read);
            assert!(
                !same || is_space || text[place..].starts_with(other) || in_comment(&text, place),
                "{changed}"
            );
        }
    }
}

fn in_comment(text: &str, place: usize) -> bool {
    let line = text[..place].rfind('\n').map_or(0, |end| end + 1);
    text[line..].starts_with('#')
}

#[test]
fn an_observer_that_votes_or_is_listed_twice_is_found() {
    let key = |number| format!("\"{}\"", NodeId([number; 32]));
    let list = format!("observers = [\n{},\n{},\n{}\n]", key(9), key(9), key(1));
    let text = text_with("observers = \"off\"", &list);
    let first = line_of(&text, "observers = [");
    let expected = [
        format!("line {}: observers: 09090909 is listed twice", first + 2),
        format!("line {}: observers: 01010101 is a voter already", first + 3),
    ];
    assert_eq!(faults(&text), expected);
}

#[test]
fn too_many_voters_are_refused_and_deep_nesting_too() {
    let mut text = manifest().to_string();
    for number in 0..140_u64 {
        let key = hex(number);
        text +=
            &format!("\n[[voter]]\nname = \"x{number}\"\naddress = \"h:{}\"\nkey = \"{key}\"\n", number + 1);
    }
    let found = faults(&text);
    assert!(found.len() == 1 && found[0].contains("144 voters are more than 128"), "{found:?}");
    let deep = format!("x = {}1{}", "[".repeat(5000), "]".repeat(5000));
    assert!(!faults(&deep).is_empty());
}

fn hex(number: u64) -> String {
    format!("{number:064x}")
}

#[test]
fn a_file_is_written_once_and_read_with_its_name_in_every_fault() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(MANIFEST_FILE);
    manifest().save(&path).unwrap();
    assert_eq!(Manifest::load(&path).unwrap(), manifest());
    assert!(matches!(manifest().save(&path), Err(WriteError::Exists { .. })));
    std::fs::write(&path, text_with("\"1s\"", "\"0s\"").replace("f = 1", "f = 2")).unwrap();
    let error = Manifest::load(&path).unwrap_err().to_string();
    assert!(error.contains("has 2 faults:") && error.contains("cluster.toml:12: a lease"), "{error}");
}
