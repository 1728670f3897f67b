//! Reading files that somebody else wrote: bounded before anything is kept, and pipes welcome (`/dev/stdin`).

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::help::Help;

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The system refused.
    #[error("could not read {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// More than such a file ever has.
    #[error("{path} has more than {max} bytes: it is not the file that it should be")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The bound.
        max: usize,
    },
    /// Bytes that are no text.
    #[error("{path} is not text (byte {offset} is not UTF-8)")]
    NotText {
        /// The file.
        path: PathBuf,
        /// Where it stops being text.
        offset: usize,
    },
}

impl Help for InputError {
    fn help(&self) -> String {
        "check the path, and that it is the file you mean".into()
    }
}

/// Reads all of a text of at most `max` bytes.
pub fn read_text(path: &Path, max: usize) -> Result<String, InputError> {
    String::from_utf8(read_bytes(path, max)?).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        InputError::NotText { path: path.into(), offset }
    })
}

/// Reads all of a file of at most `max` bytes.
pub fn read_bytes(path: &Path, max: usize) -> Result<Vec<u8>, InputError> {
    read_bytes_begun(path, max, (0, b""))
}

/// The same for a kind of file that begins with `magic`: of one that does not, its first `head` bytes are read and no more.
pub fn read_bytes_begun(
    path: &Path,
    max: usize,
    (head, magic): (usize, &[u8]),
) -> Result<Vec<u8>, InputError> {
    let failed = |source| InputError::Io { path: path.into(), source };
    let mut bytes = Vec::new();
    let mut file = File::open(path).map_err(failed)?;
    file.by_ref().take(head as u64).read_to_end(&mut bytes).map_err(failed)?;
    if !bytes.starts_with(magic) {
        return Ok(bytes);
    }
    let rest = (max + 1).saturating_sub(bytes.len()) as u64;
    file.take(rest).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > max {
        return Err(InputError::TooLarge { path: path.into(), max });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_text_is_read_up_to_its_bound_and_no_further() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("text");
        fs::write(&path, "12345").unwrap();
        assert_eq!(read_text(&path, 5).unwrap(), "12345");
        assert!(matches!(read_text(&path, 4), Err(InputError::TooLarge { max: 4, .. })));
        assert!(matches!(read_text(Path::new("/dev/zero"), 4), Err(InputError::TooLarge { .. })));
    }

    #[test]
    fn of_a_file_that_begins_wrongly_no_more_is_read_than_its_head() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image");
        fs::write(&path, "magic and more").unwrap();
        assert_eq!(read_bytes_begun(&path, 14, (7, b"magic")).unwrap(), b"magic and more");
        assert!(matches!(
            read_bytes_begun(&path, 13, (7, b"magic")),
            Err(InputError::TooLarge { max: 13, .. })
        ));
        assert_eq!(read_bytes_begun(Path::new("/dev/zero"), 1 << 40, (7, b"magic")).unwrap(), [0; 7]);
    }

    #[test]
    fn what_is_missing_a_directory_or_no_text_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("text");
        assert!(matches!(read_text(&path, 5), Err(InputError::Io { .. })));
        assert!(matches!(read_text(dir.path(), 5), Err(InputError::Io { .. })));
        fs::write(&path, b"ab\xff").unwrap();
        assert!(matches!(read_text(&path, 5), Err(InputError::NotText { offset: 2, .. })));
    }
}
