//! The proof that a command finds in the file of its environment: who leads, by certificate and lease.
//!
//! Replaced whole, so that a reader finds one proof or the other; not synced, as it is worth nothing after a crash.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::storage::atomic;

/// The name of a node's own in its state directory.
pub const PROOF_FILE: &str = "lease-proof.json";
const MODE: u32 = 0o600;

/// The file of one command. Dropping it removes it.
#[derive(Debug)]
pub struct ProofKeeper {
    path: PathBuf,
}

impl ProofKeeper {
    /// A file of this name in a state directory. Its path is absolute: the command may work elsewhere.
    pub fn new(state: &Path, name: &str) -> io::Result<ProofKeeper> {
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
