//! The key of a node: the file `key` of its state directory, Ed25519 as PKCS#8 in PEM (RFC 8410, RFC 5958).
//!
//! It is made once, never overwritten, readable by its owner alone, and never logged. What a wrong file is, an RSA
//! key or a public key for instance, is said by name.

use ring::rand::{SecureRandom, SystemRandom};
use std::io;
use std::path::{Path, PathBuf};

use nitro_elect_protocol::crypto::NodeKey;

use crate::help::Help;
use crate::pem_block::{self, PemBlockError};
use crate::private_file::{self, MODE, PrivateFileError};
use crate::storage::atomic;

/// The name of the key file in a state directory.
pub const KEY_FILE: &str = "key";
const LABEL: &str = "PRIVATE KEY";

/// PKCS#8 of an Ed25519 key up to its seed of 32 bytes: version 0, id-Ed25519, an octet string in another.
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// Object identifiers of other algorithms' keys, as DER, to name a wrong file.
const OTHER_ALGORITHMS: [(&[u8], &str); 4] = [
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01], "an RSA key"),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01], "an elliptic-curve (ECDSA) key"),
    (&[0x2b, 0x65, 0x6e], "an X25519 key"),
    (&[0x2b, 0x65, 0x71], "an Ed448 key"),
];

/// Why a key could not be read or made. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It could not be read, or others could.
    #[error("key: {0}")]
    File(#[from] PrivateFileError),
    /// Not the PEM of a private key.
    #[error("{path} is no private key: {fault}")]
    NotPem {
        /// The key file.
        path: PathBuf,
        /// What it is instead.
        fault: PemBlockError,
    },
    /// A private key of another algorithm.
    #[error("{path} is {found}; a node's key is Ed25519")]
    OtherAlgorithm {
        /// The key file.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// A private key in another form, or garbage in PEM.
    #[error("{path} is not an Ed25519 key in PKCS#8 (48 bytes, RFC 8410)")]
    NotPkcs8 {
        /// The key file.
        path: PathBuf,
    },
    /// There is a key already.
    #[error("there is a key already at {path}; it was not touched")]
    Exists {
        /// The key file.
        path: PathBuf,
    },
    /// The system refused to write it.
    #[error("could not write the key {path}: {source}")]
    Write {
        /// The key file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The system gave no random numbers.
    #[error("the system gave no random numbers for a new key")]
    Randomness,
}

impl Help for KeyError {
    fn help(&self) -> String {
        match self {
            KeyError::File(PrivateFileError::Missing { path }) => {
                let dir = path.parent().unwrap_or(path).display();
                format!("make one with `nitro-elect keygen --state {dir}`, or name the right state directory")
            }
            KeyError::File(error @ (PrivateFileError::Exposed { .. } | PrivateFileError::Io { .. })) => {
                error.help()
            }
            KeyError::Exists { .. } => "choose another state directory; a key is never overwritten".into(),
            KeyError::Write { .. } => "check the path, its permissions and the disk".into(),
            KeyError::Randomness => "check that getrandom(2) works here".into(),
            KeyError::File(_)
            | KeyError::NotPem { .. }
            | KeyError::OtherAlgorithm { .. }
            | KeyError::NotPkcs8 { .. } => {
                "put the node's own key there; `nitro-elect keygen` makes one in a new state directory".into()
            }
        }
    }
}

/// Draws a new key from the system's randomness.
pub fn generate() -> Result<NodeKey, KeyError> {
    let mut seed = [0; 32];
    SystemRandom::new().fill(&mut seed).map_err(|_| KeyError::Randomness)?;
    Ok(NodeKey::from_seed(seed))
}

/// Writes a new key into a state directory, synced, and returns its path; refuses to overwrite one.
pub fn save(dir: &Path, key: &NodeKey) -> Result<PathBuf, KeyError> {
    let path = dir.join(KEY_FILE);
    match atomic::create(&path, to_pem(key).as_bytes(), MODE) {
        Ok(()) => Ok(path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(KeyError::Exists { path }),
        Err(source) => Err(KeyError::Write { path, source }),
    }
}

/// Reads the key of a state directory.
pub fn load(dir: &Path) -> Result<NodeKey, KeyError> {
    let path = dir.join(KEY_FILE);
    let text = private_file::read(&path)?;
    from_pem(&path, &text)
}

fn to_pem(key: &NodeKey) -> String {
    pem_block::encode(LABEL, &[&PKCS8_PREFIX[..], key.seed()].concat())
}

fn from_pem(path: &Path, text: &str) -> Result<NodeKey, KeyError> {
    let der =
        pem_block::decode(LABEL, text).map_err(|fault| KeyError::NotPem { path: path.into(), fault })?;
    let seed = der.strip_prefix(&PKCS8_PREFIX).and_then(|seed| seed.try_into().ok());
    seed.map(NodeKey::from_seed).ok_or_else(|| match other_algorithm(&der) {
        Some(found) => KeyError::OtherAlgorithm { path: path.into(), found },
        None => KeyError::NotPkcs8 { path: path.into() },
    })
}

/// The algorithm identifier stands in the first bytes of PKCS#8; a seed that happens to contain one does not count.
fn other_algorithm(der: &[u8]) -> Option<&'static str> {
    let head = &der[..der.len().min(24)];
    let names = |oid: &[u8]| head.windows(oid.len()).any(|window| window == oid);
    OTHER_ALGORITHMS.iter().find(|(oid, _)| names(oid)).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests;
