//! The command lines of `deploy/`: the program takes each of them as it stands.

use std::fs;
use std::path::Path;

use crate::{program, said};

/// What a program says of a line that it took: it gets as far as the manifest, which is not here.
const TAKEN: &str = "could not read";

fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn is_taken(line: &[&str], variables: &[(String, String)]) {
    let dir = tempfile::tempdir().unwrap();
    let said = said(program(dir.path(), line).envs(variables.iter().cloned()).output().unwrap());
    assert!(said.code == 2 && said.err.contains(TAKEN), "{line:?} {variables:?}: {}", said.err);
}

/// The variables of a unit's example file.
fn variables(env: &str) -> Vec<(String, String)> {
    let lines = env.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once('=')).map(|(name, value)| (name.into(), value.into())).collect()
}

#[test]
fn the_units_start_the_program_with_flags_that_it_has() {
    for what in ["node", "proxy"] {
        let unit = file(&format!("systemd/nitro-elect-{what}.service"));
        assert!(unit.contains(&format!("ExecStart=@PREFIX@/bin/nitro-elect {what} $")), "{unit}");
        let variables = variables(&file(&format!("systemd/{what}.env")));
        assert!(!variables.is_empty());
        is_taken(&[what], &variables);
    }
}

#[test]
fn the_gates_unit_starts_it_with_flags_that_it_has() {
    let unit = file("systemd/nitro-elect-gate@.service");
    assert!(unit.contains("bin/nitro-elect gate --state /var/lib/nitro-elect-gate/%i $GATE_ARGS"), "{unit}");
    is_taken(&["gate", "--state", "gate"], &variables(&file("systemd/gate.env")));
}

/// The argument lists of containers in a manifest of Kubernetes, one argument a line.
fn argument_lists(manifest: &str) -> Vec<Vec<&str>> {
    let mut lists = Vec::new();
    let mut lines = manifest.lines().map(str::trim_start);
    while lines.any(|line| line == "args:") {
        let items = lines.by_ref().filter(|line| !line.starts_with('#'));
        lists.push(items.map_while(|line| line.strip_prefix("- ")).collect());
    }
    lists
}

#[test]
fn the_pods_start_the_program_with_flags_that_it_has() {
    let manifests = [file("kubernetes/node.yaml"), file("kubernetes/enclave.yaml")];
    let lists = manifests.iter().flat_map(|manifest| argument_lists(manifest));
    let of_ours: Vec<_> = lists.filter(|list| list.first().is_some_and(|first| *first != "|")).collect();
    assert_eq!(of_ours.iter().map(|list| list[0]).collect::<Vec<_>>(), ["node", "proxy"]);
    for line in of_ours {
        is_taken(&line, &[]);
    }
}
