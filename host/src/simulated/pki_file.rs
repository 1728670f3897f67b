//! Keeping the simulated module's root in a file, so that the next simulated enclave is accepted by the same trust
//! file. It is the secret of the simulation: whoever has it can sign anything as that module.

use std::io;
use std::path::{Path, PathBuf};

use super::{SimulatedPki, SimulatedPkiError};
use crate::help::Help;
use crate::private_file::{self, MODE, PrivateFileError};
use crate::storage::atomic;

/// Why the root could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum PkiFileError {
    /// The file could not be read, or others could.
    #[error("PKI file: {0}")]
    File(#[from] PrivateFileError),
    /// Its contents are wrong.
    #[error("{path}: {fault}")]
    Contents {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        fault: Box<SimulatedPkiError>,
    },
    /// A new root could not be made.
    #[error("no simulated root could be made: {0}")]
    Generate(Box<SimulatedPkiError>),
    /// The system refused to write it.
    #[error("could not write the PKI file {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl Help for PkiFileError {
    fn help(&self) -> String {
        match self {
            PkiFileError::File(error) => error.help(),
            PkiFileError::Contents { .. } => {
                "name the right file, or another that is not there yet: a new root is then made, which only a new trust \
                 file accepts"
                    .into()
            }
            PkiFileError::Generate(_) => "check that getrandom(2) works here".into(),
            PkiFileError::Write { .. } => "check the path, its permissions and the disk".into(),
        }
    }
}

/// Reads the root that a file keeps, or makes one and keeps it there (0600). Of two that make it at once, both get the
/// one that is kept.
pub fn load_or_create(path: &Path) -> Result<SimulatedPki, PkiFileError> {
    if let Some(pki) = load(path)? {
        return Ok(pki);
    }
    let pki = generate()?;
    match atomic::create(path, pki.to_pem().as_bytes(), MODE) {
        Ok(()) => Ok(pki),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            load(path)?.ok_or_else(|| PrivateFileError::Missing { path: path.into() }.into())
        }
        Err(source) => Err(PkiFileError::Write { path: path.into(), source }),
    }
}

/// Makes a root that no file keeps.
pub fn generate() -> Result<SimulatedPki, PkiFileError> {
    SimulatedPki::generate().map_err(|error| PkiFileError::Generate(Box::new(error)))
}

fn load(path: &Path) -> Result<Option<SimulatedPki>, PkiFileError> {
    let text = match private_file::read(path) {
        Ok(text) => text,
        Err(PrivateFileError::Missing { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let pki = SimulatedPki::from_pem(&text);
    pki.map(Some).map_err(|fault| PkiFileError::Contents { path: path.into(), fault: Box::new(fault) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_root_is_made_once_for_its_owner_alone_and_then_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pki.pem");
        let first = load_or_create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(load_or_create(&path).unwrap().root_der(), first.root_der());
    }

    #[test]
    fn a_file_that_others_can_read_or_that_is_none_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pki.pem");
        fs::write(&path, "hello").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(load_or_create(&path), Err(PkiFileError::File(PrivateFileError::Exposed { .. }))));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(load_or_create(&path), Err(PkiFileError::Contents { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "hello");
    }

    #[test]
    fn enclaves_that_start_at_once_share_one_root() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pki.pem");
        let roots: Vec<Vec<u8>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| load_or_create(&path).unwrap())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap().root_der().to_vec()).collect()
        });
        assert!(roots.iter().all(|root| *root == roots[0]));
    }
}
