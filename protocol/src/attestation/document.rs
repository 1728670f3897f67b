//! The payload: AWS's `AttestationDocument`, read but not believed.
//!
//! Every field is of its specified type and length, known, and there once; optional fields may be `null` or
//! left away. Nothing here is authenticated: [`UntrustedDocument`] is for showing to people and for the
//! verifier.

use std::collections::btree_map::Entry;

use super::cbor::{CborError, Reader};
use super::certificate::{Certificate, CertificateSummary, Place};
use super::cose::{Envelope, EnvelopeError};
use super::limits::{
    BUNDLE_MAX, CERTIFICATE_MAX, FIELD_NAME_MAX, MODULE_ID_MAX, NONCE_MAX, PCR_COUNT_MAX, PUBLIC_KEY_MAX,
    USER_DATA_MAX,
};
use super::pcr::Pcrs;
use crate::ids::Pcr;
use crate::time::Wall;

/// The digest that PCRs are made with; the specification allows no other.
const DIGEST: &str = "SHA384";
/// Fields that a document can have.
const FIELDS: usize = 9;

/// Why a payload is no attestation document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// Check 3: not a map, broken off, too many fields, or bytes after it.
    #[error("the payload is not a map of fields: {0}")]
    Structure(CborError),
    /// Check 3: a field that the specification does not know.
    #[error("unknown field {name:?}")]
    UnknownField {
        /// Its name.
        name: String,
    },
    /// Check 3: a field that is there twice.
    #[error("field {field} is there twice")]
    DoubledField {
        /// Its name.
        field: &'static str,
    },
    /// Check 3: a mandatory field that is not there.
    #[error("field {field} is missing")]
    MissingField {
        /// Its name.
        field: &'static str,
    },
    /// Check 3: a field of another type or length than specified.
    #[error("field {field}: {source}")]
    Field {
        /// Its name.
        field: &'static str,
        /// What is wrong with it.
        source: CborError,
    },
    /// Check 3: a timestamp of zero.
    #[error("the timestamp is zero")]
    ZeroTimestamp,
    /// Check 4: PCRs made with another digest.
    #[error("the digest is {found:?}, not \"SHA384\"")]
    Digest {
        /// Its name.
        found: String,
    },
    /// Check 4: registers of another type or length, none, or too many.
    #[error("field pcrs: {source}")]
    Register {
        /// What is wrong with them.
        source: CborError,
    },
    /// Check 4: a PCR that no NSM has.
    #[error("PCR{index} does not exist: indexes are 0 to 31")]
    PcrIndex {
        /// Its index.
        index: u64,
    },
    /// Check 4: a PCR that is there twice.
    #[error("PCR{index} is there twice")]
    DoubledPcr {
        /// Its index.
        index: u8,
    },
    /// Check 4: a measurement of the image that is not there.
    #[error("PCR{index} is missing")]
    MissingPcr {
        /// Its index.
        index: u8,
    },
}

/// What a document says, with nothing of it verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UntrustedDocument<'a> {
    /// The Nitro hypervisor module that issued it.
    pub module_id: &'a str,
    /// When it was made.
    pub timestamp: Wall,
    /// The locked registers; PCR0, PCR1 and PCR2 are always there.
    pub pcrs: Pcrs,
    /// The leaf certificate, DER.
    pub certificate: &'a [u8],
    /// The certificates from the root to the leaf's issuer, DER.
    pub cabundle: Vec<&'a [u8]>,
    /// The key that the enclave asked to have vouched for.
    pub public_key: Option<&'a [u8]>,
    /// What else the enclave asked to have vouched for.
    pub user_data: Option<&'a [u8]>,
    /// The nonce that the enclave was asked with.
    pub nonce: Option<&'a [u8]>,
}

/// Why bytes could not be read as an attestation document at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The envelope is not one.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// The payload is not one.
    #[error(transparent)]
    Document(#[from] DocumentError),
}

impl<'a> UntrustedDocument<'a> {
    /// Reads what a document says, to show it to a person who knows that nothing of it is verified.
    pub fn read(document: &'a [u8]) -> Result<Self, ReadError> {
        Ok(Self::parse(Envelope::open(document)?.payload)?)
    }

    /// What the certificates say, from the root to the leaf; those that cannot be read are left out.
    pub fn certificates(&self) -> Vec<CertificateSummary> {
        let authorities = self.cabundle.len();
        let ders = self.cabundle.iter().chain([&self.certificate]).enumerate();
        ders.filter_map(|(index, der)| Some(Certificate::read(der)?.summary(Place::of(index, authorities))))
            .collect()
    }

    /// Checks 3 and 4.
    pub(super) fn parse(payload: &'a [u8]) -> Result<Self, DocumentError> {
        let mut reader = Reader::new(payload);
        let mut fields = Fields::default();
        let mut entries = reader.map(0, FIELDS).map_err(DocumentError::Structure)?;
        while reader.more(&mut entries).map_err(DocumentError::Structure)? {
            let name = reader.text(0, FIELD_NAME_MAX).map_err(DocumentError::Structure)?;
            fields.read(name, &mut reader)?;
        }
        reader.finish().map_err(DocumentError::Structure)?;
        fields.complete()
    }
}

