//! The log of adopted certificates: `certificates.log`, and `certificates.log.1` before it.
//!
//! A file is a header and frames: a mark, a length, a SHA-256 over the frame's place and body, and the body, a
//! [`Bundle`] in canonical CBOR. Every append is synced before it returns.
//!
//! A crash can cut the last append short; such a tail is removed, and said. Damage with sound frames after it is no
//! crash but a failing disk or a stranger's hand, and is refused. (Rot in the very last frame cannot be told from a
//! cut; what is lost with it is a certificate that the others have, never a vote.)
//!
//! Growth is bounded: a full file is put aside as `.1` in place of the one before.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nitro_elect_protocol::codec::{self, DecodeError};
use nitro_elect_protocol::hash;
use nitro_elect_protocol::proof::Bundle;

use super::atomic;
use crate::limits::{BUNDLE_MAX, LOG_CERTIFICATES_MAX, LOG_FILE_MAX};

const NAME: &str = "certificates.log";
const ASIDE: &str = "certificates.log.1";
/// The file's kind and its format's version, 1.
const HEADER: [u8; 12] = *b"NELECTCL\0\0\0\x01";
const MARK: [u8; 8] = *b"\xf5NECERT\xf5";
/// Mark, length, checksum.
const FRAME_HEADER: usize = 8 + 4 + 32;

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
        let (path, aside) = (dir.join(NAME), dir.join(ASIDE));
        let mut contents = Contents::default();
        let old = read_and_cut(&aside, &mut contents.cuts)?;
        let new = read_and_cut(&path, &mut contents.cuts)?;
        if !path.exists() {
            atomic::create(&path, &HEADER, 0o600).map_err(at(&path))?;
        }
        contents.newest = match (new.newest(&path)?, old) {
            (Some(newest), _) => Some(newest),
            (None, old) => old.newest(&aside)?,
        };
        let file = open_file(&path).map_err(at(&path))?;
        let length = (new.end as u64).max(HEADER.len() as u64);
        Ok((CertificateLog { dir: dir.into(), file, length, count: new.frames.len() }, contents))
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

    fn put_aside(&mut self) -> io::Result<()> {
        let path = self.dir.join(NAME);
        match fs::rename(&path, self.dir.join(ASIDE)) {
            // The attempt before this one got no further than here.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            renamed => renamed?,
        }
        atomic::create(&path, &HEADER, 0o600)?;
        self.file = open_file(&path)?;
        (self.length, self.count) = (HEADER.len() as u64, 0);
        Ok(())
    }
}

fn open_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).mode(0o600).open(path)
}

fn at(path: &Path) -> impl Fn(io::Error) -> LogError {
    let path = path.to_path_buf();
    move |source| LogError::Io { path: path.clone(), source }
}

/// The sound part of a file.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sound {
    /// The bodies of its frames.
    frames: Vec<Range<usize>>,
    /// Where the sound part ends.
    end: usize,
    /// The last body.
    last: Vec<u8>,
}

/// What is wrong with the bytes of a log.
#[derive(Debug, PartialEq, Eq)]
enum Fault {
    NotALog,
    Damaged(usize),
}

impl Sound {
    fn newest(&self, path: &Path) -> Result<Option<Bundle>, LogError> {
        if self.frames.is_empty() {
            return Ok(None);
        }
        let contents = |fault| LogError::Contents { path: path.into(), fault };
        let bundle: Bundle = codec::decode(&self.last).map_err(contents)?;
        bundle.check_bounds().map_err(contents)?;
        Ok(Some(bundle))
    }
}

fn read_and_cut(path: &Path, cuts: &mut Vec<Cut>) -> Result<Sound, LogError> {
    let Some(bytes) = read(path)? else { return Ok(Sound::default()) };
    let sound = scan(&bytes).map_err(|fault| match fault {
        Fault::NotALog => LogError::NotALog { path: path.into() },
        Fault::Damaged(offset) => LogError::Damaged { path: path.into(), offset: offset as u64 },
    })?;
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

fn read(path: &Path) -> Result<Option<Vec<u8>>, LogError> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at(path)(error)),
    };
    let found = file.metadata().map_err(at(path))?.len();
    let max = LOG_FILE_MAX + (FRAME_HEADER + BUNDLE_MAX) as u64;
    if found > max {
        return Err(LogError::TooLarge { path: path.into(), found, max });
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(at(path))?;
    Ok(Some(bytes))
}

fn frame(offset: u64, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("a bundle is below its bound");
    [&MARK[..], &length.to_be_bytes(), &checksum(offset, body), body].concat()
}

fn checksum(offset: u64, body: &[u8]) -> [u8; 32] {
    hash::framed("nitro-elect/v1/certificate-log", &[&offset.to_be_bytes(), body])
}

/// Finds the sound part of a log: all whole frames, up to a tail that holds no sound frame at any place.
fn scan(bytes: &[u8]) -> Result<Sound, Fault> {
    if bytes.len() < HEADER.len() && HEADER.starts_with(bytes) {
        return Ok(Sound::default());
    }
    if !bytes.starts_with(&HEADER) {
        return Err(Fault::NotALog);
    }
    let mut sound = Sound { end: HEADER.len(), ..Sound::default() };
    while let Some(body) = sound_frame(bytes, sound.end) {
        sound.end = body.end;
        sound.frames.push(body);
    }
    if sound_frame_after(bytes, sound.end) {
        return Err(Fault::Damaged(sound.end));
    }
    sound.last = sound.frames.last().map(|body| bytes[body.clone()].to_vec()).unwrap_or_default();
    Ok(sound)
}

/// The body of the frame at `offset`, if all of it is there and its checksum fits.
fn sound_frame(bytes: &[u8], offset: usize) -> Option<Range<usize>> {
    let rest = bytes.get(offset..)?.strip_prefix(&MARK)?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (found, rest) = rest.split_first_chunk::<32>()?;
    let length = u32::from_be_bytes(*length) as usize;
    let body = rest.get(..length).filter(|_| length <= BUNDLE_MAX)?;
    let start = offset + FRAME_HEADER;
    (*found == checksum(offset as u64, body)).then_some(start..start + length)
}

fn sound_frame_after(bytes: &[u8], offset: usize) -> bool {
    let tail = bytes.get(offset..).unwrap_or_default();
    let mut places = tail.windows(MARK.len()).enumerate().filter(|(_, window)| **window == MARK);
    places.any(|(place, _)| sound_frame(bytes, offset + place).is_some())
}

#[cfg(test)]
mod tests;
