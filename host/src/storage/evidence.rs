//! Proof that voters are not honest, one file a voter: `evidence/KEY`.
//!
//! No vote rests on it, so a file that cannot be read is left where it is and told of, and never keeps a node from
//! starting.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nitro_elect_protocol::codec;
use nitro_elect_protocol::evidence::Evidence;
use nitro_elect_protocol::ids::NodeId;

use super::{MODE, atomic, make_directory};
use crate::input;
use crate::limits::{EVIDENCE_FILES_MAX, EVIDENCE_MAX};

/// Where it is kept in a state directory.
pub const EVIDENCE_DIRECTORY: &str = "evidence";

/// What was kept, and the files that could not be read.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub pieces: Vec<Evidence>,
    pub unread: Vec<PathBuf>,
}

/// Keeps a piece, durably. One a voter: a newer one takes the place of the one before.
pub(super) fn keep(dir: &Path, voter: &NodeId, piece: &Evidence) -> io::Result<()> {
    let dir = dir.join(EVIDENCE_DIRECTORY);
    make_directory(&dir)?;
    atomic::replace(&dir.join(voter.to_string()), &codec::encode(piece), MODE)
}

/// Reads what was kept.
pub(super) fn load(dir: &Path) -> io::Result<Kept> {
    let mut kept = Kept::default();
    let entries = match fs::read_dir(dir.join(EVIDENCE_DIRECTORY)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(kept),
        entries => entries?,
    };
    for entry in entries.take(EVIDENCE_FILES_MAX) {
        let path = entry?.path();
        match read(&path) {
            Some(piece) => kept.pieces.push(piece),
            None => kept.unread.push(path),
        }
    }
    Ok(kept)
}

fn read(path: &Path) -> Option<Evidence> {
    codec::decode(&input::read_bytes(path, EVIDENCE_MAX).ok()?).ok()
}
