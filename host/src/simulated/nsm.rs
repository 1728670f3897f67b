//! The simulated module itself: documents of exactly the format that the Nitro hypervisor's module signs.

use aws_nitro_enclaves_nsm_api::api::{AttestationDoc, Digest};
use nitro_elect_protocol::attestation::limits::{NONCE_MAX, PUBLIC_KEY_MAX, USER_DATA_MAX};
use nitro_elect_protocol::ids::Pcr;
use nitro_elect_protocol::time::Wall;
use nitro_elect_protocol::trust::PcrSet;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair};
use serde_bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::pki::{SimulatedChain, SimulatedPki};

/// The protected header `{1: -35}`: ES384.
const PROTECTED_ES384: &[u8] = &[0xa1, 0x01, 0x38, 0x22];
/// The registers that a Nitro module locks at boot, PCR0 to PCR15.
const LOCKED_REGISTERS: usize = 16;
/// What the module calls itself.
const MODULE_ID: &str = "i-simulated-enc0000000000000000";

/// Why the simulated module made no document.
#[derive(Debug, thiserror::Error)]
pub enum SimulatedNsmError {
    /// A field is longer than the real module would take.
    #[error("{field} has {found} bytes, the NSM takes at most {max}")]
    InputTooLarge {
        /// The field.
        field: &'static str,
        /// Its length.
        found: usize,
        /// The most that the NSM takes.
        max: usize,
    },
    /// A public key of no bytes, which the real module would not take either.
    #[error("public_key is empty")]
    NoPublicKey,
    /// A new leaf could not be issued.
    #[error("a simulated certificate could not be made: {0}")]
    Issue(#[from] rcgen::Error),
    /// The leaf's key could not be used.
    #[error("the simulated document could not be signed")]
    Sign,
}

/// What an enclave asks the module to sign.
pub(super) struct Statement<'a> {
    pub(super) public_key: &'a [u8],
    pub(super) user_data: &'a [u8],
    pub(super) nonce: Option<&'a [u8]>,
}

/// A module for one simulated enclave.
pub struct SimulatedNsm {
    pki: SimulatedPki,
    pcrs: PcrSet,
    chain: Mutex<Option<SimulatedChain>>,
}

/// The measurements of the simulated image: the same at every start, and recognisable as no image's.
pub fn measurements() -> PcrSet {
    let text = |text: &[u8; 16]| Pcr(std::array::from_fn(|index| text[index % 16]));
    PcrSet {
        pcr0: text(b"simulated-pcr0--"),
        pcr1: text(b"simulated-pcr1--"),
        pcr2: text(b"simulated-pcr2--"),
        pcr8: None,
    }
}

impl SimulatedNsm {
    /// A module that measured these registers and signs under this root.
    pub fn new(pki: SimulatedPki, pcrs: PcrSet) -> Self {
        SimulatedNsm { pki, pcrs, chain: Mutex::new(None) }
    }

    /// The root that its documents lead to.
    pub fn pki(&self) -> &SimulatedPki {
        &self.pki
    }

    /// The registers that it reports.
    pub fn pcrs(&self) -> &PcrSet {
        &self.pcrs
    }

    /// Signs a document over these fields, dated `now`. The leaf is kept between documents, as the real
    /// module does, and renewed in time.
    pub fn attest(
        &self,
        now: Wall,
        public_key: &[u8],
        user_data: &[u8],
        nonce: Option<&[u8]>,
    ) -> Result<Vec<u8>, SimulatedNsmError> {
        let mut kept = self.chain.lock().unwrap_or_else(PoisonError::into_inner);
        let chain = match kept.take().filter(|chain| chain.serves(now)) {
            Some(chain) => kept.insert(chain),
            None => kept.insert(self.pki.issue(now)?),
        };
        document(chain, &self.pcrs, now, &Statement { public_key, user_data, nonce })
    }
}

/// Signs a document with the leaf of a chain.
pub(super) fn document(
    chain: &SimulatedChain,
    pcrs: &PcrSet,
    now: Wall,
    statement: &Statement<'_>,
) -> Result<Vec<u8>, SimulatedNsmError> {
    let Statement { public_key, user_data, nonce } = *statement;
    check_lengths(statement)?;
    let document = AttestationDoc::new(
        MODULE_ID.to_owned(),
        Digest::SHA384,
        now.0,
        registers(pcrs),
        chain.leaf.clone(),
        chain.bundle.clone(),
        Some(user_data.to_vec()),
        nonce.map(<[u8]>::to_vec),
        Some(public_key.to_vec()),
    );
    envelope(&document.to_binary(), chain)
}

fn check_lengths(statement: &Statement<'_>) -> Result<(), SimulatedNsmError> {
    let Statement { public_key, user_data, nonce } = *statement;
    if public_key.is_empty() {
        return Err(SimulatedNsmError::NoPublicKey);
    }
    let nonce = nonce.unwrap_or_default();
    let fields = [
        ("public_key", public_key, PUBLIC_KEY_MAX),
        ("user_data", user_data, USER_DATA_MAX),
        ("nonce", nonce, NONCE_MAX),
    ];
    match fields.into_iter().find(|(_, bytes, max)| bytes.len() > *max) {
        Some((field, bytes, max)) => Err(SimulatedNsmError::InputTooLarge { field, found: bytes.len(), max }),
        None => Ok(()),
    }
}

fn registers(pcrs: &PcrSet) -> BTreeMap<usize, Vec<u8>> {
    let unused = (0..LOCKED_REGISTERS).map(|index| (index, Pcr::ZERO));
    let measured = pcrs.pcrs().map(|(index, pcr)| (usize::from(index), pcr));
    unused.chain(measured).map(|(index, pcr)| (index, pcr.0.to_vec())).collect()
}

