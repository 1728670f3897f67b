//! What operators hand each other about a change of voters, as text: endorsements, approvals, and what a node that was not
//! there needs besides, the electorate that is left and a certificate under it.
//!
//! Each is a PEM block (RFC 7468) around its canonical encoding, with a line for people before it, so that files can be
//! sent by mail or chat and put together with `cat`. What stands between blocks means nothing.

use pem::{EncodeConfig, LineEnding, Pem};
use std::path::{Path, PathBuf};

use nitro_elect_protocol::change::{Approve, Endorse};
use nitro_elect_protocol::codec::{self, DecodeError};
use nitro_elect_protocol::electorate::{Electorate, ElectorateFault};
use nitro_elect_protocol::proof::Bundle;
use nitro_elect_protocol::statement::Signed;

use crate::help::Help;
use crate::input::{self, InputError};
use crate::limits::{CHANGE_BLOCKS_MAX, CHANGE_FILE_MAX};

const ENDORSEMENT: &str = "NITRO-ELECT ENDORSEMENT";
const APPROVAL: &str = "NITRO-ELECT APPROVAL";
const ELECTORATE: &str = "NITRO-ELECT ELECTORATE";
const CERTIFICATE: &str = "NITRO-ELECT CERTIFICATE";

/// What was shown about changes of voters. Nothing of it is verified.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown {
    /// Endorsements.
    pub endorsements: Vec<Signed<Endorse>>,
    /// Approvals.
    pub approvals: Vec<Signed<Approve>>,
    /// Electorates that are left. Sound.
    pub electorates: Vec<Electorate>,
    /// Certificates under them.
    pub certificates: Vec<Bundle>,
}

/// Why a file shows nothing.
#[derive(Debug, thiserror::Error)]
pub enum ChangeFileError {
    /// It could not be read.
    #[error("{0}")]
    Read(#[from] InputError),
    /// Its contents are wrong.
    #[error("{path}: {fault}")]
    Contents {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        fault: ChangeTextError,
    },
}

/// Why a text shows nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeTextError {
    /// No block begins anywhere.
    #[error("it has no endorsement, approval, electorate or certificate in it")]
    Nothing,
    /// A block that is cut, or not base64 inside.
    #[error("a damaged PEM block, cut short or not base64 inside")]
    Damaged,
    /// A block of another kind.
    #[error("a PEM block {0:?}, which has nothing to do with changing the voters")]
    OtherLabel(String),
    /// More than one change can have.
    #[error("{0} blocks are more than {CHANGE_BLOCKS_MAX}")]
    TooMany(usize),
    /// A block whose bytes are not what its label says.
    #[error("block {place} ({label}): {fault}")]
    Block {
        /// Its place in the file, from 1.
        place: usize,
        /// Its label.
        label: &'static str,
        /// What is wrong with it.
        fault: DecodeError,
    },
    /// An electorate that breaks a rule.
    #[error("block {place} ({ELECTORATE}): {fault}")]
    Electorate {
        /// Its place in the file, from 1.
        place: usize,
        /// The first rule it breaks.
        fault: ElectorateFault,
    },
}

impl Help for ChangeFileError {
    fn help(&self) -> String {
        match self {
            ChangeFileError::Read(error) => error.help(),
            ChangeFileError::Contents { .. } => {
                "ask whoever made it for the file as `nitro-elect manifest endorse` or `approve` wrote it"
                    .into()
            }
        }
    }
}

impl Shown {
    /// Reads files and puts together what they show.
    pub fn load(paths: &[PathBuf]) -> Result<Self, ChangeFileError> {
        let mut shown = Shown::default();
        for path in paths {
            shown.read(path)?;
        }
        Ok(shown)
    }

    fn read(&mut self, path: &Path) -> Result<(), ChangeFileError> {
        let text = input::read_text(path, CHANGE_FILE_MAX)?;
        self.parse(&text).map_err(|fault| ChangeFileError::Contents { path: path.into(), fault })
    }

    /// Adds what a text shows.
    pub fn parse(&mut self, text: &str) -> Result<(), ChangeTextError> {
        let blocks = pem::parse_many(text).map_err(|_| ChangeTextError::Damaged)?;
        let begun = text.matches("-----BEGIN ").count();
        match blocks.len() {
            0 if begun == 0 => return Err(ChangeTextError::Nothing),
            parsed if parsed != begun => return Err(ChangeTextError::Damaged),
            parsed if parsed > CHANGE_BLOCKS_MAX => return Err(ChangeTextError::TooMany(parsed)),
            _ => {}
        }
        blocks.iter().enumerate().try_for_each(|(index, block)| self.take(index + 1, block))
    }

    fn take(&mut self, place: usize, block: &Pem) -> Result<(), ChangeTextError> {
        let bytes = block.contents();
        let at = |label| move |fault| ChangeTextError::Block { place, label, fault };
        match block.tag() {
            ENDORSEMENT => self.endorsements.push(codec::decode(bytes).map_err(at(ENDORSEMENT))?),
            APPROVAL => self.approvals.push(codec::decode(bytes).map_err(at(APPROVAL))?),
            CERTIFICATE => {
                let bundle: Bundle = codec::decode(bytes).map_err(at(CERTIFICATE))?;
                bundle.check_bounds().map_err(at(CERTIFICATE))?;
                self.certificates.push(bundle);
            }
            ELECTORATE => {
                let electorate: Electorate = codec::decode(bytes).map_err(at(ELECTORATE))?;
                if let Some(fault) = electorate.faults().into_iter().next() {
                    return Err(ChangeTextError::Electorate { place, fault });
                }
                self.electorates.push(electorate);
            }
            other => return Err(ChangeTextError::OtherLabel(other.chars().take(40).collect())),
        }
        Ok(())
    }
}

/// The text of an endorsement, below a line for people.
pub fn endorsement(line: &str, signed: &Signed<Endorse>) -> String {
    block(line, ENDORSEMENT, codec::encode(signed))
}

/// The text of an approval.
pub fn approval(line: &str, signed: &Signed<Approve>) -> String {
    block(line, APPROVAL, codec::encode(signed))
}

/// The text of an electorate that is left.
pub fn electorate(line: &str, electorate: &Electorate) -> String {
    block(line, ELECTORATE, codec::encode(electorate))
}

/// The text of a certificate under it.
pub fn certificate(line: &str, bundle: &Bundle) -> String {
    block(line, CERTIFICATE, codec::encode(bundle))
}

fn block(line: &str, label: &str, bytes: Vec<u8>) -> String {
    let block =
        pem::encode_config(&Pem::new(label, bytes), EncodeConfig::new().set_line_ending(LineEnding::LF));
    // Names are printable, but one could still look like the beginning of a block.
    format!("{}\n{block}", line.replace("-----", ""))
}

#[cfg(test)]
mod tests;
