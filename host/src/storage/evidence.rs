//! Proof that voters are not honest, one file a voter: `evidence/KEY`.
//!
//! No vote rests on it, so a file that cannot be read is left where it is and told of, and never keeps a node from
//! starting. There are no more files than [`EVIDENCE_FILES_MAX`]: for the voter of a later manifest, the file that was
//! changed longest ago goes.

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
    let path = dir.join(voter.to_string());
    if !path.exists() {
        make_room(&dir)?;
    }
    atomic::replace(&path, &codec::encode(piece), MODE)
}

/// Removes the files that were changed longest ago until there is room for one more.
fn make_room(dir: &Path) -> io::Result<()> {
    let mut kept = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        kept.push((entry.metadata()?.modified()?, entry.path()));
    }
    kept.sort();
    let surplus = (kept.len() + 1).saturating_sub(EVIDENCE_FILES_MAX);
    kept.iter().take(surplus).try_for_each(|(_, path)| fs::remove_file(path))
}

/// Reads what was kept, and removes what a killed process left half written. Only for a directory that is locked.
pub(super) fn load(dir: &Path) -> io::Result<Kept> {
    let mut kept = Kept::default();
    let dir = dir.join(EVIDENCE_DIRECTORY);
    if !dir.exists() {
        return Ok(kept);
    }
    atomic::sweep_all(&dir)?;
    let entries = fs::read_dir(&dir)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use nitro_elect_protocol::ids::Signature;
    use nitro_elect_protocol::statement::Signed;
    use std::time::{Duration, SystemTime};

    fn piece() -> Evidence {
        let view = |byte| Signed::from_parts(vec![byte; 40], Signature([byte; 64]));
        Evidence { first: view(1), second: view(2) }
    }

    fn voter(number: usize) -> NodeId {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&(number as u64).to_be_bytes());
        NodeId(key)
    }

    #[test]
    fn past_the_bound_the_oldest_piece_goes_and_a_voters_newer_piece_pushes_out_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let path = |number| dir.path().join(EVIDENCE_DIRECTORY).join(voter(number).to_string());
        for number in 0..EVIDENCE_FILES_MAX {
            keep(dir.path(), &voter(number), &piece()).unwrap();
            let when = SystemTime::UNIX_EPOCH + Duration::from_secs(number as u64);
            fs::File::open(path(number)).unwrap().set_modified(when).unwrap();
        }
        keep(dir.path(), &voter(7), &piece()).unwrap();
        assert_eq!(load(dir.path()).unwrap().pieces.len(), EVIDENCE_FILES_MAX);
        keep(dir.path(), &voter(EVIDENCE_FILES_MAX), &piece()).unwrap();
        assert_eq!(load(dir.path()).unwrap().pieces.len(), EVIDENCE_FILES_MAX);
        assert!(!path(0).exists() && path(1).exists() && path(EVIDENCE_FILES_MAX).exists());
    }

    #[test]
    fn what_a_killed_process_left_half_written_is_removed_and_no_evidence() {
        let dir = tempfile::tempdir().unwrap();
        keep(dir.path(), &voter(1), &piece()).unwrap();
        let torn = dir.path().join(EVIDENCE_DIRECTORY).join(format!(".{}.abc.new", voter(2)));
        fs::write(&torn, b"half").unwrap();
        let kept = load(dir.path()).unwrap();
        assert_eq!((kept.pieces.len(), kept.unread.len(), torn.exists()), (1, 0, false));
    }
}
