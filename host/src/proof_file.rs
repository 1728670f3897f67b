//! A proof as a file: of an election, as `/v1/certificate` serves it, or also of the lease (`lease`), as `/v1/proof` does.
//!
//! ```json
//! {
//!   "format": "nitro-elect/v1/proof",
//!   "certificate": { "bytes": "…base64…", "signature": "…" },
//!   "document": "…",
//!   "promises": [ { "bytes": "…", "signature": "…" } ],
//!   "lease": { "promises": [ … ], "nonces": [ "64 hexadecimal digits" ] },
//!   "electorate": "… (open clusters alone: they have no manifest)"
//! }
//! ```
//!
//! A proof has exactly one encoding, two spaces deep with a line feed at its end; in an exported log, on one line without
//! spaces. The reader encodes what it read and refuses any difference, so every byte of the file is under a signature, or
//! decides nothing but is fixed: no field can be added, doubled, reordered or spelt in another way.

use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

use nitro_elect_protocol::certificate::SignedCertificate;
use nitro_elect_protocol::codec::{self, DecodeError};
use nitro_elect_protocol::electorate::{Electorate, ElectorateFault};
use nitro_elect_protocol::hash;
use nitro_elect_protocol::ids::Nonce;
use nitro_elect_protocol::limits::{NONCES_MAX, VOTERS_MAX};
use nitro_elect_protocol::proof::{Bundle, LeaseProof};

use crate::core::status::Status;
use crate::help::Help;
use crate::input::{self, InputError};
use crate::limits::{OPEN_ELECTORATE_MAX, PROOF_FILE_MAX};
use crate::signed_text::{SignedText, SignedTextError, decode, encode, first_difference};

const FORMAT: &str = "nitro-elect/v1/proof";

/// A proof as a file holds it: read, not believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofFile {
    /// The certificate with what proves it.
    pub bundle: Bundle,
    /// A quorum's promises of one renewal, and the nonces under it: who leads, not only who was elected.
    pub lease: Option<LeaseProof>,
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
    /// A part that is not as it should be.
    #[error(transparent)]
    Signed(#[from] SignedTextError),
    /// A nonce that is none.
    #[error("a nonce of the lease is not 64 hexadecimal digits")]
    Nonce,
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
    lease: Option<LeaseText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    electorate: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LeaseText {
    promises: Vec<SignedText>,
    nonces: Vec<String>,
}

impl ProofFile {
    /// Everything that a node can show of its newest certificate, if it has one: the lease too, where that is known.
    pub fn of(status: &Status) -> Option<Self> {
        let bundle = status.bundle.clone()?;
        let electorate = status.electorate.is_open().then(|| status.electorate.clone());
        let digest = bundle.certificate.digest();
        let lease = status.lease_proof.as_ref().map(|(proof, _)| proof.clone());
        Some(ProofFile { bundle, lease: lease.filter(|proof| proof.certificate == digest), electorate })
    }

    /// Reads a proof from a file.
    pub fn load(path: &Path) -> Result<Self, ProofFileError> {
        let text = input::read_text(path, PROOF_FILE_MAX)?;
        Self::parse(&text).map_err(|fault| ProofFileError::Contents { path: path.into(), fault })
    }

    /// Reads the text of a proof; refuses everything that [`ProofFile::to_text`] would not have written.
    pub fn parse(text: &str) -> Result<Self, ProofTextError> {
        Self::read(text, Self::to_text)
    }

    /// Reads a line of an exported log; refuses everything that [`ProofFile::to_line`] would not have written.
    pub fn parse_line(line: &str) -> Result<Self, ProofTextError> {
        Self::read(line, Self::to_line)
    }

    fn read(text: &str, encode: impl Fn(&Self) -> String) -> Result<Self, ProofTextError> {
        let file: ProofText = serde_json::from_str(text)?;
        if file.format != FORMAT {
            return Err(ProofTextError::Format { found: file.format.chars().take(60).collect() });
        }
        let certificate = SignedCertificate {
            bytes: decode("certificate.bytes", &file.certificate.bytes)?,
            signature: decode("certificate.signature", &file.certificate.signature)?,
        };
        let document = decode("document", &file.document)?;
        let promises = file.promises.iter().map(SignedText::read).collect::<Result<_, _>>()?;
        let bundle = Bundle { certificate, document, promises };
        bundle.check_bounds()?;
        let lease = file.lease.map(|text| lease(&text, &bundle)).transpose()?;
        let electorate = file.electorate.map(|text| open_electorate(&text)).transpose()?;
        let proof = ProofFile { bundle, lease, electorate };
        match first_difference(text.as_bytes(), encode(&proof).as_bytes()) {
            Some(offset) => Err(ProofTextError::NotCanonical { offset }),
            None => Ok(proof),
        }
    }

    /// The one text of this proof.
    pub fn to_text(&self) -> String {
        serde_json::to_string_pretty(&self.text()).expect("texts make JSON") + "\n"
    }

    /// The one line of this proof, without its line feed.
    pub fn to_line(&self) -> String {
        serde_json::to_string(&self.text()).expect("texts make JSON")
    }

    fn text(&self) -> ProofText {
        let Bundle { certificate, document, promises } = &self.bundle;
        ProofText {
            format: FORMAT.into(),
            certificate: SignedText::new(&certificate.bytes, &certificate.signature),
            document: encode(document),
            promises: promises.iter().map(SignedText::of).collect(),
            lease: self.lease.as_ref().map(lease_text),
            electorate: self.electorate.as_ref().map(|electorate| encode(&codec::encode(electorate))),
        }
    }
}

/// The lease of a file; its term and certificate are those of the bundle beside it.
fn lease(text: &LeaseText, bundle: &Bundle) -> Result<LeaseProof, ProofTextError> {
    codec::bound("lease.promises", text.promises.len(), VOTERS_MAX)?;
    codec::bound("lease.nonces", text.nonces.len(), NONCES_MAX)?;
    let nonces = text.nonces.iter().map(|text| Nonce::from_hex(text).map_err(|_| ProofTextError::Nonce));
    Ok(LeaseProof {
        term: bundle.certificate.peek()?.term,
        certificate: bundle.certificate.digest(),
        promises: text.promises.iter().map(SignedText::read).collect::<Result<_, _>>()?,
        nonces: nonces.collect::<Result<_, _>>()?,
    })
}

fn lease_text(lease: &LeaseProof) -> LeaseText {
    LeaseText {
        promises: lease.promises.iter().map(SignedText::of).collect(),
        nonces: lease.nonces.iter().map(|nonce| hash::to_hex(&nonce.0)).collect(),
    }
}

fn open_electorate(text: &str) -> Result<Electorate, ProofTextError> {
    let encoded = decode("electorate", text)?;
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

#[cfg(test)]
mod tests;
