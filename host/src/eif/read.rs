//! Any image taken apart, however hostile it is.
//!
//! Nothing is allocated by what the file claims: a section is a slice of what was read. Sections must follow one
//! another from the header to the end of the file, so that no byte is outside the checksum's meaning or in two places,
//! and must stand in an order in which the registers can be computed in one way only: kernel, command line, then
//! ramdisks.

use std::path::{Path, PathBuf};

use super::fault::EifError;
use super::format::{
    Arch, CRC_AT, FLAG_ARM64, HEADER_LEN, MAGIC, SECTION_HEADER_LEN, SECTIONS_MAX, SectionKind, VERSION,
    checksum,
};
use super::limits::FILE_MAX;
use super::measure::Measurements;
use super::signature::{self, Signed};
use crate::help::Help;
use crate::input::{self, InputError};

/// Why an image was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file could not be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// It is no sound image.
    #[error("{path}: {error}")]
    Unsound {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: EifError,
    },
}

impl Help for ReadError {
    fn help(&self) -> String {
        match self {
            ReadError::Input(error) => error.help(),
            ReadError::Unsound { .. } => {
                "build or copy the image again; nothing should run or trust it".into()
            }
        }
    }
}

/// A sound image: its checksum, its table and its signature, if it has one, hold.
#[derive(Debug)]
pub struct Eif<'a> {
    /// The processor.
    pub arch: Arch,
    /// The memory proposed, in bytes.
    pub memory: u64,
    /// The CPUs proposed.
    pub cpus: u64,
    /// The checksum.
    pub crc: u32,
    /// All sections, in their order.
    pub sections: Vec<Section<'a>>,
    /// The kernel.
    pub kernel: &'a [u8],
    /// Its command line.
    pub cmdline: &'a str,
    /// The ramdisks, in their order; at least one.
    pub ramdisks: Vec<&'a [u8]>,
    /// What was said about the build, if anything was.
    pub metadata: Option<serde_json::Value>,
    /// Who signed it.
    pub signed: Option<Signed>,
    /// Its registers.
    pub measurements: Measurements,
}

/// A part of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Section<'a> {
    /// What it is.
    pub kind: SectionKind,
    /// Where its header begins.
    pub offset: u64,
    /// What is behind the header.
    pub data: &'a [u8],
}

/// Reads the bytes of an image, whatever it is; [`Eif::parse`] takes them apart. Of what is no image, gigabytes long as it
/// may be, only the head is read: enough to be told so.
pub fn load(path: &Path) -> Result<Vec<u8>, ReadError> {
    Ok(input::read_bytes_begun(path, FILE_MAX, (HEADER_LEN, &MAGIC))?)
}

impl<'a> Eif<'a> {
    /// Takes an image apart, and checks all of it.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, EifError> {
        let header = Header::read(bytes)?;
        let sections = header.sections(bytes)?;
        let (stated, computed) = (header.crc, checksum(bytes));
        if stated != computed {
            return Err(EifError::Checksum { stated, computed });
        }
        check_order(&sections)?;
        let kernel = only(&sections, SectionKind::Kernel)?.ok_or(EifError::Missing(SectionKind::Kernel))?;
        let cmdline =
            only(&sections, SectionKind::Cmdline)?.ok_or(EifError::Missing(SectionKind::Cmdline))?;
        let cmdline = text(cmdline)?;
        let ramdisks: Vec<&[u8]> = sections
            .iter()
            .filter(|section| section.kind == SectionKind::Ramdisk)
            .map(|section| section.data)
            .collect();
        if ramdisks.is_empty() {
            return Err(EifError::Missing(SectionKind::Ramdisk));
        }
        let metadata = only(&sections, SectionKind::Metadata)?;
        let metadata = metadata.map(serde_json::from_slice).transpose().map_err(EifError::Metadata)?;
        let unsigned = Measurements::of(kernel, cmdline.as_bytes(), &ramdisks, None);
        let signed = only(&sections, SectionKind::Signature)?;
        let signed = signed.map(|section| signature::verify(section, &unsigned.pcr0)).transpose()?;
        let measurements = Measurements { pcr8: signed.as_ref().map(|signed| signed.pcr8), ..unsigned };
        let Header { arch, memory, cpus, crc, .. } = header;
        Ok(Eif {
            arch,
            memory,
            cpus,
            crc,
            sections,
            kernel,
            cmdline,
            ramdisks,
            metadata,
            signed,
            measurements,
        })
    }
}

/// The header's fields.
struct Header {
    arch: Arch,
    memory: u64,
    cpus: u64,
    /// Offset and size of the data of each section.
    table: Vec<(u64, u64)>,
    crc: u32,
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Self, EifError> {
        let header: &[u8; HEADER_LEN] =
            bytes.first_chunk().ok_or(EifError::HeaderCut { len: bytes.len() })?;
        let found: [u8; 4] = part(header, 0);
        if found != MAGIC {
            return Err(EifError::Magic { found });
        }
        let found = u16::from_be_bytes(part(header, 4));
        if found != VERSION {
            return Err(EifError::Version { found });
        }
        let flags = u16::from_be_bytes(part(header, 6));
        let zero = |field, found| if found == 0 { Ok(()) } else { Err(EifError::Reserved { field, found }) };
        zero("flags", u64::from(flags & !FLAG_ARM64))?;
        zero("first reserved field", u64::from(u16::from_be_bytes(part(header, 24))))?;
        zero("second reserved field", u64::from(u32::from_be_bytes(part(header, CRC_AT - 4))))?;
        Ok(Header {
            arch: if flags & FLAG_ARM64 == 0 { Arch::X86_64 } else { Arch::Aarch64 },
            memory: u64::from_be_bytes(part(header, 8)),
            cpus: u64::from_be_bytes(part(header, 16)),
            table: Self::table(header, u16::from_be_bytes(part(header, 26)))?,
            crc: u32::from_be_bytes(part(header, CRC_AT)),
        })
    }

