//! The log of adopted certificates: `certificates.log`, and the files put aside before it ([`files`]).
//!
//! A file is a header and frames ([`frames`]), each with a [`Bundle`] in canonical CBOR. Every append is synced before
//! it returns.
//!
//! A crash can cut the last append short; such a tail is removed, and said. Damage with sound frames after it is no
//! crash but a failing disk or a stranger's hand, and is refused. (Rot in the very last frame cannot be told from a
//! cut; what is lost with it is a certificate that the others have, never a vote.)
//!
//! Growth is bounded: a full file is put aside, and of those a fixed number is kept. At start only the newest
//! certificate is needed, so only the file that has it is read.

mod files;
mod frames;
mod read;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nitro_elect_protocol::codec::{self, DecodeError};
use nitro_elect_protocol::proof::Bundle;

use super::atomic;
use crate::limits::{BUNDLE_MAX, LOG_CERTIFICATES_MAX, LOG_FILE_MAX};
use files::NAME;
use frames::{Fault, HEADER, Sound, frame, scan};

pub use read::{Damage, NoPlace, Page, Place, read_page};

/// Why a log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It begins with something else than a log of this format.
    #[error("{path} is not a certificate log of format version 1")]
    NotALog {
        /// The file.
        path: PathBuf,
    },
    /// It is larger than any log.
    #[error("{path} has {found} bytes, a log has at most {max}")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        found: u64,
        /// The bound.
        max: u64,
    },
    /// Bytes changed in the middle of it.
    #[error("{path} is damaged at byte {offset}, with sound certificates after it")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the damage begins.
        offset: u64,
    },
    /// Its newest certificate was written by another program.
    #[error("{path}: its newest certificate cannot be read: {fault}")]
    Contents {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: DecodeError,
    },
    /// The certificate to append exceeds the bounds.
    #[error("the certificate was not written: {0}")]
    Oversized(DecodeError),
}

/// The tail that a crash left, now removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The log file.
    pub path: PathBuf,
    /// Where the sound part ends, in bytes.
    pub offset: u64,
    /// How many bytes were removed.
    pub bytes: u64,
}

/// The open log.
#[derive(Debug)]
pub(super) struct CertificateLog {
    dir: PathBuf,
    file: File,
    /// Bytes that are known to be sound; what lies beyond is the rest of an append that failed.
    length: u64,
    count: usize,
}

/// What a log held when it was opened.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// The newest certificate with what proves it.
    pub(super) newest: Option<Bundle>,
    /// Tails that were removed.
    pub(super) cuts: Vec<Cut>,
}

impl CertificateLog {
    /// Opens or makes the log of a directory that is locked, and removes a torn tail.
    pub(super) fn open(dir: &Path) -> Result<(Self, Contents), LogError> {
        let path = dir.join(NAME);
        let mut contents = Contents::default();
        atomic::sweep(&path).map_err(at(&path))?;
        let growing = read_and_cut(&path, &mut contents.cuts)?;
        if !path.exists() {
            atomic::create(&path, &HEADER, 0o600).map_err(at(&path))?;
        }
        contents.newest = match growing.newest(&path)? {
            Some(newest) => Some(newest),
            None => newest_put_aside(dir)?,
        };
        let file = open_file(&path).map_err(at(&path))?;
        let length = (growing.end as u64).max(HEADER.len() as u64);
        Ok((CertificateLog { dir: dir.into(), file, length, count: growing.frames }, contents))
    }

    /// Appends a certificate and syncs it. After an error the log is as it was.
    pub(super) fn append(&mut self, bundle: &Bundle) -> Result<(), LogError> {
        let body = codec::encode(bundle);
        let bounds = bundle.check_bounds();
        bounds.and_then(|()| codec::bound("bundle", body.len(), BUNDLE_MAX)).map_err(LogError::Oversized)?;
        let path = self.dir.join(NAME);
        if self.count >= LOG_CERTIFICATES_MAX || self.length >= LOG_FILE_MAX {
            self.put_aside().map_err(at(&path))?;
        }
        let written = self.write(&frame(self.length, &body));
        if written.is_err() {
            // If this fails too, the next append begins at the same place all the same.
            let _ = self.file.set_len(self.length);
        }
        self.length = written.map_err(at(&path))?;
        self.count += 1;
        Ok(())
    }

