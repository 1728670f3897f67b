//! The trust file: which enclaves are accepted, as JSON (DESIGN §5).
//!
//! ```json
//! {
//!   "root": "aws",
//!   "accepted": [ { "PCR0": "…96 hexadecimal digits…", "PCR1": "…", "PCR2": "…", "PCR8": "… (optional)" } ],
//!   "allow_debug": false,
//!   "max_age_s": 3600,
//!   "simulated": false
//! }
//! ```
//!
//! `root` is `"aws"` or a certificate in PEM. `max_age_s` may be left away (an hour), `simulated` too; if it is
//! there it must say what the root is, so that nobody takes a simulation for the real thing by a file's word. A field
//! that is not known here is refused: a misspelt restriction must not vanish.

mod default_file;
mod root_file;

use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nitro_elect_protocol::ids::{ParseIdError, Pcr};
use nitro_elect_protocol::limits::AGE_DEFAULT;
use nitro_elect_protocol::trust::{PcrSet, Root, RootError, Trust, TrustFault};

pub use default_file::{DefaultTrustError, default_path, default_trust_file};
pub use root_file::{RootFileError, load_root};

use crate::help::Help;
use crate::input::{self, InputError};
use crate::limits::TRUST_FILE_MAX;
use crate::pem_block::{self, PemBlockError};

/// What `root` says for AWS's pinned root.
pub const AWS: &str = "aws";
const LABEL: &str = "CERTIFICATE";

/// Why a trust file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustFileError {
    /// It could not be read.
    #[error("trust file: {0}")]
    Read(#[from] InputError),
    /// Its contents are wrong.
    #[error("trust file {path}: {fault}")]
    Contents {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        fault: TrustTextError,
    },
}

/// Why a text is not a trust section.
#[derive(Debug, thiserror::Error)]
pub enum TrustTextError {
    /// Not JSON, or not of this form.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// The root is neither "aws" nor a certificate.
    #[error("root: {0}")]
    Root(#[from] RootTextError),
    /// A register is not 96 hexadecimal digits.
    #[error("PCR{index} of accepted set {set}: {fault}")]
    Pcr {
        /// Which set, from 1 on.
        set: usize,
        /// Which register.
        index: u8,
        /// What is wrong with it.
        fault: ParseIdError,
    },
    /// `simulated` contradicts the root.
    #[error(transparent)]
    Simulated(#[from] SimulatedContradiction),
    /// It could be read, but not used.
    #[error("{}", list(.0))]
    Faults(Vec<TrustFault>),
}

/// Why a text is not a root.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RootTextError {
    /// Neither "aws" nor PEM.
    #[error("write \"{AWS}\", or a certificate in PEM: {0}")]
    Pem(#[from] PemBlockError),
    /// A certificate that can be no root.
    #[error(transparent)]
    Certificate(#[from] RootError),
}

/// What a file says of itself against what its root is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "simulated is {claimed}, but the root is {}",
    if *claimed { "AWS's" } else { "not AWS's, so every enclave it accepts is simulated" }
)]
pub struct SimulatedContradiction {
    /// What the file says.
    pub claimed: bool,
}

impl Help for TrustFileError {
    fn help(&self) -> String {
        match self {
            TrustFileError::Read(error) => error.help(),
            TrustFileError::Contents { fault: TrustTextError::Simulated(_), .. } => {
                "let it say what the root is, or leave it away".into()
            }
            TrustFileError::Contents { .. } => {
                "`make eif` prints the measurements of an image; `nitro-elect simulate-enclave` writes a whole file"
                    .into()
            }
        }
    }
}

fn list(faults: &[TrustFault]) -> String {
    let faults: Vec<String> = faults.iter().map(TrustFault::to_string).collect();
    faults.join("; ")
}

/// The file as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TrustText {
    root: String,
    accepted: Vec<SetText>,
    allow_debug: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_age_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    simulated: Option<bool>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "UPPERCASE")]
struct SetText {
    pcr0: String,
    pcr1: String,
    pcr2: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pcr8: Option<String>,
}

/// Reads a trust file; what it returns has no faults.
pub fn load(path: &Path) -> Result<Trust, TrustFileError> {
    let text = input::read_text(path, TRUST_FILE_MAX)?;
    parse(&text).map_err(|fault| TrustFileError::Contents { path: path.into(), fault })
}

/// Reads the text of a trust file; what it returns has no faults.
pub fn parse(text: &str) -> Result<Trust, TrustTextError> {
    let file: TrustText = serde_json::from_str(text)?;
    let root = parse_root(&file.root)?;
    check_simulated(&root, file.simulated)?;
    let accepted =
        (1..).zip(&file.accepted).map(|(set, text)| pcr_set(set, text)).collect::<Result<_, _>>()?;
    let max_age = file.max_age_s.map_or(AGE_DEFAULT, Duration::from_secs);
    let trust = Trust::new(root, accepted, file.allow_debug, max_age);
    match trust.faults() {
        faults if faults.is_empty() => Ok(trust),
        faults => Err(TrustTextError::Faults(faults)),
    }
}

/// Writes a trust file; parts of a second of `max_age` are cut off, as no file can say them.
pub fn to_text(trust: &Trust) -> String {
    let set = |set: &PcrSet| SetText {
        pcr0: set.pcr0.to_string(),
        pcr1: set.pcr1.to_string(),
        pcr2: set.pcr2.to_string(),
        pcr8: set.pcr8.map(|pcr| pcr.to_string()),
    };
    let file = TrustText {
        root: root_text(&trust.root),
        accepted: trust.accepted.iter().map(set).collect(),
        allow_debug: trust.allow_debug,
        max_age_s: Some(trust.max_age().as_secs()),
        simulated: Some(!trust.root.is_aws()),
    };
    let text = serde_json::to_string_pretty(&file).expect("texts and numbers make JSON");
    text + "\n"
}

/// Reads `"aws"` or a certificate in PEM.
pub(crate) fn parse_root(text: &str) -> Result<Root, RootTextError> {
    if text == AWS {
        return Ok(Root::Aws);
    }
    Ok(Root::from_der(&pem_block::decode(LABEL, text)?)?)
}

/// Writes a root as [`parse_root`] reads it.
pub(crate) fn root_text(root: &Root) -> String {
    if root.is_aws() { AWS.into() } else { pem_block::encode(LABEL, root.der()) }
}

/// Holds what a file says of itself against its root.
pub(crate) fn check_simulated(root: &Root, claimed: Option<bool>) -> Result<(), SimulatedContradiction> {
    match claimed {
        Some(claimed) if claimed == root.is_aws() => Err(SimulatedContradiction { claimed }),
        _ => Ok(()),
    }
}

fn pcr_set(set: usize, text: &SetText) -> Result<PcrSet, TrustTextError> {
    let pcr =
        |index, text: &String| Pcr::from_hex(text).map_err(|fault| TrustTextError::Pcr { set, index, fault });
    Ok(PcrSet {
        pcr0: pcr(0, &text.pcr0)?,
        pcr1: pcr(1, &text.pcr1)?,
        pcr2: pcr(2, &text.pcr2)?,
        pcr8: text.pcr8.as_ref().map(|text| pcr(8, text)).transpose()?,
    })
}

#[cfg(test)]
mod tests;
