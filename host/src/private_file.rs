//! Files that hold a secret: readable by their owner alone, or not read at all.

use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::help::Help;
use crate::limits::KEY_FILE_MAX;

/// The mode of such a file.
pub const MODE: u32 = 0o600;

/// Why a secret was not read.
#[derive(Debug, thiserror::Error)]
pub enum PrivateFileError {
    /// There is none.
    #[error("there is no {path}")]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The system refused to read it.
    #[error("could not read {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A directory, a pipe, a device.
    #[error("{path} is not a regular file")]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// Others than its owner could read or change it.
    #[error("the secret {path} is open to others (its mode is {mode:04o}, not 0600)")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Others than this user decide what lies there.
    #[error(
        "others can put files into {path} (user {owner}'s, mode {mode:04o}), so no secret is looked for or left there"
    )]
    NotOwn {
        /// The directory.
        path: PathBuf,
        /// The number of its owner.
        owner: u32,
        /// Its permission bits.
        mode: u32,
    },
    /// Far larger than any key.
    #[error("{path} has more than {KEY_FILE_MAX} bytes, a key has a few hundred")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Bytes that are no text.
    #[error("{path} is not text, so it is no key in PEM")]
    NotText {
        /// The file.
        path: PathBuf,
    },
}

impl Help for PrivateFileError {
    fn help(&self) -> String {
        match self {
            PrivateFileError::Exposed { path, .. } => {
                format!(
                    "if nobody else can have read it, run `chmod 600 {}`; else make a new one",
                    path.display()
                )
            }
            PrivateFileError::NotOwn { .. } => "make it a directory of this user's own: chmod 700".into(),
            PrivateFileError::Io { .. } => "check the path, its permissions and the disk".into(),
            _ => "name the right file".into(),
        }
    }
}

/// Reads a secret. What is checked is what was opened: no name is looked up twice.
pub fn read(path: &Path) -> Result<String, PrivateFileError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => PrivateFileError::Missing { path: path.into() },
        _ => PrivateFileError::Io { path: path.into(), source },
    };
    // Without O_NONBLOCK, opening a pipe would wait for its writer.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    let mode = metadata.permissions().mode() & 0o7777;
    if !metadata.is_file() {
        return Err(PrivateFileError::NotAFile { path: path.into() });
    }
    if mode & 0o077 != 0 {
        return Err(PrivateFileError::Exposed { path: path.into(), mode });
    }
    let mut bytes = Vec::new();
    file.take(KEY_FILE_MAX as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > KEY_FILE_MAX {
        return Err(PrivateFileError::TooLarge { path: path.into() });
    }
    String::from_utf8(bytes).map_err(|_| PrivateFileError::NotText { path: path.into() })
}

/// Refuses a directory into which anybody but this user can put files: a link there could name any secret that this user
/// can read.
pub fn check_directory(path: &Path) -> Result<(), PrivateFileError> {
    // SAFETY: geteuid has no arguments, cannot fail and touches no memory.
    check_directory_of(path, unsafe { libc::geteuid() })
}

fn check_directory_of(path: &Path, user: u32) -> Result<(), PrivateFileError> {
    let metadata = fs::metadata(path).map_err(|source| PrivateFileError::Io { path: path.into(), source })?;
    let (owner, mode) = (metadata.uid(), metadata.permissions().mode() & 0o7777);
    if owner != user || mode & 0o022 != 0 {
        return Err(PrivateFileError::NotOwn { path: path.into(), owner, mode });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (dir, path)
    }

    #[test]
    fn a_secret_that_others_can_read_or_change_is_refused() {
        for mode in [0o640, 0o604, 0o620, 0o602, 0o610, 0o666, 0o777] {
            let (_dir, path) = file(b"x", mode);
            let error = read(&path).unwrap_err();
            assert!(
                matches!(error, PrivateFileError::Exposed { mode: found, .. } if found == mode),
                "{error}"
            );
            assert!(error.help().contains("chmod 600"));
        }
        for mode in [0o400, 0o600] {
            let (_dir, path) = file(b"x", mode);
            assert_eq!(read(&path).unwrap(), "x");
        }
    }

    #[test]
    fn nothing_a_directory_and_a_pipe_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(read(&dir.path().join("none")), Err(PrivateFileError::Missing { .. })));
        assert!(matches!(read(dir.path()), Err(PrivateFileError::NotAFile { .. })));
        let pipe = dir.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert!(matches!(read(&pipe), Err(PrivateFileError::NotAFile { .. })));
    }

    #[test]
    fn a_directory_of_another_user_or_that_others_can_write_to_holds_no_secrets() {
        let dir = tempfile::tempdir().unwrap();
        let user = fs::metadata(dir.path()).unwrap().uid();
        let checked = |mode: u32, user: u32| {
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).unwrap();
            check_directory_of(dir.path(), user)
        };
        for (mode, user) in [(0o770, user), (0o702, user), (0o1777, user), (0o700, user + 1)] {
            assert!(matches!(checked(mode, user), Err(PrivateFileError::NotOwn { .. })), "{mode:o} {user}");
        }
        for mode in [0o700, 0o755] {
            checked(mode, user).unwrap();
        }
    }

    #[test]
    fn what_is_too_large_or_no_text_is_refused() {
        let (_dir, path) = file(&vec![b'x'; KEY_FILE_MAX + 1], 0o600);
        assert!(matches!(read(&path), Err(PrivateFileError::TooLarge { .. })));
        let (_dir, path) = file(b"\xff", 0o600);
        assert!(matches!(read(&path), Err(PrivateFileError::NotText { .. })));
    }
}
