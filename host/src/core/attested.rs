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
use nitro_elect_protocol::time::Wall;
use nitro_elect_protocol::trust::Trust;
use rand::CryptoRng;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Documents remembered: each enclave of a cluster renews its own every ten minutes.
const REMEMBERED_MAX: usize = 64;

type Key = ([u8; 32], bool);

/// A witness, and the earliest time at which its document was found good.
#[derive(Debug)]
struct Remembered {
    enclave: VerifiedEnclave,
    since: Wall,
}

impl Remembered {
    /// Whether looking again could change nothing. All that depends on time holds in one span, whose end the
    /// witness knows; so it holds between two times at which it held.
    fn stands(&self, when: When, claimed: Option<EnclaveId>) -> bool {
        let in_time = match when {
            When::Live { now } => self.since <= now && now <= self.enclave.good_until(),
            When::Later => true,
            When::At { .. } => false,
        };
        in_time && claimed.is_none_or(|claimed| claimed == self.enclave.id())
    }
}

/// Primitives with a memory for attestation documents.
pub struct Attested {
    inner: Arc<dyn Crypto>,
    seen: Mutex<BTreeMap<Key, Remembered>>,
    most: usize,
}

impl Attested {
    /// Remembers what `inner` verifies.
    pub fn new(inner: Arc<dyn Crypto>) -> Self {
        Attested::remembering(inner, REMEMBERED_MAX)
    }

    /// Remembers at most so many documents that `inner` verifies: for many clusters in one process.
    pub fn remembering(inner: Arc<dyn Crypto>, most: usize) -> Self {
        Attested { inner, seen: Mutex::new(BTreeMap::new()), most }
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
        if let Some(known) = seen.get(&key).filter(|known| known.stands(when, claimed)) {
            return Ok(known.enclave.clone());
        }
        let verified = self.inner.verify_enclave(document, trust, claimed, when)?;
        let since = match when {
            When::Live { now } => now,
            When::Later => Wall(0),
            When::At { .. } => return Ok(verified),
        };
        if seen.len() >= self.most {
            seen.clear();
        }
        seen.insert(key, Remembered { enclave: verified.clone(), since });
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulated::nsm::measurements;
    use crate::simulated::{SimulatedNsm, SimulatedPki};
    use nitro_elect_enclave::keys::Keys;
    use nitro_elect_protocol::crypto::Ring;
    use nitro_elect_protocol::limits::{AGE_MAX, FUTURE_MAX};
    use std::time::Duration;

    const MADE: Wall = Wall(1_767_225_600_000);

    fn document() -> (Vec<u8>, Trust) {
        let nsm = SimulatedNsm::new(SimulatedPki::generate().unwrap(), measurements());
        let pkcs8 = include_bytes!("../../../enclave/tests/keys/rsa-2048-1.pkcs8.der");
        let claims = Keys::from_pkcs8(pkcs8, &[7; 32]).unwrap().claims();
        let document = nsm.attest(MADE, &claims.public_key, &claims.user_data, None).unwrap();
        let trust = Trust::new(nsm.pki().root(), vec![nsm.pcrs().clone()], false, AGE_MAX);
        (document, trust)
    }

    /// When the one document in the memory was last checked anew.
    fn since(attested: &Attested) -> Wall {
        attested.seen.lock().unwrap().values().next().expect("one document was checked").since
    }

    #[test]
    fn a_document_is_checked_once_by_a_clock_that_is_behind_its_enclaves() {
        let (document, trust) = document();
        let attested = Attested::new(Arc::new(Ring));
        let behind = |ms: u64| Wall(MADE.0 - ms);
        for now in [behind(5000), behind(4999), MADE, MADE + Duration::from_secs(60)] {
            attested.verify_enclave(&document, &trust, None, When::Live { now }).unwrap();
            assert_eq!(since(&attested), behind(5000));
        }
        attested.verify_enclave(&document, &trust, None, When::Live { now: behind(5001) }).unwrap();
        assert_eq!(since(&attested), behind(5001), "earlier than it was ever found good");
    }

    #[test]
    fn what_is_remembered_is_refused_before_and_after_its_time() {
        let (document, trust) = document();
        let attested = Attested::new(Arc::new(Ring));
        let at = |now: Wall| attested.verify_enclave(&document, &trust, None, When::Live { now });
        let good_until = at(MADE).unwrap().good_until();
        assert!(at(good_until).is_ok());
        assert!(at(good_until + Duration::from_millis(1)).is_err());
        let first = Wall(MADE.0 - FUTURE_MAX.as_millis() as u64);
        assert!(at(first).is_ok());
        assert!(at(Wall(first.0 - 1)).is_err());
    }
}
