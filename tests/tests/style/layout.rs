//! The top of the tree and the Makefile: what a newcomer sees first is short, and `make help` tells all of it.

use std::collections::BTreeSet;

use crate::markdown::{numbered, spans};
use crate::source::{Finding, Source};

/// Every visible entry that the top folder may have.
const TOP_ENTRIES: [&str; 16] = [
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "Dockerfile.enclave",
    "LICENSE",
    "Makefile",
    "README.md",
    "deny.toml",
    "deploy",
    "docs",
    "enclave",
    "host",
    "protocol",
    "rust-toolchain.toml",
    "tests",
];

/// Visible top-level entries that are not among those agreed on.
pub fn top_entries(tree: &[Source]) -> Vec<Finding> {
    let mut seen = BTreeSet::new();
    let fault = "a new entry at the top of the tree: put it into the folder it belongs to";
    let mut found = Vec::new();
    for file in tree {
        let entry = file.path.split('/').next().unwrap_or_default();
        if !entry.starts_with('.') && !TOP_ENTRIES.contains(&entry) && seen.insert(entry) {
            found.push(file.finding(1, fault));
        }
    }
    found
}

/// Makefile targets that `make help` does not list, because their line carries no `## text`.
pub fn silent_targets(file: &Source) -> Vec<Finding> {
    if file.path != "Makefile" {
        return Vec::new();
    }
    let silent = targets(&file.text).into_iter().filter(|(_, _, told)| !told);
    silent
        .map(|(line, name, _)| {
            file.finding(line, format!("`{name}` is not in `make help`: end the line with `## what it does`"))
        })
        .collect()
}

/// Uses of `make NAME` in documents where the Makefile has no such target.
pub fn unknown_targets(tree: &[Source]) -> Vec<Finding> {
    let makefile = tree.iter().find(|file| file.path == "Makefile").map_or("", |file| file.text.as_str());
    let known: BTreeSet<&str> = targets(makefile).into_iter().map(|(_, name, _)| name).collect();
    let documents = tree.iter().filter(|file| file.path.ends_with(".md") || file.path.starts_with(".ci/"));
    documents.flat_map(|file| unknown_in(file, &known)).collect()
}

fn unknown_in(file: &Source, known: &BTreeSet<&str>) -> Vec<Finding> {
    let script = !file.path.ends_with(".md");
    let used = numbered(&file.text).flat_map(|line| {
        let code = if script || line.fenced { vec![line.text] } else { spans(line.text) };
        code.into_iter().flat_map(targets_run).map(move |name| (line.number, name))
    });
    let unknown = used.filter(|(_, name)| !known.contains(name));
    unknown
        .map(|(line, name)| {
            file.finding(line, format!("`make {name}` is no target: correct it, or leave it out"))
        })
        .collect()
}

/// The targets that a command runs, if it is one of make's.
fn targets_run(command: &str) -> impl Iterator<Item = &str> {
    let command = command.split('#').next().unwrap_or_default().trim().trim_start_matches("$ ");
    let words = command.strip_prefix("make ").unwrap_or_default().split_whitespace();
    words.filter(|word| !word.starts_with('-') && !word.contains('='))
}

/// The targets of a Makefile: line, name, whether a `## text` tells about it.
fn targets(makefile: &str) -> Vec<(usize, &str, bool)> {
    let mut found = Vec::new();
    for (at, line) in makefile.lines().enumerate() {
        let Some((names, rest)) = line.split_once(':') else { continue };
        let is_rule =
            !line.starts_with(['\t', ' ', '#', '.']) && !rest.starts_with('=') && !names.contains('=');
        if is_rule {
            found.extend(names.split_whitespace().map(|name| (at + 1, name, rest.contains(" ## "))));
        }
    }
    found
}

mod tests {
    use super::*;

    #[test]
    fn a_new_top_entry_is_found_once() {
        let tree = ["README.md", "host/src/lib.rs", ".ci/run", "scripts/a", "scripts/b"];
        let found = top_entries(&tree.map(|path| Source::new(path, "")));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].path, "scripts/a");
    }

    #[test]
    fn a_target_without_help_is_found() {
        let text = ".PHONY: a b\nA := 1\nA:=1\na: b ## does a\n\techo: x\nb:\n\techo\n";
        let found = silent_targets(&Source::new("Makefile", text));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].line, 6);
    }

    #[test]
    fn a_document_that_names_an_unknown_target_is_found() {
        let tree = |page: &str| [Source::new("Makefile", "run: ## runs\n"), Source::new("README.md", page)];
        for page in
            ["Try `make walk`.", "```\n$ make walk SECS=1\n```", "```sh\nmake -j2 SECS=1 run walk\n```"]
        {
            assert_eq!(unknown_targets(&tree(page)).len(), 1, "{page}");
        }
        for page in [
            "Try `make run SECS=1`.",
            "```\nmake   # demo\nmake run # demo\n```",
            "make sure of it",
            "`make` alone",
        ] {
            assert!(unknown_targets(&tree(page)).is_empty(), "{page}");
        }
        let script =
            [Source::new("Makefile", "run: ## runs\n"), Source::new(".ci/run", "make run\nmake walk\n")];
        assert_eq!(unknown_targets(&script)[0].line, 2);
    }
}
