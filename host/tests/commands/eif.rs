//! `nitro-elect eif build` and `eif show`, and what `manifest new` makes of the measurements.

use serde_json::Value;
use std::fs;
use std::path::Path;

use crate::{refused, run};

const KEY: &str = "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1";

/// The least kernel of a builder, and the least static program.
fn write_parts(dir: &Path, builder: &str) {
    let mut kernel = vec![0; 0x300];
    kernel[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
    kernel[0x202..0x206].copy_from_slice(b"HdrS");
    kernel[0x20e..0x210].copy_from_slice(&0x100_u16.to_le_bytes());
    kernel.extend(format!("6.12.1 ({builder}) #1\0").bytes());
    let mut program = vec![0; 64];
    program[..6].copy_from_slice(b"\x7fELF\x02\x01");
    (program[16], program[18]) = (2, 62);
    fs::write(dir.join("bzImage"), kernel).unwrap();
    fs::write(dir.join("service"), program).unwrap();
}

fn build(dir: &Path, more: &[&str]) -> crate::Said {
    let line = ["eif", "build", "--kernel", "bzImage", "--init", "service", "--output", "a.eif"];
    run(dir, &[&line[..], &["--measurements", "measurements.json"], more].concat())
}

fn manifest(dir: &Path, more: &[&str]) -> crate::Said {
    let voter = format!("a=127.0.0.1:5000={KEY}");
    let line = ["manifest", "new", "--voter", &voter, "--measurements", "measurements.json"];
    run(dir, &[&line[..], more].concat())
}

#[test]
fn what_is_built_is_shown_with_the_same_measurements() {
    let dir = tempfile::tempdir().unwrap();
    write_parts(dir.path(), "somebody");
    let built = build(dir.path(), &[]);
    assert_eq!(built.code, 0, "{}", built.err);
    let shown = run(dir.path(), &["eif", "show", "a.eif"]);
    assert_eq!(shown.code, 0, "{}", shown.err);
    assert!(built.out.starts_with("PCR0 ") && shown.out.ends_with(&built.out), "{}", shown.out);
    assert!(
        shown.out.contains("good for      Nitro") && shown.out.contains("6.12.1 (somebody)"),
        "{}",
        shown.out
    );
    let shown: Value =
        serde_json::from_str(&run(dir.path(), &["eif", "show", "--json", "a.eif"]).out).unwrap();
    let file: Value =
        serde_json::from_slice(&fs::read(dir.path().join("measurements.json")).unwrap()).unwrap();
    assert_eq!(shown["Measurements"], file["Measurements"]);
    assert_eq!((&shown["ImageKind"], &shown["IsSigned"]), (&"nitro".into(), &false.into()));
    assert_eq!(shown["Sections"].as_array().unwrap().len(), 5);
}

#[test]
fn an_image_is_built_alike_again_and_replaces_the_old_one() {
    let dir = tempfile::tempdir().unwrap();
    write_parts(dir.path(), "somebody");
    build(dir.path(), &[]);
    let first = fs::read(dir.path().join("a.eif")).unwrap();
    assert_eq!(build(dir.path(), &[]).code, 0);
    assert_eq!(fs::read(dir.path().join("a.eif")).unwrap(), first);
    build(dir.path(), &["--cmdline", "quiet"]);
    assert_ne!(fs::read(dir.path().join("a.eif")).unwrap(), first);
}

#[test]
fn a_file_that_is_no_sound_image_is_exit_1_and_one_that_is_not_there_exit_2() {
    let dir = tempfile::tempdir().unwrap();
    write_parts(dir.path(), "somebody");
    build(dir.path(), &[]);
    let mut image = fs::read(dir.path().join("a.eif")).unwrap();
    *image.last_mut().unwrap() ^= 1;
    fs::write(dir.path().join("damaged.eif"), &image).unwrap();
    refused(&run(dir.path(), &["eif", "show", "damaged.eif"]), 1, "damaged.eif: the checksum is");
    refused(
        &run(dir.path(), &["eif", "show", "service"]),
        1,
        "service: 64 bytes, fewer than the header's 548",
    );
    refused(&run(dir.path(), &["eif", "show", "none.eif"]), 2, "none.eif");
}

#[test]
fn parts_that_make_no_image_leave_none_behind() {
    let dir = tempfile::tempdir().unwrap();
    write_parts(dir.path(), "somebody");
    refused(&build(dir.path(), &["--module", "service"]), 1, "its name is not NAME.ko");
    refused(&build(dir.path(), &["--cmdline", "a\nb"]), 1, "the command line has '\\n' in it");
    assert!(!dir.path().join("a.eif").exists() && !dir.path().join("measurements.json").exists());
}

#[test]
fn a_manifest_accepts_the_measured_image_and_awss_root_alone() {
    let dir = tempfile::tempdir().unwrap();
    write_parts(dir.path(), "somebody");
    let built = build(dir.path(), &[]);
    let made = manifest(dir.path(), &[]);
    assert_eq!(made.code, 0, "{}", made.err);
    assert!(!made.err.contains("warning"), "{}", made.err);
    let text = fs::read_to_string(dir.path().join("cluster.toml")).unwrap();
    assert!(text.contains("root = \"aws\"\nsimulated = false\nallow_debug = false"), "{text}");
    assert_eq!(text.matches("[[trust.accepted]]").count(), 1);
    for line in built.out.lines() {
        let (register, value) = line.split_once(' ').unwrap();
        assert!(text.contains(&format!("{register} = \"{value}\"")), "{text}");
    }
}

#[test]
fn measurements_of_an_image_for_emulation_are_warned_about() {
    let dir = tempfile::tempdir().unwrap();
    write_parts(dir.path(), "debian-kernel@lists.debian.org");
    let built = build(dir.path(), &[]);
    assert!(built.err.contains("warning: this image is for an emulation"), "{}", built.err);
    assert!(run(dir.path(), &["eif", "show", "a.eif"]).out.contains("EMULATION"));
    let made = manifest(dir.path(), &[]);
    assert_eq!(made.code, 0, "{}", made.err);
    assert!(
        made.err.contains("which no enclave of AWS runs") && made.err.contains("--root FILE"),
        "{}",
        made.err
    );
}

#[test]
fn an_emulations_root_makes_all_of_it_simulated() {
    let dir = tempfile::tempdir().unwrap();
    write_parts(dir.path(), "debian-kernel@lists.debian.org");
    build(dir.path(), &[]);
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    fs::write(dir.path().join("root.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    let made = manifest(dir.path(), &["--root", "root.pem"]);
    assert_eq!(made.code, 0, "{}", made.err);
    assert!(made.err.contains("SIMULATED") && !made.err.contains("--root FILE"), "{}", made.err);
    refused(&manifest(dir.path(), &["--root", "bzImage", "--out", "b.toml"]), 2, "root bzImage");
}

#[test]
fn measurements_that_are_none_and_two_sources_of_trust_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    crate::write_trust(dir.path());
    fs::write(dir.path().join("measurements.json"), "{}").unwrap();
    refused(&manifest(dir.path(), &[]), 2, "measurements measurements.json: missing field");
    assert_eq!(manifest(dir.path(), &["--trust", "trust.json"]).code, 2);
    assert!(!dir.path().join("cluster.toml").exists());
}