    fn write(&mut self, frame: &[u8]) -> io::Result<u64> {
        self.file.seek(SeekFrom::Start(self.length))?;
        self.file.write_all(frame)?;
        self.file.set_len(self.length + frame.len() as u64)?;
        self.file.sync_data()?;
        Ok(self.length + frame.len() as u64)
    }

    /// Puts the full file aside, and begins a new one. Whichever step it stops after, the next attempt goes on there.
    fn put_aside(&mut self) -> io::Result<()> {
        let path = self.dir.join(NAME);
        // Without it, an attempt before this one got as far as the renaming.
        if path.exists() {
            let asides = files::list(&self.dir)?;
            let number = files::next_number(&asides);
            files::make_room(asides)?;
            fs::rename(&path, files::aside(&self.dir, number))?;
        }
        atomic::create(&path, &HEADER, 0o600)?;
        self.file = open_file(&path)?;
        (self.length, self.count) = (HEADER.len() as u64, 0);
        Ok(())
    }
}

/// The newest certificate of the newest file put aside: where it is right after that was done.
fn newest_put_aside(dir: &Path) -> Result<Option<Bundle>, LogError> {
    let asides = files::list(dir).map_err(at(dir))?;
    let Some(newest) = asides.last() else { return Ok(None) };
    match read(&newest.path)? {
        Some(bytes) => sound_part(&newest.path, &bytes)?.newest(&newest.path),
        None => Ok(None),
    }
}

fn open_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).mode(0o600).open(path)
}

fn at(path: &Path) -> impl Fn(io::Error) -> LogError {
    let path = path.to_path_buf();
    move |source| LogError::Io { path: path.clone(), source }
}

impl Sound {
    fn newest(&self, path: &Path) -> Result<Option<Bundle>, LogError> {
        if self.frames == 0 {
            return Ok(None);
        }
        let contents = |fault| LogError::Contents { path: path.into(), fault };
        let bundle: Bundle = codec::decode(&self.last).map_err(contents)?;
        bundle.check_bounds().map_err(contents)?;
        Ok(Some(bundle))
    }
}

/// The newest certificate of a directory's log. Nothing is changed: its node may run, and write on.
pub(super) fn newest(dir: &Path) -> Result<Option<Bundle>, LogError> {
    let path = dir.join(NAME);
    let growing = read(&path)?.map(|bytes| sound_part(&path, &bytes)?.newest(&path)).transpose()?;
    match growing.flatten() {
        Some(newest) => Ok(Some(newest)),
        None => newest_put_aside(dir),
    }
}

fn read_and_cut(path: &Path, cuts: &mut Vec<Cut>) -> Result<Sound, LogError> {
    let Some(bytes) = read(path)? else { return Ok(Sound::default()) };
    let sound = sound_part(path, &bytes)?;
    let (offset, cut) = (sound.end as u64, (bytes.len() - sound.end) as u64);
    if offset == 0 {
        // Not even its header is whole; the caller makes it anew.
        fs::remove_file(path).map_err(at(path))?;
    } else if cut > 0 {
        let file = open_file(path).map_err(at(path))?;
        file.set_len(offset).and_then(|()| file.sync_all()).map_err(at(path))?;
    }
    if cut > 0 {
        cuts.push(Cut { path: path.into(), offset, bytes: cut });
    }
    Ok(sound)
}

fn sound_part(path: &Path, bytes: &[u8]) -> Result<Sound, LogError> {
    scan(bytes).map_err(|fault| match fault {
        Fault::NotALog => LogError::NotALog { path: path.into() },
        Fault::Damaged(offset) => LogError::Damaged { path: path.into(), offset: offset as u64 },
    })
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, LogError> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at(path)(error)),
    };
    let found = file.metadata().map_err(at(path))?.len();
    let max = read::file_max();
    if found > max {
        return Err(LogError::TooLarge { path: path.into(), found, max });
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(at(path))?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests;
