//! Proof that voters are not honest, as a file: what `/v1/evidence` serves and `verify --evidence` reads.
//!
//! ```json
//! {
//!   "format": "nitro-elect/v1/evidence",
//!   "evidence": [
//!     {
//!       "first": { "bytes": "…base64…", "signature": "…" },
//!       "second": { "bytes": "…", "signature": "…" }
//!     }
//!   ]
//! }
//! ```
//!
//! As a proof, it has exactly one encoding.

use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

use nitro_elect_protocol::evidence::Evidence;
use nitro_elect_protocol::limits::VOTERS_MAX;

use crate::help::Help;
use crate::input::{self, InputError};
use crate::limits::EVIDENCE_MAX;
use crate::signed_text::{SignedText, SignedTextError, first_difference};

const FORMAT: &str = "nitro-elect/v1/evidence";
/// Largest file, in bytes: a piece of each voter, in base64 and with names around it.
const FILE_MAX: usize = VOTERS_MAX * (EVIDENCE_MAX / 3 * 4 + 512) + 512;

/// Why a file is no evidence.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceFileError {
    /// It could not be read.
    #[error("evidence: {0}")]
    Read(#[from] InputError),
    /// Its contents are wrong.
    #[error("evidence {path}: {fault}")]
    Contents {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        fault: EvidenceTextError,
    },
}

/// Why a text is no evidence.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceTextError {
    /// Not JSON, or not of this form.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// Something else, or of another version.
    #[error("its format is {found:?}, this program reads {FORMAT:?}")]
    Format {
        /// What it calls itself, cut to 60 characters.
        found: String,
    },
    /// A part that is not as it should be.
    #[error(transparent)]
    Signed(#[from] SignedTextError),
    /// More pieces than there can be voters.
    #[error("it has {0} pieces, and a cluster at most {VOTERS_MAX} voters")]
    TooMany(usize),
    /// Read, but written in another way than the one.
    #[error("it differs at byte {offset} from the one way to write this evidence: it was changed")]
    NotCanonical {
        /// The first byte that differs.
        offset: usize,
    },
}

impl Help for EvidenceFileError {
    fn help(&self) -> String {
        match self {
            EvidenceFileError::Read(error) => error.help(),
            EvidenceFileError::Contents { .. } => {
                "fetch it anew from a node's /v1/evidence and save it as it came, byte for byte".into()
            }
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EvidenceText {
    format: String,
    evidence: Vec<PieceText>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PieceText {
    first: SignedText,
    second: SignedText,
}

/// Reads evidence from a file; nothing of it is verified.
pub fn load(path: &Path) -> Result<Vec<Evidence>, EvidenceFileError> {
    let text = input::read_text(path, FILE_MAX)?;
    parse(&text).map_err(|fault| EvidenceFileError::Contents { path: path.into(), fault })
}

/// Reads the text of evidence; refuses everything that [`to_text`] would not have written.
pub fn parse(text: &str) -> Result<Vec<Evidence>, EvidenceTextError> {
    let file: EvidenceText = serde_json::from_str(text)?;
    if file.format != FORMAT {
        return Err(EvidenceTextError::Format { found: file.format.chars().take(60).collect() });
    }
    if file.evidence.len() > VOTERS_MAX {
        return Err(EvidenceTextError::TooMany(file.evidence.len()));
    }
    let piece = |text: &PieceText| -> Result<Evidence, SignedTextError> {
        Ok(Evidence { first: text.first.read()?, second: text.second.read()? })
    };
    let pieces = file.evidence.iter().map(piece).collect::<Result<Vec<_>, _>>()?;
    match first_difference(text.as_bytes(), to_text(&pieces).as_bytes()) {
        Some(offset) => Err(EvidenceTextError::NotCanonical { offset }),
        None => Ok(pieces),
    }
}

/// The one text of these pieces.
pub fn to_text(pieces: &[Evidence]) -> String {
    let piece = |piece: &Evidence| PieceText {
        first: SignedText::of(&piece.first),
        second: SignedText::of(&piece.second),
    };
    let file = EvidenceText { format: FORMAT.into(), evidence: pieces.iter().map(piece).collect() };
    serde_json::to_string_pretty(&file).expect("texts make JSON") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use nitro_elect_protocol::ids::Signature;
    use nitro_elect_protocol::statement::Signed;

    fn pieces() -> Vec<Evidence> {
        let view = |byte| Signed::from_parts(vec![byte; 40], Signature([byte; 64]));
        vec![Evidence { first: view(1), second: view(2) }, Evidence { first: view(3), second: view(4) }]
    }

    #[test]
    fn evidence_round_trips_also_when_there_is_none() {
        for pieces in [pieces(), Vec::new()] {
            assert_eq!(parse(&to_text(&pieces)).unwrap(), pieces);
        }
    }

    #[test]
    fn a_changed_bit_gives_other_evidence_or_none_never_the_same() {
        let text = to_text(&pieces()).into_bytes();
        for bit in 0..text.len() * 8 {
            let mut changed = text.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let read = String::from_utf8(changed).ok().and_then(|text| parse(&text).ok());
            assert_ne!(read, Some(pieces()), "bit {bit}");
        }
    }

    #[test]
    fn other_texts_are_called_what_they_are() {
        let refusal = |text: &str| parse(text).unwrap_err().to_string();
        assert!(refusal("{}").contains("missing field"));
        assert!(refusal(&to_text(&pieces()).replace("/v1/", "/v2/")).contains("its format is"));
        assert!(refusal(&to_text(&vec![pieces().remove(0); VOTERS_MAX + 1])).contains("129 pieces"));
        let compact = serde_json::from_str::<serde_json::Value>(&to_text(&pieces())).unwrap().to_string();
        assert!(refusal(&compact).contains("the one way"));
    }
}
