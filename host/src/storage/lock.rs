//! One process per key: an exclusive lock on the state directory (DESIGN §3.6).
//!
//! The lock is the kernel's (`flock`), so it ends with the process that holds it, however that ends; the number in
//! the file is for people. A child that inherits the descriptor holds the lock too, until it executes its program: the
//! file is opened close-on-exec. For that instant, and while the threads of a killed process end, a lock that seems held
//! is tried again.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// The file that is locked.
pub(crate) const LOCK_FILE: &str = "lock";
/// The lock of the file `changes`, which the running node does not need.
pub(super) const CHANGES_LOCK_FILE: &str = "changes.lock";

/// How often a lock that is held is tried again, and how long is waited in between: 200 ms in all, longer than a process
/// needs to end or a child to begin, and too short to be noticed by whoever started a node twice.
const TRIES_MORE: u32 = 20;
const PAUSE: Duration = Duration::from_millis(10);

/// The lock, held until dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// Why the lock was not taken.
#[derive(Debug)]
pub(crate) enum LockError {
    /// Another process has it; its number, if the file said so.
    Held(Option<u32>),
    /// The system refused.
    Io(io::Error),
}

impl Lock {
    /// Takes the lock of a directory, or says who has it; waits no longer than 200 ms.
    pub(crate) fn take(dir: &Path) -> Result<Self, LockError> {
        Self::take_named(dir, LOCK_FILE)
    }

    /// The same of another lock in the directory.
    pub(super) fn take_named(dir: &Path, name: &str) -> Result<Self, LockError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(dir.join(name)).map_err(LockError::Io)?;
        match try_for_a_moment(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LockError::Held(holder(&mut file))),
            Err(TryLockError::Error(error)) => return Err(LockError::Io(error)),
        }
        // Best effort: a full disk must not keep a node from the lock that it has.
        let _ = file.set_len(0).and_then(|()| file.write_all(format!("{}\n", std::process::id()).as_bytes()));
        Ok(Lock { _file: file })
    }
}

fn try_for_a_moment(file: &File) -> Result<(), TryLockError> {
    for _ in 0..TRIES_MORE {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
            tried => return tried,
        }
    }
    file.try_lock()
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_lock_names_its_holder_and_ends_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let lock = Lock::take(dir.path()).unwrap();
        assert!(
            matches!(Lock::take(dir.path()), Err(LockError::Held(Some(pid))) if pid == std::process::id())
        );
        drop(lock);
        assert!(Lock::take(dir.path()).is_ok());
    }
}
