//! Checks 17 and 18: what the document says about the enclave's own keys.
//!
//! `public_key` is the signing key; `user_data` binds the HPKE key and says how the signing key is used, so
//! that neither the sealing key nor the algorithm can be exchanged by whoever carries the document.

use serde::{Deserialize, Serialize};

use super::der::{BIT_STRING, Der, INTEGER, SEQUENCE};
use super::limits::{RSA_MODULUS_MAX_BITS, RSA_MODULUS_MIN_BITS, SERVICE_VERSION_MAX};
use crate::codec::{self, DecodeError};
use crate::ids::HpkeKey;

/// How enclaves sign certificates: RSASSA-PSS with SHA-256 (RFC 8017).
pub const SIGNATURE_ALGORITHM: &str = "RSASSA-PSS-SHA256";
/// The version of [`EnclaveBinding`].
const VERSION: u64 = 1;

/// Why a public key is not a signing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SigningKeyError {
    /// The document has none.
    #[error("there is none, so it vouches for no key")]
    Missing,
    /// Not the SubjectPublicKeyInfo of an RSA key.
    #[error("it is not the SubjectPublicKeyInfo of an RSA key")]
    NotRsa,
    /// A modulus too short or too long.
    #[error("its RSA modulus has {found} bits, allowed are {RSA_MODULUS_MIN_BITS} to {RSA_MODULUS_MAX_BITS}")]
    Modulus {
        /// The modulus's length in bits.
        found: usize,
    },
}

/// Why user data does not bind the enclave's keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BindingError {
    /// The document has none.
    #[error("there is none, so it binds no sealing key")]
    Missing,
    /// Not the encoding of a binding.
    #[error("it is not a binding of keys: {0}")]
    Encoding(#[from] DecodeError),
    /// A version that this program does not know.
    #[error("it is a binding of version {found}, known is {VERSION}")]
    Version {
        /// Its version.
        found: u64,
    },
    /// An algorithm that this program does not verify.
    #[error("the enclave signs with {found:?}, known is {SIGNATURE_ALGORITHM:?}")]
    Algorithm {
        /// Its name.
        found: String,
    },
    /// A version text that is empty, too long or not printable.
    #[error("the service version is not 1 to {SERVICE_VERSION_MAX} printable ASCII characters")]
    ServiceVersion,
}

/// What an enclave puts into `user_data`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnclaveBinding {
    v: u64,
    hpke_public_key: HpkeKey,
    signature_algorithm: String,
    service_version: String,
}

impl EnclaveBinding {
    /// The binding of this HPKE key by a service of this version (1 to 64 printable ASCII characters).
    pub fn new(hpke_public_key: HpkeKey, service_version: &str) -> Result<Self, BindingError> {
        let binding = EnclaveBinding {
            v: VERSION,
            hpke_public_key,
            signature_algorithm: SIGNATURE_ALGORITHM.to_owned(),
            service_version: service_version.to_owned(),
        };
        binding.check().map(|()| binding)
    }

    /// The bytes for `user_data`: canonical CBOR.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Check 18: reads `user_data`.
    pub fn decode(user_data: &[u8]) -> Result<Self, BindingError> {
        let binding: EnclaveBinding = codec::decode(user_data)?;
        binding.check().map(|()| binding)
    }

    fn check(&self) -> Result<(), BindingError> {
        let EnclaveBinding { v, hpke_public_key: _, signature_algorithm, service_version } = self;
        if *v != VERSION {
            return Err(BindingError::Version { found: *v });
        }
        if signature_algorithm != SIGNATURE_ALGORITHM {
            return Err(BindingError::Algorithm { found: signature_algorithm.clone() });
        }
        let printable = service_version.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        if !printable || !(1..=SERVICE_VERSION_MAX).contains(&service_version.len()) {
            return Err(BindingError::ServiceVersion);
        }
        Ok(())
    }

    /// The key that views are sealed to.
    pub fn hpke_public_key(&self) -> HpkeKey {
        self.hpke_public_key
    }

    /// How the enclave signs.
    pub fn signature_algorithm(&self) -> &str {
        &self.signature_algorithm
    }

    /// What the service says of its own version.
    pub fn service_version(&self) -> &str {
        &self.service_version
    }
}

/// Check 17: the SubjectPublicKeyInfo (DER) of an RSA key of 2048 to 4096 bits.
pub(super) fn check_signing_key(public_key: Option<&[u8]>) -> Result<&[u8], SigningKeyError> {
    let spki = public_key.ok_or(SigningKeyError::Missing)?;
    match rsa_modulus_bits(spki).ok_or(SigningKeyError::NotRsa)? {
        RSA_MODULUS_MIN_BITS..=RSA_MODULUS_MAX_BITS => Ok(spki),
        found => Err(SigningKeyError::Modulus { found }),
    }
}

/// `SEQUENCE { SEQUENCE { rsaEncryption, NULL }, BIT STRING { SEQUENCE { modulus, exponent } } }` (RFC 8017
/// A.1).
fn rsa_modulus_bits(spki: &[u8]) -> Option<usize> {
    const RSA_ENCRYPTION: &[u8] =
        &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
    let mut info = Der::new(Der::only(spki, SEQUENCE)?);
    info.value(SEQUENCE).filter(|algorithm| *algorithm == RSA_ENCRYPTION)?;
    let key = info.value(BIT_STRING)?.strip_prefix(&[0])?;
    let mut key = Der::new(Der::only(key, SEQUENCE).filter(|_| info.is_empty())?);
    let modulus = key.value(INTEGER)?;
    let exponent = key.value(INTEGER)?;
    if !key.is_empty() || exponent.is_empty() {
        return None;
    }
    let modulus = match modulus {
        [0, magnitude @ ..] => magnitude,
        [first, ..] if *first < 0x80 => modulus,
        _ => return None,
    };
    Some(modulus.len() * 8 - usize::try_from(modulus.first()?.leading_zeros()).ok()?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn binding() -> EnclaveBinding {
        EnclaveBinding::new(HpkeKey([7; 32]), "0.1.0").unwrap()
    }

    #[test]
    fn a_binding_round_trips() {
        assert_eq!(EnclaveBinding::decode(&binding().encode()), Ok(binding()));
    }

    #[test]
    fn another_version_algorithm_or_unprintable_version_text_is_refused() {
        let version = EnclaveBinding { v: 2, ..binding() };
        assert_eq!(EnclaveBinding::decode(&version.encode()), Err(BindingError::Version { found: 2 }));
        let algorithm = EnclaveBinding { signature_algorithm: "none".into(), ..binding() };
        let found = "none".to_owned();
        assert_eq!(EnclaveBinding::decode(&algorithm.encode()), Err(BindingError::Algorithm { found }));
        for text in ["", "a\nb", "ä", &"x".repeat(SERVICE_VERSION_MAX + 1)] {
            assert_eq!(EnclaveBinding::new(HpkeKey([7; 32]), text), Err(BindingError::ServiceVersion));
        }
    }

    #[test]
    fn a_binding_in_another_encoding_is_refused() {
        let mut trailing = binding().encode();
        trailing.push(0);
        assert!(matches!(EnclaveBinding::decode(&trailing), Err(BindingError::Encoding(_))));
        assert!(matches!(EnclaveBinding::decode(&[]), Err(BindingError::Encoding(_))));
    }

    #[test]
    fn the_golden_binding_does_not_change() {
        let bytes = include_bytes!("../../vectors/attestation/binding.cbor");
        assert_eq!(binding().encode(), bytes);
    }
}
