//! The files that the style tests read, and the findings they report.
//!
//! In a checkout the files are those that git tracks, so that build output and private notes play no part. In an
//! unpacked archive the tree is walked instead, past hidden folders and anything that cargo marked as a cache.
//!
//! Limits: a file that is not UTF-8 is listed with an empty text.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One file of the tree: its path from the root of the repository, with `/`, and its text.
pub struct Source {
    pub path: String,
    pub text: String,
}

impl Source {
    /// A file made of a path and a text.
    pub fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// Whether the file is Rust.
    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether the whole file is test code, by its place in the tree.
    pub fn is_test_file(&self) -> bool {
        let in_folder = |folder: &str| self.path.split('/').rev().skip(1).any(|part| part == folder);
        self.path.ends_with("/tests.rs") || in_folder("tests") || in_folder("benches") || in_folder("fuzz")
    }

    /// A finding at a line of this file, counted from 1.
    pub fn finding(&self, line: usize, fault: impl Into<String>) -> Finding {
        Finding { path: self.path.clone(), line, fault: fault.into() }
    }
}

/// What is wrong, where, and what to do about it.
#[derive(Debug)]
pub struct Finding {
    pub path: String,
    pub line: usize,
    pub fault: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.path, self.line, self.fault)
    }
}

/// The root of the repository, found from this crate.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate lies in a folder of the workspace")
        .into()
}

/// Every file of the repository, sorted by path.
pub fn tree() -> Vec<Source> {
    let root = root();
    let mut paths = tracked(&root).unwrap_or_else(|| walked(&root));
    paths.sort();
    paths.iter().filter_map(|path| read(&root, path)).collect()
}

fn read(root: &Path, path: &str) -> Option<Source> {
    let bytes = fs::read(root.join(path)).ok()?;
    Some(Source { path: path.to_owned(), text: String::from_utf8(bytes).unwrap_or_default() })
}

fn tracked(root: &Path) -> Option<Vec<String>> {
    if !root.join(".git").exists() {
        return None;
    }
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root).output().ok()?;
    let names = String::from_utf8(listed.stdout).ok()?;
    listed.status.success().then(|| names.split_terminator('\0').map(str::to_owned).collect())
}

fn walked(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the repository can be read").flatten() {
            let path = entry.path();
            if path.is_dir() && !is_outside(&path) {
                folders.push(path);
            } else if path.is_file() {
                let inside = path.strip_prefix(root).expect("the walk began at the root");
                found.push(inside.to_string_lossy().into_owned());
            }
        }
    }
    found
}

/// Folders that belong to git, to cargo or to nobody's source.
fn is_outside(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default();
    name == ".git" || name == "target" || name == "vendor" || folder.join("CACHEDIR.TAG").exists()
}

mod tests {
    use super::*;

    #[test]
    fn the_tree_is_read_with_and_without_git() {
        let walked = walked(&root());
        for expected in ["Makefile", "protocol/src/lib.rs", "tests/tests/style/source.rs"] {
            assert!(walked.iter().any(|path| path == expected), "the walk misses {expected}");
            assert!(tree().iter().any(|file| file.path == expected && !file.text.is_empty()), "{expected}");
        }
        assert!(!walked.iter().any(|path| path.starts_with("target/") || path.starts_with(".git/")));
    }

    #[test]
    fn test_files_are_known_by_their_place() {
        for path in ["tests/src/lib.rs", "host/tests/demo.rs", "protocol/src/view/tests.rs"] {
            assert!(Source::new(path, "").is_test_file(), "{path}");
        }
        for path in ["protocol/src/view.rs", "host/src/contests.rs"] {
            assert!(!Source::new(path, "").is_test_file(), "{path}");
        }
    }

    #[test]
    fn a_finding_names_file_and_line() {
        let finding = Source::new("a.rs", "").finding(3, "too long: split it");
        assert_eq!(finding.to_string(), "a.rs:3: too long: split it");
    }
}
