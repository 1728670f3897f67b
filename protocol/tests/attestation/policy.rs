//! What a policy asks for, and what it cannot leave out.

use nitro_elect_protocol::assurance::Assurance;
use nitro_elect_protocol::attestation::{
    AttestationError, ChainError, Check, DocumentPolicy, Freshness, Measurements, MeasurementsError,
    NonceCheck, Outcome, Place, Root, When, verify_document, verify_enclave,
};
use nitro_elect_protocol::ids::Pcr;
use nitro_elect_protocol::trust::{Trust, TrustFault};
use rcgen::KeyUsagePurpose;
use std::time::Duration;

use crate::cbor;
use crate::draft::Draft;
use crate::pki::{Chain, HOUR, Issued, Plan};
use crate::world::{NONCE, NOW, World, enclave_id, pcr, verify, verify_when};

const LIVE: When = When::Live { now: NOW };

fn outcome(checks: &[nitro_elect_protocol::attestation::Checked], check: Check) -> Outcome {
    checks.iter().find(|checked| checked.check == check).unwrap().outcome
}

fn debug_document(world: &World) -> Vec<u8> {
    world.with(|draft| {
        draft.set_pcrs(|pcrs| pcrs[..3].iter_mut().for_each(|pcr| pcr.1 = cbor::bytes(&[0; 48])));
    })
}

#[test]
fn an_unsound_trust_section_accepts_nothing() {
    let world = World::new();
    let (good, document) = (world.trust(), world.with(|_| ()));
    let empty = Trust { accepted: Vec::new(), ..good.clone() };
    let fault = AttestationError::Trust(TrustFault::NothingAccepted);
    assert_eq!(verify(&document, &empty), Err(fault));
    let mut zeros = good.clone();
    zeros.accepted[0].pcr0 = Pcr::ZERO;
    zeros.accepted[0].pcr1 = Pcr::ZERO;
    zeros.accepted[0].pcr2 = Pcr::ZERO;
    let fault = AttestationError::Trust(TrustFault::ZeroPcr { set: 1, index: 0 });
    assert_eq!(verify(&debug_document(&world), &zeros), Err(fault.clone()));
    assert_eq!(fault.check(), None);
    let ageless = Trust { max_age_ms: u64::MAX, ..good };
    assert!(matches!(
        verify(&document, &ageless),
        Err(AttestationError::Trust(TrustFault::AgeTooLong { .. }))
    ));
}

#[test]
fn a_policy_without_measurements_accepts_nothing() {
    let world = World::new();
    let root = Root::from_der(&world.root.der).unwrap();
    let nonce = NonceCheck::NotAsked;
    let policy =
        DocumentPolicy { root: &root, accepted: &[], allow_debug: true, max_age: None, nonce, when: LIVE };
    let expected = Err(AttestationError::Expectation(MeasurementsError::Empty));
    assert_eq!(verify_document(&world.with(|_| ()), &policy), expected);
    assert_eq!(verify_document(&debug_document(&world), &policy), expected);
}

#[test]
fn a_second_accepted_set_lets_another_image_in_and_the_nearest_is_named() {
    let world = World::new();
    let mut trust = world.trust();
    let mut next = trust.accepted[0].clone();
    next.pcr0 = Pcr([0xfe; 48]);
    trust.accepted.push(next);
    let with_pcr0 =
        |value: [u8; 48]| world.with(|draft| draft.set_pcrs(|pcrs| pcrs[0].1 = cbor::bytes(&value)));
    assert!(verify(&with_pcr0([0xfe; 48]), &trust).is_ok());
    assert!(verify(&world.with(|_| ()), &trust).is_ok());
    let mixed = world.with(|draft| {
        draft.set_pcrs(|pcrs| {
            pcrs[0].1 = cbor::bytes(&[0xfe; 48]);
            pcrs[2].1 = cbor::bytes(&[0xfd; 48]);
        });
    });
    match verify(&mixed, &trust) {
        Err(AttestationError::Measurements { sets: 2, nearest }) => assert_eq!(nearest.index, 2),
        other => panic!("{other:?}"),
    }
}

#[test]
fn debug_mode_passes_only_where_allowed_and_never_as_more() {
    let world = World::new();
    let document = debug_document(&world);
    assert_eq!(verify(&document, &world.trust()), Err(AttestationError::DebugMode));
    let allowing = Trust { allow_debug: true, ..world.trust() };
    let enclave = verify(&document, &allowing).unwrap();
    assert_eq!(enclave.assurance(), Assurance::Simulated);
    assert_eq!(outcome(enclave.checks(), Check::DebugMode), Outcome::DebugAllowed);
    assert_eq!(outcome(enclave.checks(), Check::Measurements), Outcome::DebugAllowed);
    let measured = verify(&world.with(|_| ()), &allowing).unwrap();
    assert_eq!(outcome(measured.checks(), Check::DebugMode), Outcome::Passed);
}

#[test]
fn later_waives_dates_and_ages_and_nothing_else() {
    let world = World::new();
    let expired = world.with_plan(|plans| {
        (plans[3].from, plans[3].until) = (NOW - HOUR * 9, NOW - HOUR * 6);
    });
    let trust = world.trust();
    let enclave = verify_when(&expired, &trust, When::Later).unwrap();
    assert_eq!(enclave.freshness(), Freshness::Later);
    for check in Check::ALL {
        let waived = matches!(check, Check::Dates | Check::Future | Check::Age);
        let expected = if waived { Outcome::Later } else { Outcome::Passed };
        assert_eq!(outcome(enclave.checks(), check), expected);
    }
    for case in crate::cases::all() {
        let waived = matches!(case.check, Check::Dates | Check::Future | Check::Age);
        let found = verify_when(&(case.document)(&world), &trust, When::Later);
        assert_eq!(found.is_ok(), waived, "{}: {:?}", case.name, found.err());
    }
}

