//! Init's work, for an image in which this program is the first process: everything that the kernel leaves to it.
//!
//! Under another init (that of an image made by nitro-cli) this module stays unused. Three file systems are mounted,
//! no more than the service reads: `/proc` for the kernel's command line, `/sys` for the name of the random source,
//! `/dev` for the security module. Nothing here is writable storage, and no other program is ever started. Children
//! can come to the first process all the same, by adoption; they are reaped by the kernel itself.
//!
//! A first process cannot end: the kernel would call that a panic. So failure is told on the console, and then the
//! machine is restarted, which ends an enclave.

use nix::errno::Errno;
use nix::kmod::{ModuleInitFlags, finit_module};
use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::termios::tcdrain;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::limits::{KERNEL_LINE_MAX, MODULES_MAX};
use crate::parameters::{KernelLine, ParameterError};

/// Where the image keeps the kernel modules that it needs.
const MODULES: &str = "/modules";
const KERNEL_LINE: &str = "/proc/cmdline";

/// Where each file system goes, and what nobody may do there. Device files must work in `/dev` alone.
const MOUNTS: [(&str, &str, MsFlags); 3] = [
    ("proc", "/proc", MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV).union(MsFlags::MS_NOEXEC)),
    ("sysfs", "/sys", MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV).union(MsFlags::MS_NOEXEC)),
    ("devtmpfs", "/dev", MsFlags::MS_NOSUID.union(MsFlags::MS_NOEXEC)),
];

/// Why the machine could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// A file system could not be mounted.
    #[error("cannot mount {kind} at {place}: {reason}")]
    Mount {
        /// The file system.
        kind: &'static str,
        /// Its place.
        place: &'static str,
        /// The kernel's reason.
        reason: io::Error,
    },
    /// A file or directory of the image or the kernel could not be read.
    #[error("cannot read {path}: {reason}")]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// The kernel's reason.
        reason: io::Error,
    },
    /// The directory of modules holds something else.
    #[error("{0:?} is no module: name it NN-NAME.ko")]
    ModuleName(PathBuf),
    /// More modules than any image needs.
    #[error("more than {MODULES_MAX} modules in {MODULES}")]
    TooManyModules,
    /// The kernel refused a module.
    #[error("cannot load the module {path}: {reason}")]
    Module {
        /// The module.
        path: PathBuf,
        /// The kernel's reason.
        reason: io::Error,
    },
    /// Ended children could not be left to the kernel.
    #[error("cannot leave ended children to the kernel: {0}")]
    Reaping(io::Error),
    /// The kernel's line cannot be used.
    #[error(transparent)]
    KernelLine(#[from] ParameterError),
}

/// Whether this program is the first process.
pub fn is_first_process() -> bool {
    std::process::id() == 1
}

/// Sets up the machine, and returns what the kernel was started with.
pub fn prepare() -> Result<KernelLine, InitError> {
    reap()?;
    for (kind, place, flags) in MOUNTS {
        mount_at(kind, place, flags).map_err(|reason| InitError::Mount { kind, place, reason })?;
    }
    let line = kernel_line(Path::new(KERNEL_LINE))?;
    if !line.forbids_modules() {
        modules(Path::new(MODULES))?.iter().try_for_each(|path| load(path))?;
    }
    Ok(line)
}

/// Tells the console why the machine ends, and restarts it. Returns only if the kernel refuses that.
pub fn end(code: ExitCode) -> ExitCode {
    // What the console has not taken by now, nobody will read.
    let _: nix::Result<()> = tcdrain(io::stderr());
    let _ = reboot(RebootMode::RB_AUTOBOOT);
    code
}

#[allow(unsafe_code)]
fn reap() -> Result<(), InitError> {
    // SAFETY: no handler is installed, the signal is ignored; nothing in this program waits for a child, whose status
    // the kernel drops from here on.
    let ignored = unsafe { signal(Signal::SIGCHLD, SigHandler::SigIgn) };
    ignored.map(drop).map_err(|error| InitError::Reaping(error.into()))
}

fn mount_at(kind: &str, place: &str, flags: MsFlags) -> io::Result<()> {
    fs::create_dir_all(place)?;
    match mount(Some(kind), place, Some(kind), flags, None::<&str>) {
        // The kernel was built to mount it by itself.
        Err(Errno::EBUSY) => Ok(()),
        result => result.map_err(io::Error::from),
    }
}

