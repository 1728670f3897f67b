//! Kernel modules for an image: unpacked when the image is made, so that nothing inside must know how.

use lzma_rust2::XzReader;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::elf::{self, ElfError};
use super::format::Arch;
use super::limits::{MODULE_MAX, UNPACK_MEMORY_KIB};
use crate::help::Help;
use crate::input::{self, InputError};

/// A module, ready to be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// Its name, without directory and ending; letters, digits, `_` and `-`.
    pub name: String,
    /// The ELF file.
    pub bytes: Vec<u8>,
    /// Its processor.
    pub arch: Arch,
}

/// Why a module cannot go into an image.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    /// It could not be read.
    #[error("kernel module: {0}")]
    Read(#[from] InputError),
    /// Its name is not that of a module.
    #[error("kernel module {path}: its name is not NAME.ko or NAME.ko.xz")]
    Name {
        /// The file.
        path: PathBuf,
    },
    /// Its compression is damaged, or asks for too much.
    #[error("kernel module {path}: could not unpack it: {source}")]
    Unpack {
        /// The file.
        path: PathBuf,
        /// What the decoder says.
        source: io::Error,
    },
    /// Unpacked, it is larger than any module.
    #[error("kernel module {path}: more than {MODULE_MAX} bytes when unpacked")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// It is no module.
    #[error("kernel module {path}: {fault}")]
    Elf {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        fault: ElfError,
    },
}

impl Help for ModuleError {
    fn help(&self) -> String {
        match self {
            ModuleError::Read(error) => error.help(),
            _ => "name modules of the very kernel of the image, in the order in which they load".into(),
        }
    }
}

impl Module {
    /// Reads `NAME.ko` or `NAME.ko.xz`.
    pub fn load(path: &Path) -> Result<Self, ModuleError> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let (stem, packed) = match name.strip_suffix(".xz") {
            Some(stem) => (stem, true),
            None => (name, false),
        };
        let plain = |name: &&str| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
        };
        let name =
            stem.strip_suffix(".ko").filter(plain).ok_or_else(|| ModuleError::Name { path: path.into() })?;
        let bytes = input::read_bytes(path, MODULE_MAX)?;
        let bytes = if packed { unpack(path, &bytes)? } else { bytes };
        let arch = elf::module(&bytes).map_err(|fault| ModuleError::Elf { path: path.into(), fault })?;
        Ok(Module { name: name.into(), bytes, arch })
    }
}

/// Unpacks an xz file, of one stream, within bounds of memory and of length.
fn unpack(path: &Path, packed: &[u8]) -> Result<Vec<u8>, ModuleError> {
    let mut bytes = Vec::new();
    let reader = XzReader::new_mem_limit(packed, false, UNPACK_MEMORY_KIB);
    let unpacked = reader.take(MODULE_MAX as u64 + 1).read_to_end(&mut bytes);
    unpacked.map_err(|source| ModuleError::Unpack { path: path.into(), source })?;
    if bytes.len() > MODULE_MAX {
        return Err(ModuleError::TooLarge { path: path.into() });
    }
    Ok(bytes)
}
