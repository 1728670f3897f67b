//! The files of `deploy/`, judged by the programs that read them. `make systemd-test` goes further and boots the units.
#![allow(clippy::unwrap_used)]

use nitro_elect_tests::skip::skip;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

/// What systemd calls exposure, at most: 100 is no protection at all. systemd's own services are at 40 to 95.
const EXPOSURE_MAX: u32 = 35;

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

/// What a program said; nothing where it is not installed.
fn output(command: &mut Command) -> Option<Output> {
    match command.output() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            skip(&command.get_program().to_string_lossy(), "make deps");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn assert_content(output: &Output) {
    let said = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}");
}

/// The units as `make install` writes them, with programs that are there.
fn units(into: &Path) -> Vec<PathBuf> {
    for program in ["bin/nitro-elect", "libexec/nitro-elect/enclave-keeper"] {
        let program = into.join(program);
        fs::create_dir_all(program.parent().unwrap()).unwrap();
        fs::write(&program, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let files = fs::read_dir(deploy().join("systemd")).unwrap().map(|entry| entry.unwrap().path());
    let sources = files.filter(|path| path.extension().is_some_and(|extension| extension == "service"));
    let written = sources.map(|source| {
        let unit = into.join(source.file_name().unwrap());
        let text = fs::read_to_string(&source).unwrap().replace("@PREFIX@", &into.display().to_string());
        fs::write(&unit, text).unwrap();
        unit
    });
    written.collect()
}

#[test]
fn systemd_finds_no_fault_in_the_units() {
    let directory = tempfile::tempdir().unwrap();
    let units = units(directory.path());
    assert!(units.len() >= 3, "{units:?}");
    let mut verify = Command::new("systemd-analyze");
    let Some(verified) = output(verify.args(["verify", "--man=no"]).args(&units)) else { return };
    assert_content(&verified);
    assert!(verified.stderr.is_empty(), "{}", String::from_utf8_lossy(&verified.stderr));
}

#[test]
fn systemd_finds_the_units_well_protected() {
    let directory = tempfile::tempdir().unwrap();
    let threshold = format!("--threshold={EXPOSURE_MAX}");
    for unit in units(directory.path()) {
        let mut security = Command::new("systemd-analyze");
        let security = security.args(["security", "--offline=true", "--no-pager", &threshold]).arg(&unit);
        let Some(judged) = output(security) else { return };
        assert_content(&judged);
    }
}

#[test]
fn the_kubernetes_manifests_are_one_whole() {
    let mut kubectl = Command::new("kubectl");
    let Some(built) = output(kubectl.arg("kustomize").arg(deploy().join("kubernetes"))) else { return };
    assert_content(&built);
    let whole = String::from_utf8(built.stdout).unwrap();
    for part in ["kind: StatefulSet", "kind: PodDisruptionBudget", "kind: NetworkPolicy", "nitro-elect-node:"]
    {
        assert!(whole.contains(part), "{part} is missing");
    }
}

/// A nitro-cli that keeps its enclave in a file, and what it was asked for in another. Unless there is a file `lives`,
/// the enclave dies when it was seen once.
const NITRO_CLI: &str = r#"#!/bin/sh
here=${0%/*}
echo "$1" >>"$here/asked"
case $1 in
  run-enclave) touch "$here/enclave" "$here/dies" ;;
  terminate-enclave) rm -f "$here/enclave" ;;
  describe-enclaves)
    [ -e "$here/enclave" ] || { echo '[]'; exit; }
    printf '[\n  {\n    "EnclaveName": "nitro-elect",\n    "CPUIDs": [\n      1\n    ],\n'
    printf '    "State": "RUNNING",\n    "Measurements": {\n      "PCR0": "00"\n    }\n  }\n]\n'
    [ -e "$here/lives" ] || [ ! -e "$here/dies" ] || rm "$here/enclave" "$here/dies" ;;
esac
"#;

/// Runs the keeper with that nitro-cli until it ends: how it ended, and what it asked for.
fn kept(directory: &Path, prepare: impl FnOnce(&mut std::process::Child)) -> (Option<i32>, Vec<String>) {
    let cli = directory.join("nitro-cli");
    fs::write(&cli, NITRO_CLI).unwrap();
    fs::set_permissions(&cli, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", directory.display(), std::env::var("PATH").unwrap());
    let mut keeper = Command::new(deploy().join("enclave-keeper"));
    let mut child =
        keeper.envs([("PATH", &path[..]), ("EIF", "image.eif"), ("POLL_S", "0.05")]).spawn().unwrap();
    prepare(&mut child);
    let code = child.wait().unwrap().code();
    let asked = fs::read_to_string(directory.join("asked")).unwrap();
    (code, asked.lines().map(str::to_owned).collect())
}

#[test]
fn the_keeper_ends_what_was_left_and_fails_when_its_enclave_does() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("enclave"), "").unwrap();
    let (code, asked) = kept(directory.path(), |_| ());
    assert_eq!(code, Some(1));
    let began = ["describe-enclaves", "terminate-enclave", "run-enclave"];
    assert_eq!(asked[..3], began);
    assert!(asked.len() > 3 && asked[3..].iter().all(|asked| asked == "describe-enclaves"), "{asked:?}");
}

#[test]
fn the_keeper_takes_its_enclave_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let enclave = directory.path().join("enclave");
    fs::write(directory.path().join("lives"), "").unwrap();
    let (code, asked) = kept(directory.path(), |child| {
        while !enclave.exists() {
            assert_eq!(child.try_wait().unwrap(), None, "the keeper ended before it had an enclave");
            std::thread::sleep(Duration::from_millis(1));
        }
        let killed = Command::new("kill").arg(child.id().to_string()).status().unwrap();
        assert!(killed.success());
    });
    assert_eq!((code, asked.last().map(String::as_str)), (Some(0), Some("terminate-enclave")));
    assert!(!enclave.exists());
}
