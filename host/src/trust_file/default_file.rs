//! The trust file that is used when an open cluster is given none: the one that `simulate-enclave` writes.
//!
//! It decides who is believed, so it counts only where nobody but its user can have put it: in a directory that is
//! the user's own and closed to others (0700), and never in a temporary one, which anybody may have made first.
//! Clusters with a manifest never use it.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::help::Help;
use crate::state_home::{NoStateHome, state_home};

/// Why there is no trust file to use by default.
#[derive(Debug, thiserror::Error)]
pub enum DefaultTrustError {
    /// There is no home directory.
    #[error(transparent)]
    NoStateHome(#[from] NoStateHome),
    /// Nobody wrote it yet.
    #[error("no trust file was named, and there is none at {path}")]
    Missing {
        /// Where it would be.
        path: PathBuf,
    },
    /// It is in a temporary directory.
    #[error("the trust file {path} is not used by default: it is in the temporary directory {temporary}")]
    Temporary {
        /// The trust file.
        path: PathBuf,
        /// The temporary directory above it.
        temporary: PathBuf,
    },
    /// Its directory belongs to somebody else.
    #[error(
        "the trust file {path} is not used by default: its directory belongs to user {owner}, not to you"
    )]
    NotYours {
        /// The trust file.
        path: PathBuf,
        /// The owner of the directory.
        owner: u32,
    },
    /// Its directory is open to others.
    #[error("the trust file {path} is not used by default: its directory has mode {mode:04o}, not 0700")]
    Exposed {
        /// The trust file.
        path: PathBuf,
        /// The permission bits of the directory.
        mode: u32,
    },
    /// The system refused.
    #[error("could not look at {path}: {source}")]
    Io {
        /// The trust file or its directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl Help for DefaultTrustError {
    fn help(&self) -> String {
        match self {
            DefaultTrustError::NoStateHome(error) => error.help(),
            DefaultTrustError::Missing { .. } => {
                "run `nitro-elect simulate-enclave`, which writes it, or name one with --trust".into()
            }
            DefaultTrustError::Temporary { .. } | DefaultTrustError::NotYours { .. } => {
                "if you trust that file, name it with --trust".into()
            }
            DefaultTrustError::Exposed { path, .. } => {
                let dir = path.parent().unwrap_or(path).display();
                format!("run `chmod 700 {dir}`, or, if you trust that file, name it with --trust")
            }
            DefaultTrustError::Io { .. } => "name a trust file with --trust".into(),
        }
    }
}

/// Where `simulate-enclave` writes its trust file when nothing else is said. Nothing is checked.
pub fn default_path() -> Result<PathBuf, NoStateHome> {
    Ok(state_home()?.join("simulated/trust.json"))
}

/// The trust file of open clusters that were given none, if it is there and safe to use.
pub fn default_trust_file() -> Result<PathBuf, DefaultTrustError> {
    let path = default_path()?;
    let temporary = [std::env::temp_dir(), "/tmp".into(), "/var/tmp".into(), "/dev/shm".into()];
    // SAFETY: geteuid has no arguments, cannot fail and touches no memory.
    let user = unsafe { libc::geteuid() };
    check(&path, user, &temporary)?;
    Ok(path)
}

fn check(path: &Path, user: u32, temporary: &[PathBuf]) -> Result<(), DefaultTrustError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => DefaultTrustError::Missing { path: path.into() },
        _ => DefaultTrustError::Io { path: path.into(), source },
    };
    let real = fs::canonicalize(path).map_err(failed)?;
    let inside = |dir: &&PathBuf| fs::canonicalize(dir).is_ok_and(|dir| real.starts_with(dir));
    if let Some(temporary) = temporary.iter().find(inside) {
        return Err(DefaultTrustError::Temporary { path: path.into(), temporary: temporary.clone() });
    }
    let directory = fs::metadata(real.parent().unwrap_or(Path::new("/"))).map_err(failed)?;
    let (owner, mode) = (directory.uid(), directory.permissions().mode() & 0o7777);
    if owner != user {
        return Err(DefaultTrustError::NotYours { path: path.into(), owner });
    }
    if mode & 0o077 != 0 {
        return Err(DefaultTrustError::Exposed { path: path.into(), mode });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn trust_file() -> (tempfile::TempDir, PathBuf, u32) {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let path = dir.path().join("trust.json");
        fs::write(&path, "{}").unwrap();
        let user = fs::metadata(&path).unwrap().uid();
        (dir, path, user)
    }

    #[test]
    fn a_file_in_a_directory_of_ones_own_is_used() {
        let (_dir, path, user) = trust_file();
        check(&path, user, &[]).unwrap();
    }

    #[test]
    fn a_file_that_is_not_there_is_missing() {
        let (dir, _, user) = trust_file();
        let error = check(&dir.path().join("other"), user, &[]).unwrap_err();
        assert!(
            matches!(error, DefaultTrustError::Missing { .. }) && error.help().contains("simulate-enclave")
        );
    }

    #[test]
    fn a_file_in_a_temporary_directory_is_not_used_even_through_a_link() {
        let (dir, path, user) = trust_file();
        let temporary = [dir.path().to_path_buf()];
        assert!(matches!(check(&path, user, &temporary), Err(DefaultTrustError::Temporary { .. })));
        let elsewhere = tempfile::tempdir().unwrap();
        let link = elsewhere.path().join("trust.json");
        symlink(&path, &link).unwrap();
        assert!(matches!(check(&link, user, &temporary), Err(DefaultTrustError::Temporary { .. })));
    }

    #[test]
    fn a_directory_of_somebody_else_or_open_to_others_does_not_count() {
        let (dir, path, user) = trust_file();
        assert!(matches!(check(&path, user + 1, &[]), Err(DefaultTrustError::NotYours { .. })));
        for mode in [0o755, 0o710, 0o707] {
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).unwrap();
            assert!(matches!(check(&path, user, &[]), Err(DefaultTrustError::Exposed { .. })), "{mode:o}");
        }
    }
}