/// An untagged `COSE_Sign1` (RFC 9052 §4.2) with ES384.
fn envelope(payload: &[u8], chain: &SimulatedChain) -> Result<Vec<u8>, SimulatedNsmError> {
    let (protected, payload) = (Bytes::new(PROTECTED_ES384), Bytes::new(payload));
    let to_be_signed = cbor(&("Signature1", protected, Bytes::new(b""), payload));
    let random = SystemRandom::new();
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, chain.key.serialized_der(), &random)
        .map_err(|_| SimulatedNsmError::Sign)?;
    let signature = key.sign(&random, &to_be_signed).map_err(|_| SimulatedNsmError::Sign)?;
    let unprotected = BTreeMap::<u8, u8>::new();
    Ok(cbor(&(protected, unprotected, payload, Bytes::new(signature.as_ref()))))
}

fn cbor(value: &impl serde::Serialize) -> Vec<u8> {
    serde_cbor::to_vec(value).expect("tuples of bytes, text and empty maps have an encoding")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use nitro_elect_protocol::assurance::Assurance;
    use nitro_elect_protocol::attestation::{
        AttestationError, DocumentPolicy, Measurements, NonceCheck, UntrustedDocument, VerifiedDocument,
        When, verify_document,
    };
    use std::time::Duration;

    const NOW: Wall = Wall(1_767_225_600_000);
    const HOUR: Duration = Duration::from_secs(3600);

    fn module() -> SimulatedNsm {
        SimulatedNsm::new(SimulatedPki::generate().unwrap(), measurements())
    }

    fn verify(nsm: &SimulatedNsm, document: &[u8], now: Wall) -> Result<VerifiedDocument, AttestationError> {
        let policy = DocumentPolicy {
            root: &nsm.pki().root(),
            accepted: &[Measurements::try_from(nsm.pcrs()).unwrap()],
            allow_debug: false,
            max_age: Some(HOUR),
            nonce: NonceCheck::Sent(b"0123456789abcdef"),
            when: When::Live { now },
        };
        verify_document(document, &policy)
    }

    fn attest(nsm: &SimulatedNsm, now: Wall) -> Vec<u8> {
        nsm.attest(now, b"key", b"data", Some(b"0123456789abcdef")).unwrap()
    }

    fn leaf(document: &[u8]) -> Vec<u8> {
        UntrustedDocument::read(document).unwrap().certificate.to_vec()
    }

    #[test]
    fn its_documents_pass_every_check_and_are_worth_simulated() {
        let nsm = module();
        let verified = verify(&nsm, &attest(&nsm, NOW), NOW).unwrap();
        assert_eq!(verified.assurance(), Assurance::Simulated);
        assert_eq!(verified.public_key(), Some(&b"key"[..]));
        assert_eq!(verified.user_data(), Some(&b"data"[..]));
        assert_eq!(verified.pcrs().len(), 16);
        assert_eq!(verified.certificates().len(), 5);
        assert_eq!(verified.good_until(), NOW + HOUR);
    }

    #[test]
    fn it_begins_like_a_document_of_aws() {
        let document = attest(&module(), NOW);
        assert_eq!(document[..8], [0x84, 0x44, 0xa1, 0x01, 0x38, 0x22, 0xa0, 0x59]);
        assert_eq!(document[10], 0xa9);
    }

    #[test]
    fn the_leaf_is_kept_and_renewed_while_it_still_has_an_hour() {
        let nsm = module();
        let first = leaf(&attest(&nsm, NOW));
        let before_renewal = NOW + HOUR * 2 - Duration::from_millis(1);
        let kept = attest(&nsm, before_renewal);
        assert_eq!(leaf(&kept), first);
        assert_eq!(verify(&nsm, &kept, before_renewal).unwrap().good_until(), before_renewal + HOUR);
        assert_ne!(leaf(&attest(&nsm, NOW + HOUR * 2)), first);
    }

    #[test]
    fn it_works_on_any_clock_and_when_the_clock_is_set_back() {
        let nsm = module();
        for days in [20_000, 1_000, 0, 28_800] {
            let now = Wall(1) + HOUR * 24 * days;
            assert_eq!(verify(&nsm, &attest(&nsm, now), now).map(|_| ()), Ok(()), "day {days}");
        }
    }

    #[test]
    fn a_kept_root_vouches_for_the_next_module() {
        let first = module();
        let kept = SimulatedPki::from_pem(&first.pki().to_pem()).unwrap();
        let second = SimulatedNsm::new(kept, measurements());
        assert!(verify(&first, &attest(&second, NOW), NOW).is_ok());
    }

    #[test]
    fn another_modules_documents_are_refused() {
        let (ours, theirs) = (module(), module());
        assert!(verify(&ours, &attest(&theirs, NOW), NOW).is_err());
    }

    #[test]
    fn what_the_real_module_would_not_take_is_refused() {
        let nsm = module();
        let long = [0; 1025];
        let refused =
            |key: &[u8], data: &[u8], nonce| nsm.attest(NOW, key, data, nonce).unwrap_err().to_string();
        assert_eq!(refused(&long, b"", None), "public_key has 1025 bytes, the NSM takes at most 1024");
        assert_eq!(refused(b"k", &long[..513], None), "user_data has 513 bytes, the NSM takes at most 512");
        assert_eq!(refused(b"k", b"", Some(&long[..513])), "nonce has 513 bytes, the NSM takes at most 512");
        assert_eq!(refused(b"", b"", None), "public_key is empty");
    }
}
