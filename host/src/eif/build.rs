//! An image of our own: a kernel, its modules and one static program, put together without anybody's tools.

use nitro_elect_protocol::time::Wall;
use std::path::{Path, PathBuf};

use super::elf::{self, ElfError};
use super::format::Arch;
use super::kernel::{ImageKind, Kernel, NotAKernel};
use super::limits::{CMDLINE_MAX, INIT_MAX, KERNEL_MAX, MODULES_MAX};
use super::measurements_file::Measured;
use super::metadata::Metadata;
use super::module::{Module, ModuleError};
use super::ramdisk;
use super::write::Image;
use crate::help::Help;
use crate::input::{self, InputError};

/// The command line when nothing else is said: nitro-cli's, without the word that would forbid modules. The hypervisor
/// appends its devices; the enclave takes its parameters from this measured part alone.
pub const CMDLINE_DEFAULT: &str = "reboot=k panic=30 pci=off console=ttyS0 i8042.noaux i8042.nomux i8042.nopnp \
     i8042.dumbkbd random.trust_cpu=on";

/// What an image is to be made of.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The kernel, as a boot loader takes it.
    pub kernel: PathBuf,
    /// The program: one static file.
    pub init: PathBuf,
    /// Modules of that kernel, in the order in which they load.
    pub modules: Vec<PathBuf>,
    /// The kernel's command line.
    pub cmdline: String,
    /// The image's name, for people.
    pub name: String,
    /// Its version, for people.
    pub version: String,
    /// Whether it is for an emulation alone, even if the kernel does not say so of itself.
    pub emulation: bool,
    /// When its source was last changed.
    pub time: Wall,
}

/// An image in memory.
#[derive(Debug, Clone)]
pub struct Built {
    /// The file's bytes.
    pub bytes: Vec<u8>,
    /// What it measures to.
    pub measured: Measured,
    /// Its kernel.
    pub kernel: Kernel,
}

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The kernel or the program could not be read.
    #[error("{part}: {source}")]
    Read {
        /// Which of them.
        part: &'static str,
        /// Why.
        source: InputError,
    },
    /// The kernel is none.
    #[error("the kernel {path} is {fault}")]
    Kernel {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        fault: NotAKernel,
    },
    /// The program cannot start inside.
    #[error("the program {path} cannot start in an image: {fault}")]
    Init {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        fault: ElfError,
    },
    /// A module is none.
    #[error(transparent)]
    Module(#[from] ModuleError),
    /// Too many modules.
    #[error("{found} kernel modules, more than {MODULES_MAX}")]
    TooManyModules {
        /// How many.
        found: usize,
    },
    /// Parts for different processors.
    #[error("{path} is for {found}, the kernel for {kernel}")]
    OtherArch {
        /// The file.
        path: PathBuf,
        /// Its processor.
        found: Arch,
        /// The kernel's.
        kernel: Arch,
    },
    /// A command line that no kernel takes.
    #[error("the command line has {len} bytes, more than {CMDLINE_MAX}: the kernel would cut it")]
    CmdlineLong {
        /// Its length.
        len: usize,
    },
    /// A command line with characters that end or split it.
    #[error("the command line has {found:?} in it, and holds printable ASCII alone")]
    CmdlineText {
        /// The first wrong character.
        found: char,
    },
}

impl Help for BuildError {
    fn help(&self) -> String {
        match self {
            BuildError::Read { source, .. } => source.help(),
            BuildError::Kernel { .. } => {
                "name the kernel itself: nitro-cli's bzImage, or a distribution's vmlinuz".into()
            }
            BuildError::Init { .. } => "build it with `make enclave`".into(),
            BuildError::Module(error) => error.help(),
            BuildError::TooManyModules { .. } => "name what the enclave needs alone".into(),
            BuildError::OtherArch { .. } => "name parts for one processor".into(),
            BuildError::CmdlineLong { .. } | BuildError::CmdlineText { .. } => "correct --cmdline".into(),
        }
    }
}

/// Makes an image. The same inputs give the same bytes, wherever they are.
pub fn build(plan: &Plan) -> Result<Built, BuildError> {
    check_cmdline(&plan.cmdline)?;
    let kernel_bytes = read("kernel", &plan.kernel, KERNEL_MAX)?;
    let kernel = Kernel::read(&kernel_bytes)
        .map_err(|fault| BuildError::Kernel { path: plan.kernel.clone(), fault })?;
    let init = read("program", &plan.init, INIT_MAX)?;
    let arch =
        elf::static_program(&init).map_err(|fault| BuildError::Init { path: plan.init.clone(), fault })?;
    check_arch(&plan.init, arch, &kernel)?;
    let modules = modules(plan, &kernel)?;
    let kind = if plan.emulation { ImageKind::Emulation } else { kernel.image_kind() };
    let metadata = Metadata { name: plan.name.clone(), version: plan.version.clone(), kind, time: plan.time };
    let image = Image {
        arch: kernel.arch,
        kernel: kernel_bytes,
        cmdline: plan.cmdline.clone(),
        ramdisks: vec![ramdisk::boot(&modules), ramdisk::application(&init)],
        metadata: metadata.to_text(&kernel),
        signature: None,
    };
    Ok(Built {
        measured: Measured { measurements: image.measurements(), kind },
        bytes: image.to_bytes(),
        kernel,
    })
}

fn read(part: &'static str, path: &Path, max: usize) -> Result<Vec<u8>, BuildError> {
    input::read_bytes(path, max).map_err(|source| BuildError::Read { part, source })
}

fn modules(plan: &Plan, kernel: &Kernel) -> Result<Vec<Module>, BuildError> {
    if plan.modules.len() > MODULES_MAX {
        return Err(BuildError::TooManyModules { found: plan.modules.len() });
    }
    let load = |path: &PathBuf| {
        let module = Module::load(path)?;
        check_arch(path, module.arch, kernel)?;
        Ok(module)
    };
    plan.modules.iter().map(load).collect()
}

fn check_arch(path: &Path, found: Arch, kernel: &Kernel) -> Result<(), BuildError> {
    if found == kernel.arch {
        return Ok(());
    }
    Err(BuildError::OtherArch { path: path.into(), found, kernel: kernel.arch })
}

fn check_cmdline(cmdline: &str) -> Result<(), BuildError> {
    if cmdline.len() > CMDLINE_MAX {
        return Err(BuildError::CmdlineLong { len: cmdline.len() });
    }
    match cmdline.chars().find(|found| !(' '..='~').contains(found)) {
        Some(found) => Err(BuildError::CmdlineText { found }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
