//! The state directory of a fence or gate: its record and the lock that keeps a second process away.
//!
//! | file | what it is |
//! | --- | --- |
//! | `fence` | the [`Record`], replaced whole before anything of a new term is let through |
//! | `lock` | the lock |
//!
//! The record is born before the lock, so a directory that has the lock and no record has lost it, and is refused: an
//! empty memory would admit terms that are over.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nitro_elect_protocol::ids::ClusterId;

use super::record::{Record, RecordFault};
use crate::help::Help;
use crate::input;
use crate::limits::FENCE_RECORD_MAX;
use crate::storage::lock::{LOCK_FILE, Lock, LockError};
use crate::storage::{StorageError, atomic, check_directory, make_directory};

/// The name of the record.
pub const RECORD_FILE: &str = "fence";
const MODE: u32 = 0o600;

/// Why the state was not opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The directory is none, or others can write into it.
    #[error(transparent)]
    Directory(StorageError),
    /// Another process fences by it.
    #[error(
        "the state directory {dir} is in use by another fence or gate{}",
        pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    Locked {
        /// The directory.
        dir: PathBuf,
        /// The process, if it is known.
        pid: Option<u32>,
    },
    /// The record was changed or cut.
    #[error("the record {path} is damaged: {fault}")]
    Damaged {
        /// The record.
        path: PathBuf,
        /// What is wrong.
        fault: RecordFault,
    },
    /// It was there once.
    #[error(
        "the record {path} is missing, though this directory was in use: the terms that are over are forgotten"
    )]
    Lost {
        /// Where it should be.
        path: PathBuf,
    },
    /// Another cluster's terms.
    #[error("the record {path} is of cluster {found}, the manifest describes {expected}")]
    OtherCluster {
        /// The record.
        path: PathBuf,
        /// Its cluster.
        found: ClusterId,
        /// The manifest's.
        expected: ClusterId,
    },
    /// The system refused.
    #[error("could not use {path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl Help for StateError {
    fn help(&self) -> String {
        match self {
            StateError::Directory(error) => error.help(),
            StateError::Locked { .. } => "a resource has exactly one gate: stop the other first".into(),
            StateError::Damaged { path, .. } | StateError::Lost { path } => format!(
                "make sure that nothing of an old leader reaches the resource any more (close its connections there), \
                 then move {} away whole and start again: the next leader has a higher term",
                path.parent().unwrap_or(path).display()
            ),
            StateError::OtherCluster { .. } => {
                "name that cluster's manifest, or a state directory of its own for this resource".into()
            }
            StateError::Io { .. } => "check the path, its permissions and the disk".into(),
        }
    }
}

/// The state, open and locked.
#[derive(Debug)]
pub struct FenceState {
    dir: PathBuf,
    path: PathBuf,
    record: Record,
    _lock: Lock,
}

impl FenceState {
    /// Opens the state of a fence for this process alone; makes it if the directory is new or empty.
    pub fn open(dir: &Path, cluster: ClusterId) -> Result<Self, StateError> {
        let io = |path: &Path| {
            let path = path.to_path_buf();
            move |source| StateError::Io { path, source }
        };
        make_directory(dir).map_err(io(dir))?;
        check_directory(dir).map_err(StateError::Directory)?;
        let path = dir.join(RECORD_FILE);
        if !dir.join(LOCK_FILE).exists() {
            born(&path, cluster).map_err(io(&path))?;
        }
        let lock = Lock::take(dir).map_err(|error| match error {
            LockError::Held(pid) => StateError::Locked { dir: dir.into(), pid },
            LockError::Io(source) => StateError::Io { path: dir.into(), source },
        })?;
        atomic::sweep(&path).map_err(io(dir))?;
        let record = read(&path)?;
        if record.cluster != cluster {
            return Err(StateError::OtherCluster { path, found: record.cluster, expected: cluster });
        }
        Ok(FenceState { dir: dir.into(), path, record, _lock: lock })
    }

    /// What is durable of a fence or gate that may be running: it may have gone on by the time this returns.
    pub fn peek(dir: &Path) -> Result<Record, StateError> {
        read(&dir.join(RECORD_FILE))
    }

    /// What is durable.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Makes a record durable: when this returns, it survives a power failure. Blocks for two syncs.
    ///
    /// # Errors
    /// After an error the record before counts, though either may be on the disk: save that one again before more is let
    /// through under it.
    pub fn save(&mut self, record: Record) -> io::Result<()> {
        atomic::replace(&self.path, record.to_text().as_bytes(), MODE)?;
        self.record = record;
        Ok(())
    }
}

/// Writes the first record, unless somebody else just did.
fn born(path: &Path, cluster: ClusterId) -> io::Result<()> {
    match atomic::create(path, Record::newborn(cluster).to_text().as_bytes(), MODE) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

fn read(path: &Path) -> Result<Record, StateError> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(StateError::Lost { path: path.into() });
        }
        Err(source) => return Err(StateError::Io { path: path.into(), source }),
        Ok(_) => {}
    }
    let damaged = |fault| StateError::Damaged { path: path.into(), fault };
    let text = input::read_text(path, FENCE_RECORD_MAX).map_err(|error| match error {
        input::InputError::Io { path, source } => StateError::Io { path, source },
        input::InputError::TooLarge { .. } | input::InputError::NotText { .. } => damaged(RecordFault::Lines),
    })?;
    Record::parse(&text).map_err(damaged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nitro_elect_protocol::ids::Term;

    const CLUSTER: ClusterId = ClusterId([5; 16]);

    fn open(dir: &Path) -> Result<FenceState, StateError> {
        FenceState::open(dir, CLUSTER)
    }

    #[test]
    fn a_term_that_was_saved_is_there_at_the_next_start() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("new/fence");
        let mut state = open(&dir).unwrap();
        assert_eq!(*state.record(), Record::newborn(CLUSTER));
        let record = Record { term: Term(4), open: true, ..Record::newborn(CLUSTER) };
        state.save(record.clone()).unwrap();
        assert!(
            matches!(open(&dir), Err(StateError::Locked { pid: Some(pid), .. }) if pid == std::process::id())
        );
        drop(state);
        assert_eq!(*open(&dir).unwrap().record(), record);
    }

    #[test]
    fn a_damaged_a_lost_and_a_foreign_record_are_refused_with_what_to_do() {
        let home = tempfile::tempdir().unwrap();
        drop(open(home.path()).unwrap());
        let path = home.path().join(RECORD_FILE);
        let other = FenceState::open(home.path(), ClusterId([6; 16])).unwrap_err();
        assert!(matches!(other, StateError::OtherCluster { .. }), "{other}");
        for damage in [&b"nitro-elect"[..], b"", b"\xff", &[b'x'; FENCE_RECORD_MAX + 1]] {
            fs::write(&path, damage).unwrap();
            let damaged = open(home.path()).unwrap_err();
            assert!(matches!(damaged, StateError::Damaged { .. }), "{damaged}");
            assert!(damaged.help().contains("move"), "{}", damaged.help());
            assert_eq!(fs::read(&path).unwrap(), damage, "it was not touched");
        }
        fs::remove_file(&path).unwrap();
        assert!(matches!(open(home.path()), Err(StateError::Lost { .. })));
    }

    #[test]
    fn a_directory_that_others_can_write_into_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(open(home.path()), Err(StateError::Directory(StorageError::Exposed { .. }))));
    }
}
