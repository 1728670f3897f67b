//! What can be wrong with an image: a variant for each rule of the format, with the place and what was found.

use super::format::{HEADER_LEN, SECTIONS_MAX, SectionKind, VERSION};
use super::signature::SignatureError;

/// What is wrong with an image. Offsets and lengths are in bytes, sections count from 0.
#[derive(Debug, thiserror::Error)]
pub enum EifError {
    /// Shorter than a header.
    #[error("{len} bytes, fewer than the header's {HEADER_LEN}: cut short, or no enclave image")]
    HeaderCut {
        /// The file's length.
        len: usize,
    },
    /// It begins as something else.
    #[error("it begins with {found:02x?}, not with \".eif\": no enclave image")]
    Magic {
        /// The first four bytes.
        found: [u8; 4],
    },
    /// Another version of the format.
    #[error("version {found} of the format; only {VERSION} is known")]
    Version {
        /// The version.
        found: u16,
    },
    /// Bits or fields that have no meaning are set.
    #[error("the header's {field} is {found:#x}, a value without a meaning")]
    Reserved {
        /// Which field.
        field: &'static str,
        /// Its value.
        found: u64,
    },
    /// No sections, or more than the table holds.
    #[error("{found} sections; there are 1 to {SECTIONS_MAX}")]
    SectionCount {
        /// The number stated.
        found: u16,
    },
    /// A table entry that belongs to no section.
    #[error("entry {index} of the section table is in use, beyond the {count} sections")]
    SpareEntry {
        /// Which entry.
        index: usize,
        /// The number of sections.
        count: u16,
    },
    /// A section begins inside what comes before it.
    #[error("section {index} begins at {offset}, inside what ends at {end}")]
    Overlap {
        /// Which section.
        index: usize,
        /// Where it begins.
        offset: u64,
        /// Where the header or the previous section ends.
        end: u64,
    },
    /// Bytes between sections.
    #[error("section {index} begins at {offset}, and nothing covers the bytes from {end} on")]
    Gap {
        /// Which section.
        index: usize,
        /// Where it begins.
        offset: u64,
        /// Where the header or the previous section ends.
        end: u64,
    },
    /// A section reaches beyond the file.
    #[error(
        "section {index} at {offset} has {size} bytes of data, beyond the file's end at {len}: cut short, or absurd"
    )]
    BeyondEnd {
        /// Which section.
        index: usize,
        /// Where it begins.
        offset: u64,
        /// The length of its data by the header's table.
        size: u64,
        /// The file's length.
        len: usize,
    },
    /// The table and the section disagree.
    #[error("section {index} has {section} bytes by its own header, {table} by the table")]
    SizesDiffer {
        /// Which section.
        index: usize,
        /// By its header.
        section: u64,
        /// By the table.
        table: u64,
    },
    /// A section of no known kind.
    #[error("section {index} is of kind {found}, which is unknown")]
    Kind {
        /// Which section.
        index: usize,
        /// The kind.
        found: u16,
    },
    /// Flags of a section, which have no meaning.
    #[error("section {index} has the flags {found:#x}, which have no meaning")]
    SectionFlags {
        /// Which section.
        index: usize,
        /// The flags.
        found: u16,
    },
    /// Bytes after the last section.
    #[error("{extra} bytes follow the last section, which ends at {end}")]
    Trailing {
        /// Where the last section ends.
        end: usize,
        /// How many bytes follow.
        extra: usize,
    },
    /// The checksum is wrong.
    #[error("the checksum is {computed:08x}, the header says {stated:08x}: the file is damaged")]
    Checksum {
        /// By the header.
        stated: u32,
        /// Of the bytes.
        computed: u32,
    },
    /// A section that every image has is not there.
    #[error("there is no {0}")]
    Missing(SectionKind),
    /// A second one of what there is one of.
    #[error("section {index} is a second {kind}")]
    Repeated {
        /// Which section.
        index: usize,
        /// What it is.
        kind: SectionKind,
    },
    /// Parts in an order in which their measurement is not settled.
    #[error("section {index}, a {kind}, comes before the kernel or its command line")]
    Order {
        /// Which section.
        index: usize,
        /// What it is.
        kind: SectionKind,
    },
    /// A command line that no kernel could have been given.
    #[error("the command line is no text without zero bytes (its byte {offset})")]
    Cmdline {
        /// The first wrong byte, in the section's data.
        offset: usize,
    },
    /// Metadata that is no JSON.
    #[error("the metadata is no JSON: {0}")]
    Metadata(serde_json::Error),
    /// A signature that does not hold.
    #[error("the signature section: {0}")]
    Signature(#[from] SignatureError),
}
