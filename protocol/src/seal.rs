//! Sealing a signed view to one enclave, electorate and term: HPKE (RFC 9180) in base mode with
//! DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and ChaCha20-Poly1305.
//!
//! The additional data names electorate, enclave and term, so a sealed view opens nowhere else. A sealed view is
//! the 32-byte encapsulated key, then the ciphertext with its 16-byte tag.

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{
    Deserializable, Kem, OpModeR, OpModeS, Serializable, single_shot_open, single_shot_seal_with_rng,
};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize, de::Error as _};
use std::fmt;

use crate::codec;
use crate::ids::{ElectorateDigest, EnclaveId, HpkeKey, Term};
use crate::limits::SEAL_OVERHEAD;

const INFO: &[u8] = b"nitro-elect/v1/sealed-view";
const ENCAPSULATED_KEY: usize = 32;

/// A sealed signed view: opaque to everybody but the enclave it is for.
///
/// One that is read has at least the bytes that sealing adds, so that a message cannot hold millions of them.
#[derive(Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct SealedView(#[serde(with = "serde_bytes")] pub Vec<u8>);

impl<'de> Deserialize<'de> for SealedView {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let bytes = serde_bytes::ByteBuf::deserialize(from)?.into_vec();
        if bytes.len() < SEAL_OVERHEAD {
            return Err(D::Error::invalid_length(bytes.len(), &"a sealed view"));
        }
        Ok(SealedView(bytes))
    }
}

impl fmt::Debug for SealedView {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "SealedView({} bytes)", self.0.len())
    }
}

/// Why a view could not be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the enclave's HPKE key is not a usable X25519 key")]
pub struct SealError;

/// Why a sealed view did not open: not sealed to this key for this context, or tampered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the view was not sealed to this enclave, electorate and term")]
pub struct OpenError;

/// The additional data of a view for this electorate, enclave and term.
pub fn context(electorate: &ElectorateDigest, enclave: &EnclaveId, term: Term) -> Vec<u8> {
    codec::encode(&(electorate, enclave, term))
}

/// Seals a signed view's bytes.
pub fn seal(
    to: &HpkeKey,
    context: &[u8],
    view: &[u8],
    mut randomness: &mut dyn CryptoRng,
) -> Result<SealedView, SealError> {
    let key = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(&to.0).map_err(|_| SealError)?;
    let (encapsulated, ciphertext) = single_shot_seal_with_rng::<
        ChaCha20Poly1305,
        HkdfSha256,
        X25519HkdfSha256,
    >(&OpModeS::Base, &key, INFO, view, context, &mut randomness)
    .map_err(|_| SealError)?;
    Ok(SealedView([&encapsulated.to_bytes()[..], &ciphertext].concat()))
}

/// The private half of an enclave's HPKE key. It never leaves the enclave.
pub struct OpeningKey {
    private: <X25519HkdfSha256 as Kem>::PrivateKey,
    public: HpkeKey,
}

impl OpeningKey {
    /// Derives the key pair from 32 secret random bytes (RFC 9180 §7.1.3).
    pub fn derive(secret: &[u8; 32]) -> Self {
        let (private, public) = X25519HkdfSha256::derive_keypair(secret);
        OpeningKey { private, public: HpkeKey(public.to_bytes().into()) }
    }

    /// The public half.
    pub fn public(&self) -> HpkeKey {
        self.public
    }

    /// Opens a sealed view.
    pub fn open(&self, context: &[u8], sealed: &SealedView) -> Result<Vec<u8>, OpenError> {
        let (encapsulated, ciphertext) = sealed.0.split_at_checked(ENCAPSULATED_KEY).ok_or(OpenError)?;
        let encapsulated =
            <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(encapsulated).map_err(|_| OpenError)?;
        single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &self.private,
            &encapsulated,
            INFO,
            ciphertext,
            context,
        )
        .map_err(|_| OpenError)
    }
}

impl fmt::Debug for OpeningKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "OpeningKey({})", self.public.short())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    fn sealed() -> (OpeningKey, Vec<u8>, SealedView) {
        let key = OpeningKey::derive(&[3; 32]);
        let context = context(&ElectorateDigest([1; 32]), &EnclaveId([2; 32]), Term(7));
        let sealed = seal(&key.public(), &context, b"a view", &mut StdRng::seed_from_u64(1)).expect("seals");
        (key, context, sealed)
    }

    #[test]
    fn a_view_opens_for_its_enclave_electorate_and_term_alone() {
        let (key, context, sealed) = sealed();
        assert_eq!(key.open(&context, &sealed), Ok(b"a view".to_vec()));
        assert_eq!(sealed.0.len(), b"a view".len() + SEAL_OVERHEAD);
        let other_term = super::context(&ElectorateDigest([1; 32]), &EnclaveId([2; 32]), Term(8));
        assert_eq!(key.open(&other_term, &sealed), Err(OpenError));
        assert_eq!(OpeningKey::derive(&[4; 32]).open(&context, &sealed), Err(OpenError));
    }

    #[test]
    fn a_view_with_any_byte_changed_does_not_open() {
        let (key, context, sealed) = sealed();
        for index in 0..sealed.0.len() {
            let mut bent = sealed.clone();
            bent.0[index] ^= 1;
            assert_eq!(key.open(&context, &bent), Err(OpenError), "byte {index}");
        }
        assert_eq!(key.open(&context, &SealedView(vec![1; 10])), Err(OpenError));
    }

    #[test]
    fn a_sealed_view_shorter_than_what_sealing_adds_is_not_read() {
        let read = |length| codec::decode::<SealedView>(&codec::encode(&SealedView(vec![1; length])));
        assert!(read(SEAL_OVERHEAD - 1).is_err());
        assert_eq!(read(SEAL_OVERHEAD), Ok(SealedView(vec![1; SEAL_OVERHEAD])));
    }

    #[test]
    fn the_zero_key_is_refused() {
        let result = seal(&HpkeKey([0; 32]), b"", b"", &mut StdRng::seed_from_u64(1));
        assert_eq!(result, Err(SealError));
    }
}