/// The fields read so far. The outer option is "was there", an inner one "and was not null".
#[derive(Default)]
struct Fields<'a> {
    module_id: Option<&'a str>,
    digest: Option<&'a str>,
    timestamp: Option<u64>,
    pcrs: Option<Pcrs>,
    certificate: Option<&'a [u8]>,
    cabundle: Option<Vec<&'a [u8]>>,
    public_key: Option<Option<&'a [u8]>>,
    user_data: Option<Option<&'a [u8]>>,
    nonce: Option<Option<&'a [u8]>>,
}

impl<'a> Fields<'a> {
    fn read(&mut self, name: &str, reader: &mut Reader<'a>) -> Result<(), DocumentError> {
        match name {
            "module_id" => {
                once("module_id", &mut self.module_id, within("module_id", reader.text(1, MODULE_ID_MAX))?)
            }
            "digest" => once("digest", &mut self.digest, digest(reader)?),
            "timestamp" => once("timestamp", &mut self.timestamp, timestamp(reader)?),
            "pcrs" => once("pcrs", &mut self.pcrs, pcrs(reader)?),
            "certificate" => {
                once("certificate", &mut self.certificate, within("certificate", certificate(reader))?)
            }
            "cabundle" => once("cabundle", &mut self.cabundle, within("cabundle", bundle(reader))?),
            "public_key" => {
                let bytes = within("public_key", optional_bytes(reader, 1, PUBLIC_KEY_MAX))?;
                once("public_key", &mut self.public_key, bytes)
            }
            "user_data" => {
                let bytes = within("user_data", optional_bytes(reader, 0, USER_DATA_MAX))?;
                once("user_data", &mut self.user_data, bytes)
            }
            "nonce" => {
                let bytes = within("nonce", optional_bytes(reader, 0, NONCE_MAX))?;
                once("nonce", &mut self.nonce, bytes)
            }
            unknown => Err(DocumentError::UnknownField { name: unknown.to_owned() }),
        }
    }

    fn complete(self) -> Result<UntrustedDocument<'a>, DocumentError> {
        present("digest", self.digest)?;
        let document = UntrustedDocument {
            module_id: present("module_id", self.module_id)?,
            timestamp: Wall(present("timestamp", self.timestamp)?),
            pcrs: present("pcrs", self.pcrs)?,
            certificate: present("certificate", self.certificate)?,
            cabundle: present("cabundle", self.cabundle)?,
            public_key: self.public_key.flatten(),
            user_data: self.user_data.flatten(),
            nonce: self.nonce.flatten(),
        };
        match (0..=2).find(|index| !document.pcrs.contains_key(index)) {
            Some(index) => Err(DocumentError::MissingPcr { index }),
            None => Ok(document),
        }
    }
}

fn once<T>(field: &'static str, slot: &mut Option<T>, value: T) -> Result<(), DocumentError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(DocumentError::DoubledField { field }),
    }
}

fn present<T>(field: &'static str, slot: Option<T>) -> Result<T, DocumentError> {
    slot.ok_or(DocumentError::MissingField { field })
}

fn within<T>(field: &'static str, value: Result<T, CborError>) -> Result<T, DocumentError> {
    value.map_err(|source| DocumentError::Field { field, source })
}

fn digest<'a>(reader: &mut Reader<'a>) -> Result<&'a str, DocumentError> {
    match within("digest", reader.text(1, FIELD_NAME_MAX))? {
        DIGEST => Ok(DIGEST),
        other => Err(DocumentError::Digest { found: other.to_owned() }),
    }
}

fn timestamp(reader: &mut Reader<'_>) -> Result<u64, DocumentError> {
    match within("timestamp", reader.unsigned())? {
        0 => Err(DocumentError::ZeroTimestamp),
        milliseconds => Ok(milliseconds),
    }
}

fn certificate<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], CborError> {
    reader.bytes(1, CERTIFICATE_MAX)
}

fn bundle<'a>(reader: &mut Reader<'a>) -> Result<Vec<&'a [u8]>, CborError> {
    let mut entries = reader.array(1, BUNDLE_MAX)?;
    let mut bundle = Vec::new();
    while reader.more(&mut entries)? {
        bundle.push(certificate(reader)?);
    }
    Ok(bundle)
}

fn optional_bytes<'a>(
    reader: &mut Reader<'a>,
    min: usize,
    max: usize,
) -> Result<Option<&'a [u8]>, CborError> {
    if reader.null()? { Ok(None) } else { reader.bytes(min, max).map(Some) }
}

fn pcrs(reader: &mut Reader<'_>) -> Result<Pcrs, DocumentError> {
    let register = |source| DocumentError::Register { source };
    let mut pcrs = Pcrs::new();
    let mut entries = reader.map(1, PCR_COUNT_MAX).map_err(register)?;
    while reader.more(&mut entries).map_err(register)? {
        let index = reader.unsigned().map_err(register)?;
        let value = reader.bytes(48, 48).map_err(register)?;
        let index = match u8::try_from(index) {
            Ok(small) if usize::from(small) < PCR_COUNT_MAX => small,
            _ => return Err(DocumentError::PcrIndex { index }),
        };
        match pcrs.entry(index) {
            Entry::Vacant(place) => place.insert(Pcr(value.try_into().expect("just read as 48 bytes"))),
            Entry::Occupied(_) => return Err(DocumentError::DoubledPcr { index }),
        };
    }
    Ok(pcrs)
}
