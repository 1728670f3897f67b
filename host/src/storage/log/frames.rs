//! The bytes of a log file: a header, then frames, and which of them are sound.
//!
//! A frame is a mark, a length, a SHA-256 over the frame's place and body, and the body. The place is under the
//! checksum so that a frame that was moved or copied does not count where it is not at home.

use std::ops::Range;

use nitro_elect_protocol::hash;

use crate::limits::BUNDLE_MAX;

/// The file's kind and its format's version, 1.
pub const HEADER: [u8; 12] = *b"NELECTCL\0\0\0\x01";
const MARK: [u8; 8] = *b"\xf5NECERT\xf5";
/// Mark, length, checksum.
pub const FRAME_HEADER: usize = 8 + 4 + 32;

/// The sound part of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sound {
    /// How many frames it has.
    pub frames: usize,
    /// Where it ends.
    pub end: usize,
    /// The last body.
    pub last: Vec<u8>,
}

/// What is wrong with the bytes of a log.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    NotALog,
    Damaged(usize),
}

/// A body as a frame for this place in the file.
pub fn frame(offset: u64, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("a bundle is below its bound");
    [&MARK[..], &length.to_be_bytes(), &checksum(offset, body), body].concat()
}

fn checksum(offset: u64, body: &[u8]) -> [u8; 32] {
    hash::framed("nitro-elect/v1/certificate-log", &[&offset.to_be_bytes(), body])
}

/// Finds the sound part of a log: all whole frames, up to a tail that holds no sound frame at any place.
pub fn scan(bytes: &[u8]) -> Result<Sound, Fault> {
    if bytes.len() < HEADER.len() && HEADER.starts_with(bytes) {
        return Ok(Sound::default());
    }
    if !bytes.starts_with(&HEADER) {
        return Err(Fault::NotALog);
    }
    let mut sound = Sound { end: HEADER.len(), ..Sound::default() };
    while let Some(body) = sound_frame(bytes, 0, sound.end) {
        sound.end = body.end;
        sound.frames += 1;
        sound.last = bytes[body].to_vec();
    }
    match sound_frame_after(bytes, 0, sound.end) {
        Some(_) => Err(Fault::Damaged(sound.end)),
        None => Ok(sound),
    }
}

/// The body of the frame at `at`, if all of it is there and its checksum fits. `bytes` begin at `base` of the file.
pub fn sound_frame(bytes: &[u8], base: u64, at: usize) -> Option<Range<usize>> {
    let rest = bytes.get(at..)?.strip_prefix(&MARK)?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (found, rest) = rest.split_first_chunk::<32>()?;
    let length = u32::from_be_bytes(*length) as usize;
    let body = rest.get(..length).filter(|_| length <= BUNDLE_MAX)?;
    let start = at + FRAME_HEADER;
    (*found == checksum(base + at as u64, body)).then_some(start..start + length)
}

/// Where the next sound frame begins, from `at` on.
pub fn sound_frame_after(bytes: &[u8], base: u64, at: usize) -> Option<usize> {
    let tail = bytes.get(at..).unwrap_or_default();
    let places = tail.windows(MARK.len()).enumerate().filter(|(_, window)| **window == MARK);
    places.map(|(place, _)| at + place).find(|place| sound_frame(bytes, base, *place).is_some())
}
