//! What a kernel image says of itself: its processor, its version, and so whether it is for Nitro or for an emulation.

use std::fmt;

use super::format::Arch;

/// The version text is cut here, in bytes; kernels have about 100.
const VERSION_LEN_MAX: usize = 256;
/// Who builds Debian's kernels, by their version text.
const DEBIAN: &str = "debian-kernel@";

/// What an image is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageKind {
    /// For Nitro.
    Nitro,
    /// For an emulation: the kernel is not one that finds its devices on Nitro.
    Emulation,
}

impl ImageKind {
    /// The kind of a word that [`fmt::Display`] writes.
    pub fn of(word: &str) -> Option<Self> {
        [ImageKind::Nitro, ImageKind::Emulation].into_iter().find(|kind| kind.to_string() == word)
    }
}

impl fmt::Display for ImageKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            ImageKind::Nitro => "nitro",
            ImageKind::Emulation => "emulation",
        })
    }
}

/// A kernel as a boot loader takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// The processor.
    pub arch: Arch,
    /// Its version and who built it, if it says so.
    pub version: Option<String>,
}

/// The file is no kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("neither an x86 bzImage nor an ARM64 Image")]
pub struct NotAKernel;

impl Kernel {
    /// Reads the header of a kernel (Linux, Documentation/arch/x86/boot.rst and Documentation/arch/arm64/booting.rst).
    pub fn read(bytes: &[u8]) -> Result<Self, NotAKernel> {
        let at = |at: usize, expected: &[u8]| bytes.get(at..at + expected.len()) == Some(expected);
        if at(0x1fe, &[0x55, 0xaa]) && at(0x202, b"HdrS") {
            return Ok(Kernel { arch: Arch::X86_64, version: x86_version(bytes) });
        }
        if at(56, b"ARM\x64") {
            return Ok(Kernel { arch: Arch::Aarch64, version: None });
        }
        Err(NotAKernel)
    }

    /// What an image with this kernel is good for, by who built it: Debian's kernels do not take their devices from
    /// the command line, where Nitro names them.
    pub fn image_kind(&self) -> ImageKind {
        match &self.version {
            Some(version) if version.contains(DEBIAN) => ImageKind::Emulation,
            _ => ImageKind::Nitro,
        }
    }
}

/// The text that the setup header points to, up to its zero.
fn x86_version(bytes: &[u8]) -> Option<String> {
    let pointer = bytes.get(0x20e..0x210)?;
    let at = usize::from(u16::from_le_bytes([pointer[0], pointer[1]]));
    let text = bytes.get(at + 0x200..)?.split(|byte| *byte == 0).next()?;
    let text = &text[..text.len().min(VERSION_LEN_MAX)];
    let printable = !text.is_empty() && text.iter().all(|byte| (b' '..=b'~').contains(byte));
    (at != 0 && printable).then(|| String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bzimage(version: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 0x300];
        bytes[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
        bytes[0x202..0x206].copy_from_slice(b"HdrS");
        bytes[0x20e..0x210].copy_from_slice(&0x100_u16.to_le_bytes());
        bytes.extend(version);
        bytes.push(0);
        bytes
    }

    #[test]
    fn an_x86_kernel_tells_its_version_and_so_what_it_is_for() {
        let amazon = Kernel::read(&bzimage(b"4.14.256-209.484.amzn2.x86_64 (mockbuild@ip) #1 SMP")).unwrap();
        assert_eq!((amazon.arch, amazon.image_kind()), (Arch::X86_64, ImageKind::Nitro));
        assert!(amazon.version.unwrap().starts_with("4.14.256-"));
        let debian =
            Kernel::read(&bzimage(b"6.12.1-cloud-amd64 (debian-kernel@lists.debian.org) #1 SMP")).unwrap();
        assert_eq!(debian.image_kind(), ImageKind::Emulation);
    }

    #[test]
    fn a_version_that_is_missing_outside_or_no_text_is_none() {
        for version in [&b""[..], b"\x1b[31m", b"\xff"] {
            assert_eq!(Kernel::read(&bzimage(version)).unwrap().version, None);
        }
        let mut outside = bzimage(b"");
        outside[0x20e..0x210].copy_from_slice(&u16::MAX.to_le_bytes());
        assert_eq!(Kernel::read(&outside).unwrap().version, None);
        assert_eq!(Kernel::read(&bzimage(b"")[..0x206]).unwrap().version, None);
    }

    #[test]
    fn an_arm_kernel_is_known_and_another_file_is_no_kernel() {
        let mut image = vec![0; 64];
        image[56..60].copy_from_slice(b"ARM\x64");
        assert_eq!(Kernel::read(&image).unwrap().arch, Arch::Aarch64);
        for file in [&b""[..], b"\x7fELF", &[0; 0x300]] {
            assert_eq!(Kernel::read(file), Err(NotAKernel));
        }
    }

    #[test]
    fn kinds_have_words() {
        assert_eq!(ImageKind::of("nitro"), Some(ImageKind::Nitro));
        assert_eq!(ImageKind::of("emulation"), Some(ImageKind::Emulation));
        assert_eq!(ImageKind::of("Nitro"), None);
    }
}
