//! No input makes the verifier panic, and no changed document passes.

use nitro_elect_protocol::attestation::{AttestationError, Check, UntrustedDocument};
use proptest::prelude::*;
use std::sync::LazyLock;

use crate::draft::{Draft, sign};
use crate::pki::{Chain, Plan};
use crate::world::{World, verify};

/// A good document with the shortest chain, so that every byte of it can be tried in reasonable time.
struct Good {
    world: World,
    payload: Vec<u8>,
    document: Vec<u8>,
}

static GOOD: LazyLock<Good> = LazyLock::new(|| {
    let mut world = World::new();
    world.chain = Chain::under(&world.root, &[Plan::leaf()]);
    let payload = world.draft().payload();
    let document = sign(&payload, world.chain.leaf());
    Good { world, payload, document }
});

static CHAIN: LazyLock<Chain> = LazyLock::new(|| Chain::under(&GOOD.world.root, &Plan::aws()));

fn check(document: &[u8]) -> Result<(), AttestationError> {
    verify(document, &GOOD.world.trust()).map(|_| ())
}

#[test]
fn no_beginning_of_a_document_passes() {
    for length in 0..GOOD.document.len() {
        assert!(check(&GOOD.document[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn no_document_with_one_changed_byte_passes() {
    assert_eq!(check(&GOOD.document), Ok(()));
    for index in 0..GOOD.document.len() {
        let mut changed = GOOD.document.clone();
        changed[index] ^= 1 << (index % 8);
        assert!(check(&changed).is_err(), "byte {index}");
    }
}

#[test]
fn a_changed_payload_that_is_signed_again_never_panics_and_is_named() {
    for index in 0..GOOD.payload.len() {
        let mut changed = GOOD.payload.clone();
        changed[index] = changed[index].wrapping_add(1 + (index % 255) as u8);
        if let Err(error) = check(&sign(&changed, GOOD.world.chain.leaf())) {
            assert!(error.check().is_some_and(|check| check >= Check::Fields), "byte {index}: {error:?}");
        }
    }
}

#[test]
fn deep_nesting_is_refused_without_recursion() {
    for byte in [0x81, 0x9f, 0xa1, 0xbf, 0xc0, 0xd2] {
        assert!(check(&[byte; 16 * 1024]).is_err());
        assert!(check(&sign(&[byte; 15 * 1024], GOOD.world.chain.leaf())).is_err());
    }
}

proptest! {
    #[test]
    fn noise_is_refused(noise in proptest::collection::vec(any::<u8>(), 0..4096)) {
        prop_assert!(check(&noise).is_err());
        prop_assert!(UntrustedDocument::read(&noise).is_err());
        prop_assert!(check(&sign(&noise, GOOD.world.chain.leaf())).is_err());
    }

    #[test]
    fn spliced_documents_are_refused(
        at in any::<proptest::sample::Index>(),
        cut in 0..64_usize,
        insert in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let start = at.index(GOOD.document.len());
        let end = (start + cut).min(GOOD.document.len());
        let mut spliced = GOOD.document.clone();
        spliced.splice(start..end, insert);
        prop_assume!(spliced != GOOD.document);
        prop_assert!(check(&spliced).is_err());
    }

    #[test]
    fn certificates_of_noise_are_refused(
        at in any::<proptest::sample::Index>(),
        changes in proptest::collection::vec(any::<u8>(), 1..8),
        place in 1..5_usize,
    ) {
        let mut ders = CHAIN.bundle.clone();
        ders.push(CHAIN.leaf().der.clone());
        let start = at.index(ders[place].len());
        let before = ders[place].clone();
        for (byte, change) in ders[place][start..].iter_mut().zip(&changes) {
            *byte ^= change;
        }
        prop_assume!(ders[place] != before);
        let mut draft = Draft::good(&CHAIN);
        draft.set("certificate", crate::cbor::bytes(&ders[4]));
        draft.set_bundle(&ders[..4]);
        let error = check(&draft.sign(CHAIN.leaf())).unwrap_err();
        prop_assert!(error.check().is_some_and(|check| check >= Check::Certificates), "{:?}", error);
    }
}
