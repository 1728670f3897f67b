//! The parts of an X.509 certificate (RFC 5280) that the checks look at themselves.
//!
//! rustls-webpki validates the path, but neither looks at key usage nor hands out validity, so both are read
//! here. A certificate that this reader does not understand is refused.

use super::der::{BIT_STRING, BOOLEAN, Der, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, SET};
use crate::time::Wall;
use std::fmt;

/// SubjectPublicKeyInfo of P-384 up to the point: id-ecPublicKey, secp384r1, a BIT STRING of 97 bytes.
const P384_SPKI: &[u8] = &[
    0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81,
    0x04, 0x00, 0x22, 0x03, 0x62, 0x00,
];
const VERSION_3: &[u8] = &[INTEGER, 1, 2];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];

/// Which certificate of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The one at this place of `cabundle`; the root is at 0.
    Bundle(usize),
    /// The one in `certificate`, which signed the document.
    Leaf,
}

impl Place {
    /// The place of a certificate counted from the root, below this many authorities.
    pub(super) fn of(index: usize, authorities: usize) -> Place {
        if index < authorities { Place::Bundle(index) } else { Place::Leaf }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Bundle(index) => write!(out, "cabundle[{index}]"),
            Place::Leaf => out.write_str("the leaf certificate"),
        }
    }
}

/// From when to when a certificate is valid, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first moment.
    pub not_before: Wall,
    /// The last moment.
    pub not_after: Wall,
}

/// What a certificate says of itself, to show to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateSummary {
    /// Which certificate of the document.
    pub place: Place,
    /// The common name of its subject, escaped for a terminal; empty if it has none.
    pub common_name: String,
    /// From when to when it is valid.
    pub validity: Validity,
}

/// Who may sign what with a certificate's key.
#[derive(Clone, Copy, Default)]
pub(super) struct Constraints {
    pub(super) is_ca: bool,
    pub(super) path_length: Option<u64>,
}

/// The key usage bits that matter here.
#[derive(Clone, Copy, Default)]
pub(super) struct KeyUsage {
    pub(super) digital_signature: bool,
    pub(super) key_cert_sign: bool,
}

/// One certificate, read and not verified.
pub(super) struct Certificate<'a> {
    pub(super) der: &'a [u8],
    pub(super) issuer: &'a [u8],
    pub(super) subject: &'a [u8],
    pub(super) validity: Validity,
    spki: &'a [u8],
    pub(super) constraints: Constraints,
    pub(super) key_usage: KeyUsage,
}

impl<'a> Certificate<'a> {
    /// Reads a certificate of version 3, or nothing if these bytes are not one.
    pub(super) fn read(der: &'a [u8]) -> Option<Self> {
        let mut signed = Der::new(Der::only(der, SEQUENCE)?);
        let mut tbs = Der::new(signed.value(SEQUENCE)?);
        tbs.value(0xa0).filter(|version| *version == VERSION_3)?;
        tbs.value(INTEGER)?;
        tbs.value(SEQUENCE)?;
        let issuer = tbs.whole()?;
        let validity = validity(Der::new(tbs.value(SEQUENCE)?))?;
        let subject = tbs.whole()?;
        let spki = tbs.whole()?;
        tbs.optional(0x81)?;
        tbs.optional(0x82)?;
        let extensions = Der::new(Der::only(tbs.value(0xa3)?, SEQUENCE)?);
        if !tbs.is_empty() {
            return None;
        }
        let constraints = match extension(extensions, BASIC_CONSTRAINTS)? {
            Some(value) => constraints(value)?,
            None => Constraints::default(),
        };
        let key_usage = match extension(extensions, KEY_USAGE)? {
            Some(value) => key_usage(value)?,
            None => KeyUsage::default(),
        };
        Some(Certificate { der, issuer, subject, validity, spki, constraints, key_usage })
    }

    /// What it says, to show.
    pub(super) fn summary(&self, place: Place) -> CertificateSummary {
        let common_name = common_name(self.subject).unwrap_or_default();
        let common_name = String::from_utf8_lossy(common_name).escape_default().to_string();
        CertificateSummary { place, common_name, validity: self.validity }
    }

    /// The key as an uncompressed point, if it is a P-384 key.
    pub(super) fn p384_point(&self) -> Option<&'a [u8]> {
        self.spki.strip_prefix(P384_SPKI)
    }
}

fn validity(mut der: Der<'_>) -> Option<Validity> {
    let validity = Validity { not_before: der.time()?, not_after: der.time()? };
    der.is_empty().then_some(validity)
}

/// The value of the extension with this identifier, which may be there once.
fn extension<'a>(mut extensions: Der<'a>, identifier: &[u8]) -> Option<Option<&'a [u8]>> {
    let mut found = None;
    while !extensions.is_empty() {
        let mut extension = Der::new(extensions.value(SEQUENCE)?);
        let is_wanted = extension.value(OBJECT_IDENTIFIER)? == identifier;
        extension.optional(BOOLEAN)?;
        let value = extension.value(OCTET_STRING)?;
        if is_wanted && found.replace(value).is_some() {
            return None;
        }
    }
    Some(found)
}

/// `Name ::= SEQUENCE OF SET OF SEQUENCE { type, value }`: the first value of type common name.
fn common_name(subject: &[u8]) -> Option<&[u8]> {
    let mut names = Der::new(Der::only(subject, SEQUENCE)?);
    loop {
        let mut name = Der::new(Der::only(names.value(SET)?, SEQUENCE)?);
        if name.value(OBJECT_IDENTIFIER)? == COMMON_NAME {
            return name.text();
        }
    }
}

/// `BasicConstraints ::= SEQUENCE { cA BOOLEAN DEFAULT FALSE, pathLenConstraint INTEGER OPTIONAL }`
fn constraints(value: &[u8]) -> Option<Constraints> {
    let mut der = Der::new(Der::only(value, SEQUENCE)?);
    let is_ca = match der.optional(BOOLEAN)? {
        Some([0xff]) => true,
        Some([0x00]) | None => false,
        Some(_) => return None,
    };
    let path_length = match der.optional(INTEGER)? {
        Some([small @ 0..0x80]) => Some(u64::from(*small)),
        Some(_) => return None,
        None => None,
    };
    der.is_empty().then_some(Constraints { is_ca, path_length })
}

/// `KeyUsage ::= BIT STRING { digitalSignature (0), ..., keyCertSign (5), ... }`
fn key_usage(value: &[u8]) -> Option<KeyUsage> {
    let (unused_bits, bits) = Der::only(value, BIT_STRING)?.split_first()?;
    let first = bits.first().copied().unwrap_or(0);
    (*unused_bits < 8)
        .then_some(KeyUsage { digital_signature: first & 0x80 != 0, key_cert_sign: first & 0x04 != 0 })
}
