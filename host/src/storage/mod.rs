//! The durable state of a node (DESIGN §3.6), in its state directory:
//!
//! | file | what it is |
//! | --- | --- |
//! | `key` | the node's key ([`crate::keys`]) |
//! | `record` | its last support and its generation, replaced whole before every vote that changes them |
//! | `certificates.log` | the certificates that it adopted, appended; `.1`, `.2`, ... were full before it |
//! | `evidence/` | proof of voters that signed twice, one file each |
//! | `electorate` | at which manifest it is, replaced whole when it moves to the next |
//! | `changes` | what it has endorsed and approved about the next manifest, with a lock of its own, `changes.lock` |
//! | `lock` | the lock that keeps a second process away |
//!
//! State is born with the key and before it, so a key without its state is a lost disk: it may have promised what
//! nobody remembers, and is refused. Damage is refused with instructions, never guessed around. The directory is
//! 0700, every file 0600.

pub mod atomic;
mod birth;
mod checked;
mod error;
mod evidence;
mod ledger;
pub(crate) mod lock;
mod log;
mod record;
mod standing;

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nitro_elect_protocol::evidence::Evidence;
use nitro_elect_protocol::ids::{ClusterId, NodeId};
use nitro_elect_protocol::proof::Bundle;

pub use birth::{BirthError, give_birth};
pub use checked::FileFault;
pub use error::StorageError;
pub use ledger::{CHANGES_FILE, LedgerFile};
pub use log::{Cut, Damage, LogError, NoPlace, Page, Place, read_page};
pub use record::RecordError;
pub use standing::{ELECTORATE_FILE, Standing};

use crate::core::durable::Record;
use crate::limits::{RECORD_MAX, STANDING_MAX};
use checked::ReadFault;
use lock::{Lock, LockError};
use log::CertificateLog;

/// The name of the record in a state directory.
pub const RECORD_FILE: &str = "record";
const MODE: u32 = 0o600;

/// Whose state is to be opened.
#[derive(Debug, Clone, Copy)]
pub struct Owner {
    /// The node.
    pub node: NodeId,
    /// The cluster that it is to run in; [`ClusterId::OPEN`] for an open one.
    pub cluster: ClusterId,
    /// Whether an operator takes it on himself that a key without state goes on: its votes are forgotten.
    pub danger_forget_votes: bool,
}

/// What was found when the state was opened.
#[derive(Debug)]
pub struct Loaded {
    /// The record, with the cluster filled in if it had none. Its generation is that of the life before.
    pub record: Record,
    /// At which manifest the node is, if that was ever written.
    pub standing: Option<Standing>,
    /// The newest certificate of the log.
    pub newest: Option<Bundle>,
    /// Torn tails of the log that were removed: worth a warning.
    pub cuts: Vec<Cut>,
    /// Proof of dishonest voters.
    pub evidence: Vec<Evidence>,
    /// Files of evidence that could not be read: worth a warning.
    pub unread: Vec<PathBuf>,
}

/// The state of one node, open and locked.
#[derive(Debug)]
pub struct Storage {
    dir: PathBuf,
    path: PathBuf,
    log: CertificateLog,
    _lock: Lock,
}

impl Storage {
    /// Opens the state of a node for this process alone.
    ///
    /// A key whose state is missing is refused, unless `danger_forget_votes`: then the record says so for ever.
    /// Nothing is written but the removal of a torn tail of the log.
    pub fn open(dir: &Path, owner: &Owner) -> Result<(Self, Loaded), StorageError> {
        check_directory(dir)?;
        let lock = take_lock(dir)?;
        let path = dir.join(RECORD_FILE);
        for path in [&path, &dir.join(ELECTORATE_FILE)] {
            atomic::sweep(path).map_err(|source| StorageError::Io { path: path.clone(), source })?;
        }
        let mut record = match read_record(&path)? {
            Some(record) => record,
            None if owner.danger_forget_votes => Record { forgot_votes: true, ..record::newborn(owner.node) },
            None => return Err(StorageError::Lost { dir: dir.into(), node: owner.node }),
        };
        check_owner(dir, &record, owner)?;
        record.cluster = Some(owner.cluster);
        let standing = read_standing(dir)?;
        let (log, contents) = CertificateLog::open(dir)?;
        let kept = evidence::load(dir).map_err(|source| StorageError::Io { path: dir.into(), source })?;
        let loaded = Loaded {
            record,
            standing,
            newest: contents.newest,
            cuts: contents.cuts,
            evidence: kept.pieces,
            unread: kept.unread,
        };
        Ok((Storage { dir: dir.into(), path, log, _lock: lock }, loaded))
    }

