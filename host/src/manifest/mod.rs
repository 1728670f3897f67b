//! The manifest: the file `cluster.toml` that describes an electorate (DESIGN §1), and who may follow it.
//!
//! All of it but the observers is in the electorate's digest, whatever the order of its tables and its comments. It is
//! read strictly: an unknown key is a fault, and all faults come in one go, each with its line.

mod fault;
mod lines;
mod new;
mod read;
mod table;
mod words;
mod write;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use nitro_elect_protocol::electorate::Electorate;

pub use fault::{Fault, FaultKind};
pub use new::{NewError, Plan};
pub use words::{PREFERENCES, RULES, prefer_of, prefer_word, rule_of, rule_word};

use crate::core::config::Observers;
use crate::help::Help;
use crate::input::{self, InputError};
use crate::limits::MANIFEST_FILE_MAX;
use crate::storage::atomic;

/// The weight of a voter when nothing else is said.
pub const WEIGHT_DEFAULT: u32 = 1;
/// The usual name of the file.
pub const MANIFEST_FILE: &str = "cluster.toml";
/// Nothing in a manifest is secret.
const MODE: u32 = 0o644;

/// What a manifest says. One that was read has no faults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The voters, and what they agree on.
    pub electorate: Electorate,
    /// Who may follow without voting; not in the digest.
    pub observers: Observers,
}

/// Why a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It could not be read.
    #[error("manifest: {0}")]
    Read(#[from] InputError),
    /// It has faults.
    #[error("manifest {path} {}", faults_text(.path, .faults))]
    Faulty {
        /// The file.
        path: PathBuf,
        /// All its faults, by line; at least one.
        faults: Vec<Fault>,
    },
}

fn faults_text(path: &Path, faults: &[Fault]) -> String {
    let lines = faults.iter().map(|fault| format!("\n  {}", located(path, fault)));
    let count =
        if faults.len() == 1 { "has a fault:".into() } else { format!("has {} faults:", faults.len()) };
    count + &lines.collect::<String>()
}

/// A fault in the form that editors and compilers know: `cluster.toml:14: ...`.
pub fn located(path: &Path, fault: &Fault) -> String {
    format!("{}:{}: {}", path.display(), fault.line, fault.what)
}

impl Help for ManifestError {
    fn help(&self) -> String {
        match self {
            ManifestError::Read(error) => error.help(),
            ManifestError::Faulty { path, .. } => {
                format!("correct each line, then run `nitro-elect manifest check {}`", path.display())
            }
        }
    }
}

/// Why a manifest was not written. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// There is a file already.
    #[error("there is a file already at {path}; it was not touched")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The system refused.
    #[error("could not write the manifest {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl Help for WriteError {
    fn help(&self) -> String {
        match self {
            WriteError::Exists { .. } => "name another file with --out, or move that one away".into(),
            WriteError::Io { .. } => "check the path, its permissions and the disk".into(),
        }
    }
}

impl Manifest {
    /// Reads a manifest; what it returns has no faults.
    pub fn load(path: &Path) -> Result<Self, ManifestError> {
        let text = input::read_text(path, MANIFEST_FILE_MAX)?;
        Self::parse(&text).map_err(|faults| ManifestError::Faulty { path: path.into(), faults })
    }

    /// Reads the text of a manifest, or says everything that is wrong with it, by line.
    pub fn parse(text: &str) -> Result<Self, Vec<Fault>> {
        read::read(text)
    }

    /// Writes a manifest into a new file, synced.
    pub fn save(&self, path: &Path) -> Result<(), WriteError> {
        atomic::create(path, self.to_string().as_bytes(), MODE).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => WriteError::Exists { path: path.into() },
            _ => WriteError::Io { path: path.into(), source },
        })
    }
}

/// The text of the file. Reading it gives the same manifest again.
impl fmt::Display for Manifest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&write::to_text(self))
    }
}

#[cfg(test)]
mod tests;
