//! The bytes of an image: the same parts always give the same bytes.

use super::format::{
    Arch, CPUS_DEFAULT, CRC_AT, FLAG_ARM64, HEADER_LEN, MAGIC, MEMORY_DEFAULT, SECTION_HEADER_LEN,
    SECTIONS_MAX, SectionKind, VERSION, checksum,
};
use super::measure::Measurements;

/// Most ramdisks that fit into the header's table beside the other sections.
pub const RAMDISKS_MAX: usize = SECTIONS_MAX - 4;

/// What an image is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The processor.
    pub arch: Arch,
    /// The kernel, as a boot loader takes it.
    pub kernel: Vec<u8>,
    /// The kernel's command line.
    pub cmdline: String,
    /// Newc archives, uncompressed, each of a length divisible by 512; from one to [`RAMDISKS_MAX`].
    pub ramdisks: Vec<Vec<u8>>,
    /// JSON about the build.
    pub metadata: String,
    /// A signature section, if the image is signed.
    pub signature: Option<Vec<u8>>,
}

impl Image {
    /// The file's bytes. Sections stand in the order in which nitro-cli writes them.
    ///
    /// # Panics
    ///
    /// With more than [`RAMDISKS_MAX`] ramdisks.
    pub fn to_bytes(&self) -> Vec<u8> {
        assert!(self.ramdisks.len() <= RAMDISKS_MAX, "the builder makes two ramdisks");
        let sections = self.sections();
        let mut bytes = self.header(&sections);
        for (kind, data) in &sections {
            bytes.extend((*kind as u16).to_be_bytes());
            bytes.extend([0; 2]);
            bytes.extend((data.len() as u64).to_be_bytes());
            bytes.extend(*data);
        }
        let crc = checksum(&bytes);
        bytes[CRC_AT..HEADER_LEN].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    /// What the image measures to, without a signature.
    pub fn measurements(&self) -> Measurements {
        let ramdisks: Vec<&[u8]> = self.ramdisks.iter().map(Vec::as_slice).collect();
        Measurements::of(&self.kernel, self.cmdline.as_bytes(), &ramdisks, None)
    }

    fn sections(&self) -> Vec<(SectionKind, &[u8])> {
        let mut sections = vec![
            (SectionKind::Kernel, &self.kernel[..]),
            (SectionKind::Cmdline, self.cmdline.as_bytes()),
            (SectionKind::Metadata, self.metadata.as_bytes()),
        ];
        sections.extend(self.ramdisks.iter().map(|ramdisk| (SectionKind::Ramdisk, &ramdisk[..])));
        sections.extend(self.signature.iter().map(|signature| (SectionKind::Signature, &signature[..])));
        sections
    }

    /// The header, with a checksum of zero.
    fn header(&self, sections: &[(SectionKind, &[u8])]) -> Vec<u8> {
        let (mut offsets, mut sizes) = ([0_u64; SECTIONS_MAX], [0_u64; SECTIONS_MAX]);
        let mut offset = HEADER_LEN;
        for (index, (_, data)) in sections.iter().enumerate() {
            (offsets[index], sizes[index]) = (offset as u64, data.len() as u64);
            offset += SECTION_HEADER_LEN + data.len();
        }
        let flags = if self.arch == Arch::Aarch64 { FLAG_ARM64 } else { 0 };
        let mut header = Vec::with_capacity(offset);
        header.extend(MAGIC);
        header.extend(VERSION.to_be_bytes());
        header.extend(flags.to_be_bytes());
        header.extend(MEMORY_DEFAULT.to_be_bytes());
        header.extend(CPUS_DEFAULT.to_be_bytes());
        header.extend([0; 2]);
        header.extend((sections.len() as u16).to_be_bytes());
        header.extend(offsets.into_iter().chain(sizes).flat_map(u64::to_be_bytes));
        header.resize(HEADER_LEN, 0);
        header
    }
}
