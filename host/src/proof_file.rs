//! The proof of one election as a file: what `/v1/certificate` serves and `verify` reads.
//!
//! ```json
//! {
//!   "format": "nitro-elect/v1/proof",
//!   "certificate": { "bytes": "…base64…", "signature": "…" },
//!   "document": "…",
//!   "promises": [ { "bytes": "…", "signature": "…" } ],
//!   "electorate": "… (open clusters alone: they have no manifest)"
//! }
//! ```
//!
//! A proof has exactly one encoding, two spaces deep with a line feed at its end. The reader encodes what it read and
//! refuses any difference, so every byte of the file is under a signature, or decides nothing but is fixed: no field
//! can be added, doubled, reordered or spelt in another way.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

use nitro_elect_protocol::certificate::SignedCertificate;
use nitro_elect_protocol::codec::{self, DecodeError};
use nitro_elect_protocol::electorate::{Electorate, ElectorateFault};
use nitro_elect_protocol::ids::Signature;
use nitro_elect_protocol::proof::Bundle;
use nitro_elect_protocol::statement::Signed;

use crate::help::Help;
use crate::input::{self, InputError};
use crate::limits::{OPEN_ELECTORATE_MAX, PROOF_FILE_MAX};

const FORMAT: &str = "nitro-elect/v1/proof";

/// A proof as a file holds it: read, not believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofFile {
    /// The certificate with what proves it.
    pub bundle: Bundle,
    /// The electorate of an open cluster, without faults; of any other the verifier has the manifest.
    pub electorate: Option<Electorate>,
}

/// Why a file is not a proof.
#[derive(Debug, thiserror::Error)]
pub enum ProofFileError {
    /// It could not be read.
    #[error("proof: {0}")]
    Read(#[from] InputError),
    /// Its contents are wrong.
    #[error("proof {path}: {fault}")]
    Contents {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        fault: ProofTextError,
    },
}

/// Why a text is not a proof.
#[derive(Debug, thiserror::Error)]
pub enum ProofTextError {
    /// Not JSON, or not of this form.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// Something else, or of another version.
    #[error("its format is {found:?}, this program reads {FORMAT:?}")]
    Format {
        /// What it calls itself, cut to 60 characters.
        found: String,
    },
    /// A field that is not base64.
    #[error("{0} is not base64")]
    Base64(&'static str),
    /// A signature of another length than Ed25519's.
    #[error("a promise's signature has {0} bytes, not 64")]
    SignatureLength(usize),
    /// A part exceeds its bound, or the electorate cannot be read.
    #[error(transparent)]
    Part(#[from] DecodeError),
    /// An electorate that has a manifest.
    #[error("it carries an electorate with a cluster id; only an open cluster's may travel with its proof")]
    NotOpen,
    /// The open electorate cannot be used.
    #[error("its electorate has a fault: {0}")]
    Electorate(ElectorateFault),
    /// Read, but written in another way than the one.
    #[error("it differs at byte {offset} from the one way to write this proof: it was changed")]
    NotCanonical {
        /// The first byte that differs.
        offset: usize,
    },
}

impl Help for ProofFileError {
    fn help(&self) -> String {
        match self {
            ProofFileError::Read(error) => error.help(),
            ProofFileError::Contents { .. } => {
                "fetch it anew from a node's /v1/certificate and save it as it came, byte for byte".into()
            }
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProofText {
    format: String,
    certificate: SignedText,
    document: String,
    promises: Vec<SignedText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    electorate: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignedText {
    bytes: String,
    signature: String,
}

impl ProofFile {
    /// Reads a proof from a file.
    pub fn load(path: &Path) -> Result<Self, ProofFileError> {
        let text = input::read_text(path, PROOF_FILE_MAX)?;
        Self::parse(&text).map_err(|fault| ProofFileError::Contents { path: path.into(), fault })
    }

    /// Reads the text of a proof; refuses everything that [`ProofFile::to_text`] would not have written.
    pub fn parse(text: &str) -> Result<Self, ProofTextError> {
        let file: ProofText = serde_json::from_str(text)?;
        if file.format != FORMAT {
            return Err(ProofTextError::Format { found: file.format.chars().take(60).collect() });
        }
        let certificate = SignedCertificate {
            bytes: bytes("certificate.bytes", &file.certificate.bytes)?,
            signature: bytes("certificate.signature", &file.certificate.signature)?,
        };
        let document = bytes("document", &file.document)?;
        let promises = file.promises.iter().map(promise).collect::<Result<_, _>>()?;
        let bundle = Bundle { certificate, document, promises };
        bundle.check_bounds()?;
        let electorate = file.electorate.map(|text| open_electorate(&text)).transpose()?;
        let proof = ProofFile { bundle, electorate };
        match first_difference(text.as_bytes(), proof.to_text().as_bytes()) {
            Some(offset) => Err(ProofTextError::NotCanonical { offset }),
            None => Ok(proof),
        }
    }

    /// The one text of this proof.
    pub fn to_text(&self) -> String {
        let signed = |bytes: &[u8], signature: &[u8]| SignedText {
            bytes: STANDARD.encode(bytes),
            signature: STANDARD.encode(signature),
        };
        let Bundle { certificate, document, promises } = &self.bundle;
        let file = ProofText {
            format: FORMAT.into(),
            certificate: signed(&certificate.bytes, &certificate.signature),
            document: STANDARD.encode(document),
            promises: promises
                .iter()
                .map(|promise| signed(promise.bytes(), &promise.signature().0))
                .collect(),
            electorate: self.electorate.as_ref().map(|electorate| STANDARD.encode(codec::encode(electorate))),
        };
        serde_json::to_string_pretty(&file).expect("texts make JSON") + "\n"
    }
}

fn bytes(field: &'static str, text: &str) -> Result<Vec<u8>, ProofTextError> {
    STANDARD.decode(text).map_err(|_| ProofTextError::Base64(field))
}

fn promise<T: nitro_elect_protocol::statement::Statement>(
    text: &SignedText,
) -> Result<Signed<T>, ProofTextError> {
    let signature = bytes("promises.signature", &text.signature)?;
    let length = signature.len();
    let signature = signature.try_into().map_err(|_| ProofTextError::SignatureLength(length))?;
    Ok(Signed::from_parts(bytes("promises.bytes", &text.bytes)?, Signature(signature)))
}

fn open_electorate(text: &str) -> Result<Electorate, ProofTextError> {
    let encoded = bytes("electorate", text)?;
    codec::bound("electorate", encoded.len(), OPEN_ELECTORATE_MAX)?;
    let electorate: Electorate = codec::decode(&encoded)?;
    if !electorate.is_open() {
        return Err(ProofTextError::NotOpen);
    }
    match electorate.faults().into_iter().next() {
        Some(fault) => Err(ProofTextError::Electorate(fault)),
        None => Ok(electorate),
    }
}

fn first_difference(a: &[u8], b: &[u8]) -> Option<usize> {
    let common = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    (common < a.len().max(b.len())).then_some(common)
}

#[cfg(test)]
mod tests;
