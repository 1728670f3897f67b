//! How a node begins: its state first, then its key, both durable, in one directory.
//!
//! In this order a key never exists without its state, so a key that is found without is a lost disk. The other
//! half, a newborn record without a key, is what a crash in between leaves; nobody can have used it, and it is
//! replaced.

use std::fs;
use std::path::{Path, PathBuf};

use nitro_elect_protocol::crypto::{NodeKey, Signer};
use nitro_elect_protocol::ids::NodeId;

use super::{
    MODE, RECORD_FILE, StorageError, atomic, check_directory, make_directory, read_record, record, take_lock,
};
use crate::help::Help;
use crate::keys::{self, KEY_FILE, KeyError};

/// Why no node was born. A key or state that was there was not touched.
#[derive(Debug, thiserror::Error)]
pub enum BirthError {
    /// The key could not be made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The directory cannot be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// There is state of a node that has lived, but not its key.
    #[error("{dir} holds the state of node {node}, whose key is missing; nothing was touched")]
    KeyMissing {
        /// The directory.
        dir: PathBuf,
        /// The node.
        node: NodeId,
    },
}

impl Help for BirthError {
    fn help(&self) -> String {
        match self {
            BirthError::Key(error) => error.help(),
            BirthError::Storage(error) => error.help(),
            BirthError::KeyMissing { .. } => "put its key back, or choose another state directory".into(),
        }
    }
}

/// Makes a state directory (with its parents, 0700) with the state of a newborn node and then its key, both synced.
/// Refuses a directory that has a key or a node's state. Returns the path of the key.
pub fn give_birth(dir: &Path, key: &NodeKey) -> Result<PathBuf, BirthError> {
    make_directory(dir).map_err(|source| StorageError::Io { path: dir.into(), source })?;
    check_directory(dir)?;
    let _lock = take_lock(dir)?;
    let path = dir.join(KEY_FILE);
    if fs::symlink_metadata(&path).is_ok() {
        return Err(KeyError::Exists { path }.into());
    }
    let state = dir.join(RECORD_FILE);
    if let Some(found) = read_record(&state)?.filter(|found| !record::is_newborn(found)) {
        return Err(BirthError::KeyMissing { dir: dir.into(), node: found.node });
    }
    let newborn = record::to_file(&record::newborn(key.id()));
    atomic::replace(&state, &newborn, MODE).map_err(|source| StorageError::Io { path: state, source })?;
    Ok(keys::save(dir, key)?)
}
