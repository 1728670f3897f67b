//! A root in a file of its own: one certificate, in PEM or in DER.

use std::path::{Path, PathBuf};

use nitro_elect_protocol::attestation::Root;
use nitro_elect_protocol::limits::ROOT_MAX;

use super::{LABEL, RootTextError};
use crate::help::Help;
use crate::input::{self, InputError};
use crate::pem_block;

/// Largest file, in bytes: the certificate in base64, and some explanation around it.
const FILE_MAX: usize = 4 * ROOT_MAX;

/// Why a file holds no root.
#[derive(Debug, thiserror::Error)]
pub enum RootFileError {
    /// It could not be read.
    #[error("root: {0}")]
    Read(#[from] InputError),
    /// Its contents are no certificate, or of none that can be a root.
    #[error("root {path}: {fault}")]
    Contents {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        fault: RootTextError,
    },
}

impl Help for RootFileError {
    fn help(&self) -> String {
        match self {
            RootFileError::Read(error) => error.help(),
            RootFileError::Contents { .. } => {
                "give \"aws\", or the certificate of the authority that issued the document's chain".into()
            }
        }
    }
}

/// Reads a root certificate.
pub fn load_root(path: &Path) -> Result<Root, RootFileError> {
    let bytes = input::read_bytes(path, FILE_MAX)?;
    read(&bytes).map_err(|fault| RootFileError::Contents { path: path.into(), fault })
}

/// DER begins with a SEQUENCE, which no text does.
fn read(bytes: &[u8]) -> Result<Root, RootTextError> {
    match std::str::from_utf8(bytes) {
        Ok(text) if bytes.first() != Some(&0x30) => Ok(Root::from_der(&pem_block::decode(LABEL, text)?)?),
        _ => Ok(Root::from_der(bytes)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nitro_elect_protocol::attestation::AWS_ROOT_DER;

    #[test]
    fn a_root_is_read_in_pem_and_in_der() {
        let pem = pem_block::encode(LABEL, AWS_ROOT_DER);
        assert_eq!(read(AWS_ROOT_DER), Ok(Root::Aws));
        assert_eq!(read(pem.as_bytes()), Ok(Root::Aws));
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        for bytes in [&b""[..], b"aws", b"0", &[0xff, 0x30], &AWS_ROOT_DER[1..], &AWS_ROOT_DER[..100]] {
            assert!(read(bytes).is_err(), "{bytes:?}");
        }
    }
}
