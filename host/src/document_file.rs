//! An attestation document as people hold one: the bytes as they came from an NSM, or those in base64 or hexadecimal.
//!
//! The first byte tells them apart: a COSE_Sign1 begins with an array or a tag of CBOR, 0x80 or above, and no text does.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::path::{Path, PathBuf};

use nitro_elect_protocol::hash;
use nitro_elect_protocol::limits::DOCUMENT_MAX;

use crate::help::Help;
use crate::input::{self, InputError};

/// Largest file, in bytes: twice the document in hexadecimal, and room for its line feeds.
const FILE_MAX: usize = 2 * DOCUMENT_MAX + DOCUMENT_MAX / 8;

/// Why a file holds no document.
#[derive(Debug, thiserror::Error)]
pub enum DocumentFileError {
    /// It could not be read.
    #[error("attestation document: {0}")]
    Read(#[from] InputError),
    /// It is empty.
    #[error("attestation document {0}: the file is empty")]
    Empty(PathBuf),
    /// Text of another kind.
    #[error("attestation document {0}: it is text, but neither base64 nor hexadecimal")]
    Text(PathBuf),
}

impl Help for DocumentFileError {
    fn help(&self) -> String {
        match self {
            DocumentFileError::Read(error) => error.help(),
            DocumentFileError::Empty(_) | DocumentFileError::Text(_) => {
                "give the document that an NSM returned: its bytes, or those in base64 or hexadecimal".into()
            }
        }
    }
}

/// Reads a document from a file; nothing of it is checked.
pub fn load(path: &Path) -> Result<Vec<u8>, DocumentFileError> {
    let bytes = input::read_bytes(path, FILE_MAX)?;
    match bytes.first() {
        None => Err(DocumentFileError::Empty(path.into())),
        Some(0x80..) => Ok(bytes),
        Some(_) => decode_text(&bytes).ok_or_else(|| DocumentFileError::Text(path.into())),
    }
}

fn decode_text(bytes: &[u8]) -> Option<Vec<u8>> {
    let text: String = std::str::from_utf8(bytes).ok()?.split_ascii_whitespace().collect();
    let decoded = hash::from_hex(&text).or_else(|| STANDARD.decode(&text).ok())?;
    (!decoded.is_empty()).then_some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const DOCUMENT: &[u8] = &[0x84, 0x44, 0xa1, 0x01, 0x38, 0x22, 0xa0];

    fn read(contents: &[u8]) -> Result<Vec<u8>, DocumentFileError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("document");
        fs::write(&path, contents).unwrap();
        load(&path)
    }

    #[test]
    fn bytes_base64_and_hexadecimal_are_the_same_document() {
        let wrapped = format!("{}\n{}\n", &hash::to_hex(DOCUMENT)[..6], &hash::to_hex(DOCUMENT)[6..]);
        for contents in [DOCUMENT.to_vec(), STANDARD.encode(DOCUMENT).into_bytes(), wrapped.into_bytes()] {
            assert_eq!(read(&contents).unwrap(), DOCUMENT);
        }
    }

    #[test]
    fn other_files_are_called_what_they_are() {
        assert!(matches!(read(b""), Err(DocumentFileError::Empty(_))));
        assert!(matches!(read(b"{\"document\": 1}"), Err(DocumentFileError::Text(_))));
        assert!(matches!(read(b" \n"), Err(DocumentFileError::Text(_))));
        assert!(matches!(read(&vec![0x84; FILE_MAX + 1]), Err(DocumentFileError::Read(_))));
    }
}
