//! `nitro-elect log` where there is nothing to read.

use crate::{refused, run};
use std::fs;

#[test]
fn an_export_that_fails_leaves_no_file_that_looks_like_one() {
    let dir = tempfile::tempdir().unwrap();
    let export = ["log", "export", "--admin", "127.0.0.1:1", "--out", "audit.jsonl"];
    refused(&run(dir.path(), &export), 1, "no node answers");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    fs::write(dir.path().join("audit.jsonl"), "an earlier one").unwrap();
    refused(&run(dir.path(), &export), 1, "audit.jsonl");
    assert_eq!(fs::read_to_string(dir.path().join("audit.jsonl")).unwrap(), "an earlier one");
}
