//! The roots that a document's certificates may lead to.
//!
//! Only AWS's root, pinned by its fingerprint, gives more than a simulation; which one it is follows from the
//! bytes, whatever a file calls it.

use serde::{Deserialize, Serialize};

use super::certificate::Certificate;
use crate::assurance::Assurance;
use crate::hash::sha256;
use crate::limits::ROOT_MAX;

/// The root certificate "aws.nitro-enclaves" (G1), DER, as AWS publishes it; valid until 2049.
pub const AWS_ROOT_DER: &[u8] = include_bytes!("aws-nitro-root-g1.der");

/// SHA-256 of [`AWS_ROOT_DER`].
pub const AWS_ROOT_SHA256: [u8; 32] = [
    0x64, 0x1a, 0x03, 0x21, 0xa3, 0xe2, 0x44, 0xef, 0xe4, 0x56, 0x46, 0x31, 0x95, 0xd6, 0x06, 0x31, 0x7e,
    0xd7, 0xcd, 0xcc, 0x3c, 0x17, 0x56, 0xe0, 0x98, 0x93, 0xf3, 0xc6, 0x8f, 0x79, 0xbb, 0x5b,
];

/// Why a certificate cannot be a root of attestation documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RootError {
    /// More bytes than a certificate has.
    #[error("the root has {found} bytes, more than {max}: give one certificate in DER")]
    TooLarge {
        /// Its length.
        found: usize,
        /// The most that is read.
        max: usize,
    },
    /// Not an X.509 certificate of version 3.
    #[error("the root is not an X.509 certificate: give one certificate in DER")]
    NotACertificate,
    /// Another kind of key.
    #[error("the root's key is not on P-384, as every key of a document's chain must be")]
    Curve,
    /// Not a certificate authority that may sign certificates.
    #[error("the root is no certificate authority: it lacks CA:TRUE or the key usage keyCertSign")]
    NotAnAuthority,
}

/// Where a document's certificates must lead.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Root {
    /// AWS's pinned root.
    Aws,
    /// Another root, DER: a simulated module's, or a test's.
    Certificate(#[serde(with = "serde_bytes")] Vec<u8>),
}

impl Root {
    /// The root with this certificate (DER); AWS's own becomes [`Root::Aws`].
    pub fn from_der(der: &[u8]) -> Result<Self, RootError> {
        if der.len() > ROOT_MAX {
            return Err(RootError::TooLarge { found: der.len(), max: ROOT_MAX });
        }
        let certificate = Certificate::read(der).ok_or(RootError::NotACertificate)?;
        certificate.p384_point().ok_or(RootError::Curve)?;
        if !certificate.constraints.is_ca || !certificate.key_usage.key_cert_sign {
            return Err(RootError::NotAnAuthority);
        }
        let root = Root::Certificate(der.to_vec());
        Ok(if root.is_aws() { Root::Aws } else { root })
    }

    /// The certificate, DER.
    pub fn der(&self) -> &[u8] {
        match self {
            Root::Aws => AWS_ROOT_DER,
            Root::Certificate(der) => der,
        }
    }

    /// SHA-256 of the certificate.
    pub fn fingerprint(&self) -> [u8; 32] {
        sha256(self.der())
    }

    /// Whether this is AWS's root, by its fingerprint.
    pub fn is_aws(&self) -> bool {
        self.fingerprint() == AWS_ROOT_SHA256
    }

    /// The most that anything under this root is worth.
    pub fn assurance(&self) -> Assurance {
        if self.is_aws() { Assurance::Attested } else { Assurance::Simulated }
    }
}

impl std::fmt::Debug for Root {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Root::Aws => out.write_str("Aws"),
            Root::Certificate(_) => {
                write!(out, "Certificate({})", crate::hash::to_hex(&self.fingerprint()[..4]))
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_root_is_the_pinned_one() {
        assert_eq!(sha256(AWS_ROOT_DER), AWS_ROOT_SHA256);
        assert!(Root::Aws.is_aws());
    }

    #[test]
    fn the_aws_root_given_as_a_certificate_is_still_aws() {
        assert_eq!(Root::from_der(AWS_ROOT_DER), Ok(Root::Aws));
        assert_eq!(Root::Certificate(AWS_ROOT_DER.to_vec()).assurance(), Assurance::Attested);
    }

    #[test]
    fn one_changed_byte_makes_it_another_root() {
        let mut der = AWS_ROOT_DER.to_vec();
        *der.last_mut().unwrap() ^= 1;
        let root = Root::from_der(&der).unwrap();
        assert_eq!(root.assurance(), Assurance::Simulated);
    }

    #[test]
    fn bytes_that_are_no_certificate_are_refused() {
        assert_eq!(Root::from_der(b"aws"), Err(RootError::NotACertificate));
        let long = vec![0; ROOT_MAX + 1];
        assert_eq!(Root::from_der(&long), Err(RootError::TooLarge { found: ROOT_MAX + 1, max: ROOT_MAX }));
    }
}