    /// Makes a record durable: when this returns, it survives a power failure. Blocks for two syncs.
    ///
    /// # Errors
    /// After an error nothing that the record stands for may leave this process, and the one before is still in
    /// force (or either, if only the sync of the directory failed).
    pub fn save(&mut self, record: &Record) -> io::Result<()> {
        atomic::replace(&self.path, &record::to_file(record), MODE)
    }

    /// Makes it durable at which manifest the node is, before anything is signed under it. Blocks for two syncs.
    pub fn stand(&mut self, standing: &Standing) -> Result<(), StorageError> {
        let path = self.dir.join(ELECTORATE_FILE);
        let written = atomic::replace(&path, &standing::to_file(standing), MODE);
        written.map_err(|source| StorageError::Io { path, source })
    }

    /// Appends an adopted certificate to the log, durably. Blocks for a sync.
    ///
    /// A certificate may be appended again when it has gained promises: the last one counts.
    pub fn append(&mut self, bundle: &Bundle) -> Result<(), LogError> {
        self.log.append(bundle)
    }

    /// Keeps proof that a voter is not honest, durably. Blocks for two syncs.
    pub fn keep(&mut self, voter: &NodeId, piece: &Evidence) -> io::Result<()> {
        evidence::keep(&self.dir, voter, piece)
    }
}

/// Makes a state directory, with its parents, for its owner alone.
pub(crate) fn make_directory(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Refuses a directory in which others could exchange files.
pub(crate) fn check_directory(dir: &Path) -> Result<(), StorageError> {
    let metadata = match fs::metadata(dir) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(StorageError::NoDirectory { dir: dir.into() });
        }
        Err(source) => return Err(StorageError::Io { path: dir.into(), source }),
    };
    let mode = metadata.permissions().mode() & 0o7777;
    if !metadata.is_dir() {
        return Err(StorageError::NotADirectory { path: dir.into() });
    }
    if mode & 0o022 != 0 {
        return Err(StorageError::Exposed { dir: dir.into(), mode });
    }
    Ok(())
}

fn take_lock(dir: &Path) -> Result<Lock, StorageError> {
    Lock::take(dir).map_err(|error| match error {
        LockError::Held(pid) => StorageError::Locked { dir: dir.into(), pid },
        LockError::Io(source) => StorageError::Io { path: dir.into(), source },
    })
}

fn read_record(path: &Path) -> Result<Option<Record>, StorageError> {
    let damaged = |fault| StorageError::Damaged { path: path.into(), fault };
    let bytes = checked::read(path, RECORD_MAX).map_err(|fault| match fault {
        ReadFault::Io(source) => StorageError::Io { path: path.into(), source },
        ReadFault::Damaged(fault) => damaged(fault.into()),
    })?;
    bytes.map(|bytes| record::from_file(&bytes).map_err(damaged)).transpose()
}

/// At which manifest the node of a directory is, whether it runs or not.
fn read_standing(dir: &Path) -> Result<Option<Standing>, StorageError> {
    let path = dir.join(ELECTORATE_FILE);
    let bytes = checked::read(&path, STANDING_MAX).map_err(|fault| StorageError::of(&path, fault))?;
    let damaged = |fault| StorageError::DamagedFile { path: path.clone(), fault };
    bytes.map(|bytes| standing::from_file(&bytes).map_err(damaged)).transpose()
}

fn check_owner(dir: &Path, record: &Record, owner: &Owner) -> Result<(), StorageError> {
    if record.node != owner.node {
        let (found, key) = (record.node, owner.node);
        return Err(StorageError::OtherKey { dir: dir.into(), found, key });
    }
    match record.cluster {
        Some(found) if found != owner.cluster => {
            Err(StorageError::OtherCluster { dir: dir.into(), found, expected: owner.cluster })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
