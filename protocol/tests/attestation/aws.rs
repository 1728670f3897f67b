//! AWS's own documents, at a time when they were valid, and later.

use nitro_elect_protocol::assurance::Assurance;
use nitro_elect_protocol::attestation::{
    AttestationError, ChainError, DocumentPolicy, Measurements, NonceCheck, Place, Root, UntrustedDocument,
    VerifiedDocument, When, verify_document,
};
use nitro_elect_protocol::hash::from_hex;
use nitro_elect_protocol::ids::Pcr;
use nitro_elect_protocol::time::Wall;
use std::time::Duration;

use crate::pki::HOUR;

const OHIO: &[u8] =
    include_bytes!("../../vectors/attestation/aws/maple-sdk-4.1.0_2024-10-28_us-east-2_nonce.cose");
const FRANKFURT: &[u8] = include_bytes!(
    "../../vectors/attestation/aws/nitro_attest-0.2.0_2025-01-06_eu-central-1_rsa2048-spki.cose"
);
const DEBUG: &[u8] = include_bytes!(
    "../../vectors/attestation/aws/remote-attestation-verifier-0.1.2_2024-09-09_us-east-1_DEBUG-MODE.cose"
);
const BAD_SIGNATURE: &[u8] = include_bytes!(
    "../../vectors/attestation/aws/NEGATIVE_remote-attestation-verifier-0.1.2_bad-cose-signature.cose"
);

const OHIO_PCR0: &str = "dce041872408e890aafd7c0185cdfc4f6802c1073816c7e32f6d5b4784511da4\
                         aadf06e3f3fb3c26d3b036ac2d0726d0";
const FRANKFURT_PCR0: &str = "8bb159f202bb95d6d4d98e0e103918246cea734f1d57cd263e4fd56075ed53f6\
                              fa8c68854817a32749a241e11874c26b";
const OHIO_MADE: Wall = Wall(1_730_141_656_206);
const FRANKFURT_MADE: Wall = Wall(1_736_179_625_472);
const DEBUG_MADE: Wall = Wall(1_725_911_352_400);

fn verify(
    document: &[u8],
    pcr0: &str,
    nonce: NonceCheck<'_>,
    when: When,
) -> Result<VerifiedDocument, AttestationError> {
    let accepted = [Measurements::new([(0, Pcr::from_hex(pcr0).unwrap())]).unwrap()];
    let root = &Root::Aws;
    let max_age = Some(HOUR);
    verify_document(
        document,
        &DocumentPolicy { root, accepted: &accepted, allow_debug: false, max_age, nonce, when },
    )
}

fn at(time: Wall) -> When {
    When::At { time: time + Duration::from_secs(1) }
}

#[test]
fn aws_documents_verify_at_their_time_and_are_attested() {
    for (document, pcr0, made) in [(OHIO, OHIO_PCR0, OHIO_MADE), (FRANKFURT, FRANKFURT_PCR0, FRANKFURT_MADE)]
    {
        let verified = verify(document, pcr0, NonceCheck::NotAsked, at(made)).unwrap();
        assert_eq!(verified.assurance(), Assurance::Attested);
        assert_eq!(verified.timestamp(), made);
        assert_eq!(verified.pcrs().len(), 16);
        assert_eq!(verified.good_until(), made + HOUR);
    }
}

#[test]
fn an_aws_documents_nonce_is_compared() {
    let nonce = from_hex("63633662393565662d613064372d343737642d393066322d333663633038386432343439").unwrap();
    assert!(verify(OHIO, OHIO_PCR0, NonceCheck::Sent(&nonce), at(OHIO_MADE)).is_ok());
    let other = verify(OHIO, OHIO_PCR0, NonceCheck::Sent(&nonce[..35]), at(OHIO_MADE));
    assert_eq!(other, Err(AttestationError::NonceDiffers));
    let none = verify(FRANKFURT, FRANKFURT_PCR0, NonceCheck::Sent(&nonce), at(FRANKFURT_MADE));
    assert_eq!(none, Err(AttestationError::NonceMissing));
}

#[test]
fn an_aws_document_is_over_with_its_leaf() {
    let leaf_end = Wall(1_730_152_098_000);
    let when = When::Live { now: leaf_end + Duration::from_millis(1) };
    let expected = ChainError::Expired {
        place: Place::Leaf,
        not_after: leaf_end,
        at: leaf_end + Duration::from_millis(1),
    };
    assert_eq!(verify(OHIO, OHIO_PCR0, NonceCheck::NotAsked, when), Err(expected.into()));
    assert!(verify(OHIO, OHIO_PCR0, NonceCheck::NotAsked, When::Later).is_ok());
}

#[test]
fn an_aws_document_of_another_image_is_refused() {
    let swapped = verify(OHIO, FRANKFURT_PCR0, NonceCheck::NotAsked, at(OHIO_MADE));
    assert!(matches!(swapped, Err(AttestationError::Measurements { .. })));
}

#[test]
fn an_aws_document_in_debug_mode_is_refused_or_worth_less() {
    let refused = verify(DEBUG, OHIO_PCR0, NonceCheck::NotAsked, at(DEBUG_MADE));
    assert_eq!(refused, Err(AttestationError::DebugMode));
    let accepted = [Measurements::new([(0, Pcr::from_hex(OHIO_PCR0).unwrap())]).unwrap()];
    let policy = DocumentPolicy {
        root: &Root::Aws,
        accepted: &accepted,
        allow_debug: true,
        max_age: None,
        nonce: NonceCheck::NotAsked,
        when: at(DEBUG_MADE),
    };
    assert_eq!(verify_document(DEBUG, &policy).unwrap().assurance(), Assurance::Debug);
}

#[test]
fn an_aws_document_with_a_bad_signature_is_refused() {
    let made = UntrustedDocument::read(BAD_SIGNATURE).unwrap().timestamp;
    let refused = verify(BAD_SIGNATURE, OHIO_PCR0, NonceCheck::NotAsked, at(made));
    assert_eq!(refused, Err(AttestationError::Signature));
}

#[test]
fn an_aws_document_does_not_pass_under_another_root() {
    let other = rcgen_root();
    let accepted = [Measurements::new([(0, Pcr::from_hex(OHIO_PCR0).unwrap())]).unwrap()];
    let policy = DocumentPolicy {
        root: &other,
        accepted: &accepted,
        allow_debug: false,
        max_age: None,
        nonce: NonceCheck::NotAsked,
        when: at(OHIO_MADE),
    };
    let refused = verify_document(OHIO, &policy);
    assert!(matches!(refused, Err(AttestationError::Chain(ChainError::RootNotPinned { .. }))));
}

fn rcgen_root() -> Root {
    let root = crate::pki::Issued::self_signed(&crate::pki::Plan::root());
    Root::from_der(&root.der).unwrap()
}
