//! What a voter has signed about its electorate's successor: the file `changes`, with a lock of its own, `changes.lock`.
//!
//! The node does not need it while it runs, so an operator endorses and approves beside it. The lock makes it one word an
//! attempt over all processes, and the file is synced before a word leaves (DESIGN §3.8).

use std::path::{Path, PathBuf};

use nitro_elect_protocol::change::Ledger;
use nitro_elect_protocol::ids::NodeId;
use nitro_elect_protocol::proof::Bundle;

use super::checked::{self, Kind};
use super::lock::{CHANGES_LOCK_FILE, Lock, LockError};
use super::standing::Standing;
use super::{MODE, RECORD_FILE, StorageError, atomic, check_directory, log, read_record, read_standing};
use crate::limits::LEDGER_MAX;

/// The name of the file in a state directory.
pub const CHANGES_FILE: &str = "changes";
const KIND: Kind = Kind {
    magic: *b"NELECTCH",
    what: "file of endorsements and approvals",
    domain: "nitro-elect/v1/changes",
};

/// A voter's ledger, open and locked.
#[derive(Debug)]
pub struct LedgerFile {
    dir: PathBuf,
    path: PathBuf,
    kept: Option<Ledger>,
    standing: Option<Standing>,
    _lock: Lock,
}

impl LedgerFile {
    /// Opens the ledger of the node with this key for this process alone. Nothing is written.
    ///
    /// A key whose state is missing is refused: it may have signed what nobody remembers.
    pub fn open(dir: &Path, node: NodeId) -> Result<Self, StorageError> {
        check_directory(dir)?;
        let lock = Lock::take_named(dir, CHANGES_LOCK_FILE).map_err(|error| match error {
            LockError::Held(_) => StorageError::ChangesLocked { dir: dir.into() },
            LockError::Io(source) => StorageError::Io { path: dir.into(), source },
        })?;
        let record = read_record(&dir.join(RECORD_FILE))?;
        let record = record.ok_or_else(|| StorageError::Lost { dir: dir.into(), node })?;
        let path = dir.join(CHANGES_FILE);
        atomic::sweep(&path).map_err(|source| StorageError::Io { path: path.clone(), source })?;
        let bytes = checked::read(&path, LEDGER_MAX).map_err(|fault| StorageError::of(&path, fault))?;
        let kept: Option<Ledger> = bytes
            .map(|bytes| checked::from_file(&KIND, &bytes))
            .transpose()
            .map_err(|fault| StorageError::DamagedFile { path: path.clone(), fault })?;
        let found =
            kept.map(|ledger| ledger.voter).into_iter().chain([record.node]).find(|voter| *voter != node);
        if let Some(found) = found {
            return Err(StorageError::OtherKey { dir: dir.into(), found, key: node });
        }
        let standing = read_standing(dir)?;
        Ok(LedgerFile { dir: dir.into(), path, kept, standing, _lock: lock })
    }

    /// What was kept; nothing before the first word.
    pub fn kept(&self) -> Option<Ledger> {
        self.kept
    }

    /// At which manifest the node is, if it ever ran.
    pub fn standing(&self) -> Option<&Standing> {
        self.standing.as_ref()
    }

    /// The newest certificate that the node adopted, whether it runs or not.
    pub fn newest_certificate(&self) -> Result<Option<Bundle>, StorageError> {
        Ok(log::newest(&self.dir)?)
    }

    /// Makes the ledger durable: when this returns, the word that it allowed may leave. Blocks for two syncs.
    pub fn save(&mut self, ledger: Ledger) -> Result<(), StorageError> {
        let failed = |source| StorageError::Io { path: self.path.clone(), source };
        atomic::replace(&self.path, &checked::to_file(&KIND, &ledger), MODE).map_err(failed)?;
        self.kept = Some(ledger);
        Ok(())
    }
}