#[test]
fn at_a_stated_time_dates_are_those_of_that_time() {
    let world = World::new();
    let document = world.with(|_| ());
    let at = |time| verify_when(&document, &world.trust(), When::At { time });
    assert_eq!(at(NOW).unwrap().freshness(), Freshness::At);
    assert!(matches!(at(NOW + HOUR * 3), Err(AttestationError::Chain(ChainError::Expired { .. }))));
    assert!(matches!(at(NOW - HOUR * 2), Err(AttestationError::Chain(ChainError::NotYetValid { .. }))));
    assert!(matches!(at(NOW + HOUR), Err(AttestationError::Stale { .. })));
}

#[test]
fn a_nonce_that_was_sent_must_be_long_enough_to_mean_anything() {
    let world = World::new();
    let nonce = |nonce: &'static [u8]| {
        let document = world.with(|draft| draft.set("nonce", cbor::bytes(nonce)));
        verify_enclave(&document, &world.trust(), None, NonceCheck::Sent(nonce), LIVE).map(|_| ())
    };
    assert_eq!(nonce(b""), Err(AttestationError::NonceTooShort { found: 0, min: 16 }));
    assert_eq!(nonce(&[1; 15]), Err(AttestationError::NonceTooShort { found: 15, min: 16 }));
    assert_eq!(nonce(&[1; 16]), Ok(()));
}

#[test]
fn what_was_not_asked_is_reported_as_not_checked() {
    let world = World::new();
    let enclave =
        verify_enclave(&world.with(|_| ()), &world.trust(), None, NonceCheck::NotAsked, LIVE).unwrap();
    assert_eq!(enclave.id(), enclave_id());
    assert_eq!(outcome(enclave.checks(), Check::Nonce), Outcome::NotAsked);
    assert_eq!(outcome(enclave.checks(), Check::EnclaveId), Outcome::NotAsked);
}

#[test]
fn any_enclaves_document_is_verified_by_pcr0_alone_and_bounded_by_its_leaf() {
    let world = World::new();
    let root = Root::from_der(&world.root.der).unwrap();
    let accepted = [Measurements::new([(0, pcr(0))]).unwrap()];
    let policy = |now: u64| DocumentPolicy {
        root: &root,
        accepted: &accepted,
        allow_debug: false,
        max_age: None,
        nonce: NonceCheck::Sent(&NONCE),
        when: When::Live { now: nitro_elect_protocol::time::Wall(now) },
    };
    let foreign = world.with(|draft| {
        draft.remove("public_key");
        draft.remove("user_data");
    });
    let verified = verify_document(&foreign, &policy(NOW.0)).unwrap();
    assert_eq!(verified.public_key(), None);
    assert_eq!(verified.good_until(), NOW + HOUR * 2);
    assert_eq!(outcome(verified.checks(), Check::Age), Outcome::NotAsked);
    assert_eq!(verified.checks().len(), 16);
    let near_its_end = NOW + HOUR * 2;
    assert!(verify_document(&foreign, &policy(near_its_end.0)).is_ok());
    assert!(verify_document(&foreign, &policy(near_its_end.0 + 1)).unwrap_err().is_expiry());
    let empty = DocumentPolicy { nonce: NonceCheck::Sent(b""), ..policy(NOW.0) };
    assert_eq!(verify_document(&foreign, &empty), Err(AttestationError::NonceTooShort { found: 0, min: 1 }));
}

/// Verifies a good document under a root of this plan, which nobody looked at before.
fn under_root(plan: &Plan) -> Result<(), AttestationError> {
    let root = Issued::self_signed(plan);
    let chain = Chain::under(&root, &Plan::aws());
    let accepted = [Measurements::new([(0, pcr(0))]).unwrap()];
    let policy = DocumentPolicy {
        root: &Root::Certificate(root.der.clone()),
        accepted: &accepted,
        allow_debug: false,
        max_age: None,
        nonce: NonceCheck::NotAsked,
        when: LIVE,
    };
    verify_document(&Draft::good(&chain).sign(chain.leaf()), &policy).map(|_| ())
}

#[test]
fn the_root_itself_must_be_in_order() {
    let root = Place::Bundle(0);
    assert_eq!(under_root(&Plan::root()), Ok(()));
    let constrained = Plan { authority: Plan::authority("", Some(2)).authority, ..Plan::root() };
    let expected = ChainError::PathLength { place: root, allowed: 2, found: 3 };
    assert_eq!(under_root(&constrained), Err(expected.into()));
    let usages = vec![KeyUsagePurpose::DigitalSignature];
    let expected = ChainError::KeyUsage { place: root, needed: "keyCertSign" };
    assert_eq!(under_root(&Plan { usages, ..Plan::root() }), Err(expected.into()));
    let until = NOW - Duration::from_secs(1);
    let expected = ChainError::Expired { place: root, not_after: until, at: NOW };
    assert_eq!(under_root(&Plan { until, ..Plan::root() }), Err(expected.into()));
    let algorithm = &rcgen::PKCS_ECDSA_P256_SHA256;
    assert_eq!(
        under_root(&Plan { algorithm, ..Plan::root() }),
        Err(ChainError::Curve { place: root }.into())
    );
}
