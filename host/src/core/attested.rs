//! A memory of verified attestation documents: checking a chain of five P-384 certificates takes milliseconds,
//! and the same document comes with every call.
//!
//! It remembers the verifier's own witnesses, by document and trust section, and lets none outlive its dates.

use nitro_elect_protocol::attestation::{AttestationError, VerifiedEnclave, When};
use nitro_elect_protocol::codec;
use nitro_elect_protocol::crypto::{BadSignature, Crypto};
use nitro_elect_protocol::hash;
use nitro_elect_protocol::ids::{EnclaveId, HpkeKey, NodeId, Signature};
use nitro_elect_protocol::seal::{SealError, SealedView};
use nitro_elect_protocol::trust::Trust;
use rand::CryptoRng;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Documents remembered: each enclave of a cluster renews its own every ten minutes.
const REMEMBERED_MAX: usize = 64;

type Key = ([u8; 32], bool);

/// Primitives with a memory for attestation documents.
pub struct Attested {
    inner: Arc<dyn Crypto>,
    seen: Mutex<BTreeMap<Key, VerifiedEnclave>>,
}

impl Attested {
    /// Remembers what `inner` verifies.
    pub fn new(inner: Arc<dyn Crypto>) -> Self {
        Attested { inner, seen: Mutex::new(BTreeMap::new()) }
    }
}

impl Crypto for Attested {
    fn verify_enclave(
        &self,
        document: &[u8],
        trust: &Trust,
        claimed: Option<EnclaveId>,
        when: When,
    ) -> Result<VerifiedEnclave, AttestationError> {
        let key = (hash::framed("memory", &[document, &codec::encode(trust)]), when == When::Later);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let known = seen.get(&key).filter(|known| {
            let in_time = match when {
                When::Live { now } => known.timestamp() <= now && now <= known.good_until(),
                When::Later => true,
                When::At { .. } => false,
            };
            in_time && claimed.is_none_or(|claimed| claimed == known.id())
        });
        if let Some(known) = known {
            return Ok(known.clone());
        }
        let verified = self.inner.verify_enclave(document, trust, claimed, when)?;
        if !matches!(when, When::At { .. }) {
            if seen.len() >= REMEMBERED_MAX {
                seen.clear();
            }
            seen.insert(key, verified.clone());
        }
        Ok(verified)
    }

    fn verify(&self, signer: &NodeId, input: &[u8], signature: &Signature) -> Result<(), BadSignature> {
        self.inner.verify(signer, input, signature)
    }

    fn verify_enclave_signature(
        &self,
        spki: &[u8],
        input: &[u8],
        signature: &[u8],
    ) -> Result<(), BadSignature> {
        self.inner.verify_enclave_signature(spki, input, signature)
    }

    fn seal(
        &self,
        to: &HpkeKey,
        context: &[u8],
        view: &[u8],
        randomness: &mut dyn CryptoRng,
    ) -> Result<SealedView, SealError> {
        self.inner.seal(to, context, view, randomness)
    }
}