fn kernel_line(path: &Path) -> Result<KernelLine, InitError> {
    let mut bytes = Vec::new();
    let read =
        File::open(path).and_then(|file| file.take(KERNEL_LINE_MAX as u64 + 1).read_to_end(&mut bytes));
    read.map_err(|reason| InitError::Read { path: path.into(), reason })?;
    Ok(KernelLine::new(bytes)?)
}

/// The modules in a directory, in the order of their names; none if it is not there.
fn modules(directory: &Path) -> Result<Vec<PathBuf>, InitError> {
    let failed = |reason| InitError::Read { path: directory.into(), reason };
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let paths = entries.take(MODULES_MAX + 1).map(|entry| entry.map(|entry| entry.path()));
    let mut paths = paths.collect::<io::Result<Vec<_>>>().map_err(failed)?;
    if paths.len() > MODULES_MAX {
        return Err(InitError::TooManyModules);
    }
    paths.sort();
    match paths.iter().find(|path| !is_module(path)) {
        Some(other) => Err(InitError::ModuleName(other.clone())),
        None => Ok(paths),
    }
}

/// Whether a name is `NN-NAME.ko`.
fn is_module(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let ordered =
        matches!(name.as_bytes(), [tens, units, b'-', ..] if tens.is_ascii_digit() && units.is_ascii_digit());
    ordered && name.len() > "NN-.ko".len() && name.ends_with(".ko")
}

fn load(path: &Path) -> Result<(), InitError> {
    let file = File::open(path).map_err(|reason| InitError::Read { path: path.into(), reason })?;
    match finit_module(&file, c"", ModuleInitFlags::empty()) {
        // It is built into the kernel.
        Ok(()) | Err(Errno::EEXIST) => Ok(()),
        Err(error) => Err(InitError::Module { path: path.into(), reason: error.into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(names: &[&str]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        names.iter().for_each(|name| fs::write(directory.path().join(name), "").unwrap());
        directory
    }

    #[test]
    fn modules_are_loaded_in_the_order_of_their_names() {
        let directory = directory(&["10-last.ko", "02-second.ko", "01-first.ko"]);
        let found = modules(directory.path()).unwrap();
        let names: Vec<_> = found.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["01-first.ko", "02-second.ko", "10-last.ko"]);
    }

    #[test]
    fn an_image_without_modules_has_none_to_load() {
        assert!(modules(Path::new("/no/such/directory")).unwrap().is_empty());
        assert!(modules(directory(&[]).path()).unwrap().is_empty());
    }

    #[test]
    fn anything_else_among_the_modules_is_refused() {
        for name in ["nsm.ko", "1-nsm.ko", "01-.ko", "01-nsm.ko.xz", "0a-nsm.ko", "README"] {
            let refused = modules(directory(&["00-virtio.ko", name]).path());
            assert!(matches!(refused, Err(InitError::ModuleName(path)) if path.ends_with(name)), "{name}");
        }
    }

    #[test]
    fn more_modules_than_any_image_needs_are_refused() {
        let names: Vec<String> = (0..=MODULES_MAX).map(|number| format!("{number:02}-m.ko")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(modules(directory(&names[1..]).path()).unwrap().len(), MODULES_MAX);
        assert!(matches!(modules(directory(&names).path()), Err(InitError::TooManyModules)));
    }

    #[test]
    fn a_module_that_is_none_is_refused_with_its_name() {
        let directory = directory(&["01-garbage.ko"]);
        let refused = load(&directory.path().join("01-garbage.ko")).unwrap_err().to_string();
        assert!(refused.contains("01-garbage.ko"), "{refused}");
    }

    #[test]
    fn the_kernels_line_is_read_whole_or_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cmdline");
        fs::write(&path, "quiet nomodules\n").unwrap();
        assert!(kernel_line(&path).unwrap().forbids_modules());
        fs::write(&path, vec![b' '; KERNEL_LINE_MAX + 1]).unwrap();
        assert!(matches!(kernel_line(&path), Err(InitError::KernelLine(_))));
    }
}
