//! Reading a log beside the node that writes it: page by page, without a lock, changing nothing.
//!
//! The file that grows is opened before the others are listed: if it was put aside meanwhile, it is among them and
//! the listing is made again. What cannot be read is passed over and told of: an audit wants what is left.

use serde::Serialize;
use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use nitro_elect_protocol::codec::{self, DecodeError};
use nitro_elect_protocol::proof::Bundle;

use super::frames::{FRAME_HEADER, HEADER, sound_frame, sound_frame_after};
use super::{LogError, at, files};
use crate::limits::{BUNDLE_MAX, LOG_FILE_MAX};

/// How often the listing is made again at most: a file lasts for thousands of certificates.
const LISTINGS: usize = 8;

/// A place in a log: a file's number, and a byte in it. It stays the same when the file is put aside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    file: u64,
    offset: u64,
}

/// A part of the log.
#[derive(Debug, Default)]
pub struct Page {
    /// Its certificates, in the order in which they were adopted. One may come twice: the second time with promises.
    pub bundles: Vec<Bundle>,
    /// What could not be read.
    pub damages: Vec<Damage>,
    /// Where the next page begins.
    pub next: Place,
    /// Whether this was the last one for now.
    pub is_last: bool,
}

/// Bytes of a log that are no certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// Where they begin.
    pub offset: u64,
    /// How many they are.
    pub bytes: u64,
}

impl fmt::Display for Damage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Damage { path, offset, bytes } = self;
        write!(out, "{}: {bytes} bytes from byte {offset} on are damaged: no certificate", path.display())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.file, self.offset)
    }
}

/// A text that is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no place in a log, which is two numbers with a point between them")]
pub struct NoPlace;

impl FromStr for Place {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let (file, offset) = text.split_once('.').ok_or(NoPlace)?;
        let number = |digits: &str| digits.parse::<u64>().map_err(|_| NoPlace);
        Ok(Place { file: number(file)?, offset: number(offset)? })
    }
}

/// One file of the log.
struct Part {
    number: u64,
    path: PathBuf,
    /// Open already, if it is the one that grows.
    growing: Option<File>,
}

/// Reads from a place on: about `bytes_max` of certificates, and one at least if there is one.
///
/// # Errors
/// [`LogError::NotALog`] for a file of another kind, [`LogError::TooLarge`], or what the system says.
pub fn read_page(dir: &Path, from: Place, bytes_max: usize) -> Result<Page, LogError> {
    let parts = parts(dir)?;
    let mut page = Page { next: from, ..Page::default() };
    let mut room = bytes_max;
    for part in parts.into_iter().filter(|part| part.number >= from.file) {
        if part.number != page.next.file {
            page.next = Place { file: part.number, offset: 0 };
        }
        if !read_part(part, &mut page, &mut room)? {
            return Ok(page);
        }
    }
    page.is_last = true;
    Ok(page)
}

/// Every file, oldest first; the one that grows is the last.
fn parts(dir: &Path) -> Result<Vec<Part>, LogError> {
    let path = dir.join(files::NAME);
    for _ in 0..LISTINGS {
        let growing = open(&path)?;
        let asides = files::list(dir).map_err(at(dir))?;
        let newest = asides.last().and_then(|newest| std::fs::metadata(&newest.path).ok());
        let opened = growing.as_ref().and_then(|file| file.metadata().ok());
        if newest.as_ref().map(identity) == opened.as_ref().map(identity) && opened.is_some() {
            continue;
        }
        let number = files::next_number(&asides);
        let aside = |aside: files::Aside| Part { number: aside.number, path: aside.path, growing: None };
        let mut parts: Vec<Part> = asides.into_iter().map(aside).collect();
        parts.extend(growing.map(|file| Part { number, path, growing: Some(file) }));
        return Ok(parts);
    }
    Err(at(&path)(io::Error::other("it is put aside again and again while it is read")))
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

fn open(path: &Path) -> Result<Option<File>, LogError> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at(path)(error)),
    }
}

/// Reads a file from the page's place on; whether it was read to its end.
fn read_part(part: Part, page: &mut Page, room: &mut usize) -> Result<bool, LogError> {
    let Part { path, growing, .. } = part;
    let (grows, file) = (growing.is_some(), growing.map_or_else(|| open(&path), |file| Ok(Some(file)))?);
    // One that was removed since it was listed had to make room.
    let Some(mut file) = file else { return Ok(true) };
    let base = page.next.offset;
    let bytes = contents(&mut file, &path, base)?;
    let mut place = 0;
    if base == 0 {
        if !bytes.starts_with(&HEADER) {
            return if HEADER.starts_with(&bytes) { Ok(true) } else { Err(LogError::NotALog { path }) };
        }
        place = HEADER.len();
    }
    while let Some((end, read)) = next_entry(&bytes, base, place, grows) {
        match read {
            Some(bundle) => page.bundles.push(bundle),
            None => {
                let (offset, bytes) = (base + place as u64, (end - place) as u64);
                page.damages.push(Damage { path: path.clone(), offset, bytes });
            }
        }
        *room = room.saturating_sub(end - place);
        place = end;
        if *room == 0 {
            page.next.offset = base + place as u64;
            return Ok(false);
        }
    }
    page.next.offset = base + place as u64;
    Ok(true)
}

/// Where the entry at `place` ends, and its certificate if it is sound; none at the end.
fn next_entry(bytes: &[u8], base: u64, place: usize, grows: bool) -> Option<(usize, Option<Bundle>)> {
    if place >= bytes.len() {
        return None;
    }
    if let Some(body) = sound_frame(bytes, base, place) {
        return Some((body.end, decode(&bytes[body]).ok()));
    }
    match sound_frame_after(bytes, base, place) {
        Some(next) => Some((next, None)),
        // An append that is under way, or one that a crash cut short.
        None if grows => None,
        None => Some((bytes.len(), None)),
    }
}

fn decode(body: &[u8]) -> Result<Bundle, DecodeError> {
    let bundle: Bundle = codec::decode(body)?;
    bundle.check_bounds()?;
    Ok(bundle)
}

fn contents(file: &mut File, path: &Path, from: u64) -> Result<Vec<u8>, LogError> {
    let (found, max) = (file.metadata().map_err(at(path))?.len(), file_max());
    if found > max {
        return Err(LogError::TooLarge { path: path.into(), found, max });
    }
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(from)).map_err(at(path))?;
    file.take(max).read_to_end(&mut bytes).map_err(at(path))?;
    Ok(bytes)
}

/// The largest that a file of a log can be: full but for a byte, and one certificate more.
pub fn file_max() -> u64 {
    LOG_FILE_MAX + (FRAME_HEADER + BUNDLE_MAX) as u64
}
