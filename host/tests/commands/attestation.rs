//! `nitro-elect attestation`: real documents of AWS, shown and verified, and what is refused.

use serde_json::Value;
use std::path::{Path, PathBuf};

use crate::{Said, refused, run};

const NONCE: &str = "63633662393565662d613064372d343737642d393066322d333663633038386432343439";
const PCR0: &str =
    "dce041872408e890aafd7c0185cdfc4f6802c1073816c7e32f6d5b4784511da4aadf06e3f3fb3c26d3b036ac2d0726d0";
const PCR1: &str =
    "3b4a7e1b5f13c5a1000b3ed32ef8995ee13e9876329f9bc72650b918329ef9cf4e2e4d1e1e37375dab0ba56ba0974d03";
const PCR2: &str =
    "162e6b6aaf2c16ac824ed456b2ed65fef805b0741ffc8507d4ceaab99917413c0e2118fa3c9a1792b1d227ab19dd3d27";
/// When the document with the nonce was fresh.
const FRESH: &str = "2024-10-28T18:55:00Z";
/// When the document in debug mode was.
const DEBUG_FRESH: &str = "2024-09-09T20:00:00Z";

/// A real document: of an image with a nonce, in debug mode, or with a signature that does not verify.
fn sample(part: &str) -> PathBuf {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/vectors/attestation/aws");
    let mut files = std::fs::read_dir(samples).unwrap().map(|entry| entry.unwrap().path());
    files.find(|path| path.to_string_lossy().contains(part)).unwrap()
}

fn verify(part: &str, args: &[&str]) -> Said {
    let (dir, file) = (tempfile::tempdir().unwrap(), sample(part));
    run(dir.path(), &[&["attestation", "verify", file.to_str().unwrap()][..], args].concat())
}

#[test]
fn a_real_document_verifies_with_pcr0_alone_at_the_time_stated() {
    let said = verify("nonce", &["--pcr0", PCR0, "--at", FRESH]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(
        said.out.contains("VALID.") && said.out.contains("as you stated with --at, not now"),
        "{}",
        said.out
    );
    assert!(said.out.contains("no nonce was given"), "{}", said.out);
    let both = verify("nonce", &["--pcr1", PCR1, "--pcr2", PCR2, "--at", FRESH, "--nonce", NONCE, "--json"]);
    let report: Value = serde_json::from_str(&both.out).unwrap();
    assert_eq!((both.code, &report["verdict"]), (0, &Value::from("valid")));
    assert_eq!(report["checked_at_is_callers_word"], true);
    assert_eq!(report["document"]["nonce"], NONCE);
    assert_eq!(report["checks"].as_array().unwrap().len(), 16);
}

#[test]
fn what_does_not_match_is_exit_1_and_names_its_check() {
    let zeros = "00".repeat(16);
    let other = "ab".repeat(48);
    let table: [(&[&str], &str); 5] = [
        (&["--pcr0", PCR0], "10  FAILED"),
        (&["--pcr0", &other, "--at", FRESH], "13  FAILED"),
        (&["--pcr0", PCR0, "--pcr8", &other, "--at", FRESH], "13  FAILED"),
        (&["--pcr0", PCR0, "--at", FRESH, "--nonce", &zeros], "16  FAILED"),
        (&["--pcr0", PCR0, "--at", "2024-10-28T20:55:00Z", "--max-age", "1h"], "15  FAILED"),
    ];
    for (args, line) in table {
        let said = verify("nonce", args);
        assert_eq!(said.code, 1, "{args:?}: {}", said.out);
        assert!(said.out.contains(line) && said.out.contains("INVALID"), "{args:?}: {}", said.out);
    }
    let forged = verify("NEGATIVE", &["--pcr0", PCR0, "--at", "2024-07-23T21:30:00Z"]);
    assert!(forged.code == 1 && forged.out.contains("11  FAILED"), "{}", forged.out);
}

#[test]
fn an_expectation_that_leaves_the_image_open_is_wrong_usage() {
    for args in [&["--at", FRESH][..], &["--pcr8", PCR0], &["--pcr1", PCR1], &["--pcr3", PCR0]] {
        refused(&verify("nonce", args), 2, "the expected measurements cannot be used");
    }
    refused(&verify("nonce", &["--pcr0", &"00".repeat(48)]), 2, "expected to be zero");
    for args in [&["--pcr0", "abc"][..], &["--pcr0", PCR0, "--nonce", ""], &["--pcr0", PCR0, "--at", "noon"]]
    {
        assert_eq!(verify("nonce", args).code, 2, "{args:?}");
    }
}

#[test]
fn debug_mode_is_exit_3_unless_the_caller_allows_it() {
    let said = verify("DEBUG", &["--pcr0", PCR0, "--at", DEBUG_FRESH]);
    assert_eq!(said.code, 3, "{}", said.out);
    assert!(said.out.contains("12  FAILED") && said.out.contains("--allow-debug"), "{}", said.out);
    let allowed = verify("DEBUG", &["--pcr0", PCR0, "--at", DEBUG_FRESH, "--allow-debug"]);
    assert!(allowed.code == 0 && allowed.out.contains("DEBUG MODE"), "{}", allowed.out);
}

#[test]
fn another_root_is_not_the_documents() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root.pem");
    let pki = nitro_elect::simulated::SimulatedPki::generate().unwrap();
    std::fs::write(&root, pki.root().der()).unwrap();
    let said = verify("nonce", &["--pcr0", PCR0, "--at", FRESH, "--root", root.to_str().unwrap()]);
    assert!(said.code == 1 && said.out.contains("5  FAILED"), "{}", said.out);
    refused(&verify("nonce", &["--pcr0", PCR0, "--root", "absent.pem"]), 2, "absent.pem");
}

#[test]
fn showing_says_everything_and_that_nothing_is_verified() {
    let dir = tempfile::tempdir().unwrap();
    let show = |part: &str, args: &[&str]| {
        let file = sample(part);
        run(dir.path(), &[&["attestation", "show", file.to_str().unwrap()][..], args].concat())
    };
    let said = show("nonce", &[]);
    assert_eq!(said.code, 0, "{}", said.err);
    for text in
        ["NOT VERIFIED", PCR0, "i-06c79bf817127030a-enc0192d3d4945e0432", NONCE, "2024-10-28T18:54:16"]
    {
        assert!(said.out.contains(text), "{text}: {}", said.out);
    }
    assert!(show("DEBUG", &[]).out.contains("DEBUG: PCR0 to PCR2 are zero"));
    let value: Value = serde_json::from_str(&show("nonce", &["--json"]).out).unwrap();
    assert_eq!((&value["verified"], &value["pcrs"]["2"]), (&Value::from(false), &Value::from(PCR2)));
}

#[test]
fn what_is_no_document_is_said_with_its_check() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("cut"), &std::fs::read(sample("nonce")).unwrap()[..1000]).unwrap();
    std::fs::write(dir.path().join("text"), "{\"not\": \"a document\"}").unwrap();
    refused(&run(dir.path(), &["attestation", "show", "cut"]), 1, "(check 1)");
    refused(&run(dir.path(), &["attestation", "show", "text"]), 2, "neither base64 nor hexadecimal");
    refused(&run(dir.path(), &["attestation", "show", "absent"]), 2, "absent");
}
