//! The form of small files that a node must be able to rely on: eight bytes that say what it is, the format's version,
//! the length of the body, a SHA-256 over these and the body, and the body in canonical CBOR.
//!
//! Such a file is replaced whole. One that is anything else is refused; nothing is ever guessed from a damaged one.

use std::fs;
use std::io;
use std::path::Path;

use nitro_elect_protocol::codec::{self, DecodeError};
use nitro_elect_protocol::hash;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The version of the format.
pub const VERSION: u32 = 1;
/// Magic, version, length, checksum.
const HEADER: usize = 8 + 4 + 4 + 32;

/// What a file holds.
pub(super) struct Kind {
    /// Its first bytes.
    pub magic: [u8; 8],
    /// What people call it.
    pub what: &'static str,
    /// The domain of its checksum.
    pub domain: &'static str,
}

/// Why a file is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileFault {
    /// It ends too early, or goes on after its end.
    #[error("it has {found} bytes, its header asks for {expected}")]
    Length {
        /// The bytes of the file.
        found: usize,
        /// What its header says, or the least there can be.
        expected: usize,
    },
    /// It begins with something else.
    #[error("it is not a {0} (its first bytes are others)")]
    Magic(&'static str),
    /// Another format.
    #[error("it has format version {0}, this program reads version {VERSION}")]
    Version(u32),
    /// Bytes changed after it was written.
    #[error("its checksum does not fit its contents")]
    Checksum,
    /// The contents are something else.
    #[error("its contents cannot be read: {0}")]
    Contents(#[from] DecodeError),
}

/// Why a file was not read.
#[derive(Debug)]
pub(super) enum ReadFault {
    /// The system refused.
    Io(io::Error),
    /// It is damaged.
    Damaged(FileFault),
}

/// The bytes of a file with this body.
pub(super) fn to_file<T: Serialize>(kind: &Kind, contents: &T) -> Vec<u8> {
    let body = codec::encode(contents);
    let length = u32::try_from(body.len()).expect("such files have far fewer bytes");
    let (version, length) = (VERSION.to_be_bytes(), length.to_be_bytes());
    let checksum = hash::framed(kind.domain, &[&version, &length, &body]);
    [&kind.magic[..], &version, &length, &checksum, &body].concat()
}

/// Reads the bytes of a file.
pub(super) fn from_file<T: Serialize + DeserializeOwned>(kind: &Kind, bytes: &[u8]) -> Result<T, FileFault> {
    let short = FileFault::Length { found: bytes.len(), expected: HEADER };
    let (magic, rest) = bytes.split_first_chunk::<8>().ok_or(short.clone())?;
    let (version, rest) = rest.split_first_chunk::<4>().ok_or(short.clone())?;
    let (length, rest) = rest.split_first_chunk::<4>().ok_or(short.clone())?;
    let (found, body) = rest.split_first_chunk::<32>().ok_or(short)?;
    if *magic != kind.magic {
        return Err(FileFault::Magic(kind.what));
    }
    if u32::from_be_bytes(*version) != VERSION {
        return Err(FileFault::Version(u32::from_be_bytes(*version)));
    }
    let expected = HEADER.saturating_add(u32::from_be_bytes(*length) as usize);
    if bytes.len() != expected {
        return Err(FileFault::Length { found: bytes.len(), expected });
    }
    if *found != hash::framed(kind.domain, &[version, length, body]) {
        return Err(FileFault::Checksum);
    }
    Ok(codec::decode(body)?)
}

/// Reads all of a file of at most `max` bytes; nothing if there is none.
pub(super) fn read(path: &Path, max: usize) -> Result<Option<Vec<u8>>, ReadFault> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ReadFault::Io(source)),
        Ok(metadata) if metadata.len() > max as u64 => {
            let found = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
            Err(ReadFault::Damaged(FileFault::Length { found, expected: max }))
        }
        Ok(_) => fs::read(path).map(Some).map_err(ReadFault::Io),
    }
}
