//! Primitives that remember which signed view is behind which sealed bytes, so that the observer can look into
//! what only an enclave could open.

use nitro_elect_protocol::attestation::{AttestationError, VerifiedEnclave, When};
use nitro_elect_protocol::codec;
use nitro_elect_protocol::crypto::{BadSignature, Crypto};
use nitro_elect_protocol::ids::{EnclaveId, HpkeKey, NodeId, Signature};
use nitro_elect_protocol::seal::{SealError, SealedView};
use nitro_elect_protocol::statement::Signed;
use nitro_elect_protocol::trust::Trust;
use nitro_elect_protocol::view::View;
use rand::CryptoRng;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::clock::At;

/// A view that was sealed.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// When.
    pub at: At,
    /// What.
    pub signed: Signed<View>,
}

/// Primitives with a record of all sealing.
pub struct Recorder {
    inner: Arc<dyn Crypto>,
    record: Mutex<Record>,
}

#[derive(Default)]
struct Record {
    now: At,
    sealed: BTreeMap<Vec<u8>, Sealed>,
}

impl Recorder {
    /// Records what is sealed by way of `inner`.
    pub fn new(inner: Arc<dyn Crypto>) -> Self {
        Recorder { inner, record: Mutex::default() }
    }

    /// Tells the true time of what is sealed next.
    pub fn set_now(&self, now: At) {
        self.record().now = now;
    }

    /// The true time.
    pub fn now(&self) -> At {
        self.record().now
    }

    /// What is behind sealed bytes; none if they were not sealed here.
    pub fn behind(&self, sealed: &SealedView) -> Option<Sealed> {
        self.record().sealed.get(&sealed.0).cloned()
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Crypto for Recorder {
    fn verify_enclave(
        &self,
        document: &[u8],
        trust: &Trust,
        claimed: Option<EnclaveId>,
        when: When,
    ) -> Result<VerifiedEnclave, AttestationError> {
        self.inner.verify_enclave(document, trust, claimed, when)
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
        let sealed = self.inner.seal(to, context, view, randomness)?;
        if let Ok(signed) = codec::decode(view) {
            let mut record = self.record();
            let at = record.now;
            record.sealed.insert(sealed.0.clone(), Sealed { at, signed });
        }
        Ok(sealed)
    }
}