    fn table(header: &[u8; HEADER_LEN], count: u16) -> Result<Vec<(u64, u64)>, EifError> {
        let used = usize::from(count);
        if !(1..=SECTIONS_MAX).contains(&used) {
            return Err(EifError::SectionCount { found: count });
        }
        let entry = |index: usize| {
            let at = 28 + 8 * index;
            (u64::from_be_bytes(part(header, at)), u64::from_be_bytes(part(header, at + 8 * SECTIONS_MAX)))
        };
        match (used..SECTIONS_MAX).find(|index| entry(*index) != (0, 0)) {
            Some(index) => Err(EifError::SpareEntry { index, count }),
            None => Ok((0..used).map(entry).collect()),
        }
    }

    /// The sections that the table names, if they cover the file from the header to its end.
    fn sections<'a>(&self, bytes: &'a [u8]) -> Result<Vec<Section<'a>>, EifError> {
        let mut sections = Vec::with_capacity(self.table.len());
        let mut end = HEADER_LEN;
        for (index, (offset, size)) in self.table.iter().copied().enumerate() {
            let section = section(bytes, end, index, offset, size)?;
            end += SECTION_HEADER_LEN + section.data.len();
            sections.push(section);
        }
        match bytes.len() - end {
            0 => Ok(sections),
            extra => Err(EifError::Trailing { end, extra }),
        }
    }
}

/// The section of a table entry, which must begin at `end`.
fn section(bytes: &[u8], end: usize, index: usize, offset: u64, table: u64) -> Result<Section<'_>, EifError> {
    let end_at = end as u64;
    if offset < end_at {
        return Err(EifError::Overlap { index, offset, end: end_at });
    }
    let beyond = || EifError::BeyondEnd { index, offset, size: table, len: bytes.len() };
    let at = usize::try_from(offset).ok().filter(|at| *at < bytes.len()).ok_or_else(beyond)?;
    if at > end {
        return Err(EifError::Gap { index, offset, end: end_at });
    }
    let (header, rest) = bytes[at..].split_first_chunk::<SECTION_HEADER_LEN>().ok_or_else(beyond)?;
    let data = usize::try_from(table).ok().and_then(|size| rest.get(..size)).ok_or_else(beyond)?;
    let section = u64::from_be_bytes(part(header, 4));
    if section != table {
        return Err(EifError::SizesDiffer { index, section, table });
    }
    let found = u16::from_be_bytes(part(header, 0));
    let kind = SectionKind::of(found).ok_or(EifError::Kind { index, found })?;
    match u16::from_be_bytes(part(header, 2)) {
        0 => Ok(Section { kind, offset, data }),
        found => Err(EifError::SectionFlags { index, found }),
    }
}

/// Bytes of a header at a fixed place inside it.
fn part<const N: usize>(header: &[u8], at: usize) -> [u8; N] {
    header[at..at + N].try_into().expect("the slice has N bytes")
}

/// Kernel, command line, then ramdisks; what is not measured may be anywhere.
fn check_order(sections: &[Section<'_>]) -> Result<(), EifError> {
    let (mut kernel, mut cmdline) = (false, false);
    for (index, Section { kind, .. }) in sections.iter().enumerate() {
        let ready = match kind {
            SectionKind::Kernel => true,
            SectionKind::Cmdline => kernel,
            SectionKind::Ramdisk => kernel && cmdline,
            SectionKind::Signature | SectionKind::Metadata => true,
        };
        let has = |wanted| sections.iter().any(|section| section.kind == wanted);
        if !ready && has(SectionKind::Kernel) && has(SectionKind::Cmdline) {
            return Err(EifError::Order { index, kind: *kind });
        }
        kernel |= *kind == SectionKind::Kernel;
        cmdline |= *kind == SectionKind::Cmdline;
    }
    Ok(())
}

/// The section of which there is at most one.
fn only<'a>(sections: &[Section<'a>], kind: SectionKind) -> Result<Option<&'a [u8]>, EifError> {
    let mut found = sections.iter().enumerate().filter(|(_, section)| section.kind == kind);
    let first = found.next().map(|(_, section)| section.data);
    match found.next() {
        Some((index, _)) => Err(EifError::Repeated { index, kind }),
        None => Ok(first),
    }
}

fn text(cmdline: &[u8]) -> Result<&str, EifError> {
    let cmdline =
        std::str::from_utf8(cmdline).map_err(|error| EifError::Cmdline { offset: error.valid_up_to() })?;
    match cmdline.find('\0') {
        Some(offset) => Err(EifError::Cmdline { offset }),
        None => Ok(cmdline),
    }
}

#[cfg(test)]
mod tests;
