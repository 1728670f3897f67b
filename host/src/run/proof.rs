//! The proof that a command finds in the file of its environment: who leads, by certificate and lease.
//!
//! Replaced whole, so that a reader finds one proof or the other; not synced, as it is worth nothing after a crash.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::storage::atomic;

/// The name of a node's own in its state directory.
pub const PROOF_FILE: &str = "lease-proof.json";
/// What the names of the others begin with; the process number of the exec follows.
const OF_EXECS: &str = "lease-proof-";
const MODE: u32 = 0o600;

/// The name of this process's, if it is an exec.
pub fn of_this_exec() -> String {
    format!("{OF_EXECS}{}.json", std::process::id())
}

/// The file of one command. Dropping it removes it.
#[derive(Debug)]
pub struct ProofKeeper {
    path: PathBuf,
}

impl ProofKeeper {
    /// A file of this name in a state directory. Its path is absolute: the command may work elsewhere.
    pub fn new(state: &Path, name: &str) -> io::Result<ProofKeeper> {
        sweep(state);
        let keeper = ProofKeeper { path: std::path::absolute(state)?.join(name) };
        keeper.remove();
        Ok(keeper)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts a proof in the place of the one before.
    pub fn show(&self, proof: &str) -> io::Result<()> {
        atomic::show(&self.path, proof.as_bytes(), MODE)
    }

    /// Takes it away: nobody leads by it any more.
    pub fn remove(&self) {
        let _none_there = fs::remove_file(&self.path);
    }
}

impl Drop for ProofKeeper {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Removes those of execs that were killed, and what was being written when their process was.
fn sweep(state: &Path) {
    for entry in fs::read_dir(state).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let of = name.to_str().and_then(|name| name.trim_start_matches('.').strip_prefix(OF_EXECS));
        let exec = of.and_then(|rest| rest.split('.').next()?.parse::<u32>().ok());
        if exec.is_some_and(|exec| !Path::new("/proc").join(exec.to_string()).exists()) {
            let _gone_already = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_replaced_and_goes_with_its_keeper_and_those_of_killed_execs_are_removed() {
        let state = tempfile::tempdir().unwrap();
        let at = |name: &str| state.path().join(name);
        // No process has a number as high as the system's limit allows (2^22).
        for name in ["lease-proof-4194305.json", ".lease-proof-4194305.json.x1y2.new", "key"] {
            fs::write(at(name), "old").unwrap();
        }
        let keeper = ProofKeeper::new(state.path(), &of_this_exec()).unwrap();
        keeper.show("one").unwrap();
        keeper.show("two").unwrap();
        assert_eq!(fs::read_to_string(keeper.path()).unwrap(), "two");
        let other = ProofKeeper::new(state.path(), PROOF_FILE).unwrap();
        assert!(keeper.path().exists(), "its exec lives");
        other.show("three").unwrap();
        drop((keeper, other));
        let left: Vec<_> =
            fs::read_dir(state.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["key"]);
    }
}
