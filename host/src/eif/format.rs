//! The layout of an EIF of version 4: a header of 548 bytes, then sections, each behind a header of 12. All numbers
//! are big-endian.
//!
//! | header | bytes | section header | bytes |
//! | --- | --- | --- | --- |
//! | `.eif` | 4 | kind | 2 |
//! | version, flags | 2, 2 | flags, zero | 2 |
//! | default memory, default CPUs | 8, 8 | size of the data | 8 |
//! | zero, number of sections | 2, 2 | | |
//! | 32 offsets, 32 sizes of sections' data | 256, 256 | | |
//! | zero, CRC-32 of all other bytes | 4, 4 | | |

use std::fmt;

/// The first four bytes.
pub const MAGIC: [u8; 4] = *b".eif";
/// The version that this module reads and writes.
pub const VERSION: u16 = 4;
/// Places in the header's table of sections.
pub const SECTIONS_MAX: usize = 32;
/// Length of the header, in bytes.
pub const HEADER_LEN: usize = 548;
/// Length of a section's header, in bytes.
pub const SECTION_HEADER_LEN: usize = 12;
/// Where the checksum is; it covers all bytes but its own four.
pub const CRC_AT: usize = HEADER_LEN - 4;
/// The one flag of the header: the kernel is for 64-bit ARM.
pub const FLAG_ARM64: u16 = 1;
/// The memory that the header proposes, in bytes, as nitro-cli writes it; `run-enclave` asks for its own.
pub const MEMORY_DEFAULT: u64 = 1 << 30;
/// The CPUs that the header proposes, as nitro-cli writes them.
pub const CPUS_DEFAULT: u64 = 2;

/// The processor that an image is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arch {
    /// 64-bit x86.
    X86_64,
    /// 64-bit ARM.
    Aarch64,
}

impl fmt::Display for Arch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Arch::X86_64 => "x86_64",
            Arch::Aarch64 => "aarch64",
        })
    }
}

/// What a section holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum SectionKind {
    /// The kernel.
    Kernel = 1,
    /// Its command line.
    Cmdline = 2,
    /// A ramdisk; there may be several, which the kernel unpacks one over the other.
    Ramdisk = 3,
    /// Who signed PCR0.
    Signature = 4,
    /// JSON about the build, which nothing measures.
    Metadata = 5,
}

impl SectionKind {
    /// The kind of a number, if it has one.
    pub fn of(number: u16) -> Option<Self> {
        use SectionKind::{Cmdline, Kernel, Metadata, Ramdisk, Signature};
        [Kernel, Cmdline, Ramdisk, Signature, Metadata].into_iter().find(|kind| *kind as u16 == number)
    }
}

impl fmt::Display for SectionKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            SectionKind::Kernel => "kernel",
            SectionKind::Cmdline => "command line",
            SectionKind::Ramdisk => "ramdisk",
            SectionKind::Signature => "signature",
            SectionKind::Metadata => "metadata",
        })
    }
}

/// The checksum of an image: CRC-32 (IEEE 802.3) of all bytes but those at [`CRC_AT`].
pub(super) fn checksum(image: &[u8]) -> u32 {
    let (before, after) = (&image[..CRC_AT], &image[HEADER_LEN..]);
    let mut crc = crc32fast::Hasher::new();
    crc.update(before);
    crc.update(after);
    crc.finalize()
}
