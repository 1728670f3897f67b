//! Checks 5 to 10.

use nitro_elect_protocol::attestation::Check::{Certificates, Constraints, Dates, Order, Path, Root};
use rcgen::{CustomExtension, IsCa, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ED25519};
use std::time::Duration;

use super::{Case, case};
use crate::cbor;
use crate::pki::{Chain, HOUR, Issued, Plan};
use crate::world::{NOW, World};

/// The good document with another bundle.
fn with_bundle(world: &World, change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Vec<u8> {
    let mut bundle = world.chain.bundle.clone();
    change(&mut bundle);
    world.with(|draft| draft.set_bundle(&bundle))
}

/// The good document with another leaf certificate, whose key still signs.
fn with_leaf(world: &World, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut leaf = world.chain.leaf().der.clone();
    change(&mut leaf);
    world.with(|draft| draft.set("certificate", cbor::bytes(&leaf)))
}

/// Exchanges a byte string for another of its length, wherever it occurs.
fn replace(der: &mut [u8], from: &[u8], to: &[u8]) {
    let places: Vec<usize> = (0..der.len()).filter(|&at| der[at..].starts_with(from)).collect();
    assert!(!places.is_empty());
    for at in places {
        der[at..at + to.len()].copy_from_slice(to);
    }
}

const ECDSA_WITH_SHA384: [u8; 10] = [6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3];
const ECDSA_WITH_SHA256: [u8; 10] = [6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];

pub fn cases() -> Vec<Case> {
    [roots_and_curves(), paths(), constraints(), dates()].into_iter().flatten().collect()
}

#[rustfmt::skip]
fn roots_and_curves() -> Vec<Case> {
    vec![
        case(Root, "a_chain_of_its_own_root", "Chain(RootNotPinned", |world| {
            let root = Issued::self_signed(&Plan::root());
            world.with_chain(&Chain::under(&root, &Plan::aws()))
        }),
        case(Root, "a_reversed_bundle", "Chain(RootNotPinned", |world| with_bundle(world, |bundle| bundle.reverse())),
        case(Root, "a_bundle_without_the_root", "Chain(RootNotPinned", |world| {
            with_bundle(world, |bundle| { bundle.remove(0); })
        }),
        case(Root, "a_root_with_one_changed_byte", "Chain(RootNotPinned", |world| {
            with_bundle(world, |bundle| *bundle[0].last_mut().unwrap() ^= 1)
        }),
        case(Certificates, "a_leaf_on_p256", "Chain(Curve { place: Leaf", |world| {
            let mut plans = Plan::aws();
            plans[3].algorithm = &PKCS_ECDSA_P256_SHA256;
            let chain = Chain::under(&world.root, &plans);
            crate::draft::Draft::good(&chain).sign(world.chain.leaf())
        }),
        case(Certificates, "an_authority_on_p256", "Chain(Curve { place: Bundle(2)", |world| {
            world.with_plan(|plans| plans[1].algorithm = &PKCS_ECDSA_P256_SHA256)
        }),
        case(Certificates, "an_authority_with_ed25519", "Chain(Curve { place: Bundle(3)", |world| {
            world.with_plan(|plans| plans[2].algorithm = &PKCS_ED25519)
        }),
        case(Path, "a_certificate_signed_with_sha256", "Chain(SignatureAlgorithm", |world| {
            with_leaf(world, |leaf| replace(leaf, &ECDSA_WITH_SHA384, &ECDSA_WITH_SHA256))
        }),
    ]
}

#[rustfmt::skip]
fn paths() -> Vec<Case> {
    vec![
        case(Certificates, "a_leaf_of_noise", "Chain(NotACertificate { place: Leaf", |world| {
            with_leaf(world, |leaf| *leaf = vec![0x30; 600])
        }),
        case(Certificates, "a_leaf_that_breaks_off", "Chain(NotACertificate { place: Leaf", |world| {
            with_leaf(world, |leaf| leaf.truncate(leaf.len() - 1))
        }),
        case(Certificates, "a_byte_after_the_leaf", "Chain(NotACertificate { place: Leaf", |world| {
            with_leaf(world, |leaf| leaf.push(0))
        }),
        case(Certificates, "a_byte_after_a_bundled_certificate", "Chain(NotACertificate { place: Bundle(2)", |world| {
            with_bundle(world, |bundle| bundle[2].push(0))
        }),
        case(Order, "two_authorities_exchanged", "Chain(Order { place: Bundle(1)", |world| {
            with_bundle(world, |bundle| bundle.swap(1, 2))
        }),
        case(Order, "a_missing_authority", "Chain(Order { place: Bundle(2)", |world| {
            with_bundle(world, |bundle| { bundle.remove(2); })
        }),
        case(Order, "a_missing_issuer_of_the_leaf", "Chain(Order { place: Leaf", |world| {
            with_bundle(world, |bundle| { bundle.pop(); })
        }),
        case(Order, "a_doubled_authority", "Chain(Order { place: Bundle(2)", |world| {
            with_bundle(world, |bundle| bundle.insert(1, bundle[1].clone()))
        }),
        case(Path, "a_doubled_root", "Chain(NotThePath", |world| {
            with_bundle(world, |bundle| bundle.insert(1, bundle[0].clone()))
        }),
        case(Order, "a_certificate_after_the_issuer", "Chain(Order { place: Bundle(4)", |world| {
            with_bundle(world, |bundle| bundle.push(bundle[0].clone()))
        }),
        case(Path, "an_authority_whose_signature_was_changed", "Chain(CertificateSignature", |world| {
            with_bundle(world, |bundle| *bundle[2].last_mut().unwrap() ^= 1)
        }),
        case(Path, "an_authority_whose_path_length_was_raised", "Chain(CertificateSignature", |world| {
            let (two, three) = ([1, 1, 0xff, 2, 1, 2], [1, 1, 0xff, 2, 1, 3]);
            with_bundle(world, |bundle| replace(&mut bundle[1], &two, &three))
        }),
        case(Path, "an_impostor_with_an_authoritys_name", "Chain(CertificateSignature", |world| {
            let root = Issued::self_signed(&Plan::root());
            let mut chain = Chain::under(&root, &Plan::aws());
            chain.bundle[0] = world.root.der.clone();
            world.with_chain(&chain)
        }),
        case(Path, "a_chain_that_was_never_valid", "Chain(NeverValid", |world| {
            world.with_plan(|plans| plans[1].until = plans[3].from - Duration::from_secs(1))
        }),
        case(Path, "an_unknown_critical_extension", "Chain(Path", |world| {
            world.with_plan(|plans| {
                let mut unknown = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999], vec![5, 0]);
                unknown.set_criticality(true);
                plans[3].extensions.push(unknown);
            })
        }),
    ]
}

#[rustfmt::skip]
fn constraints() -> Vec<Case> {
    vec![
        case(Constraints, "an_authority_that_is_none", "Chain(NotAnAuthority { place: Bundle(2)", |world| {
            world.with_plan(|plans| plans[1].authority = IsCa::ExplicitNoCa)
        }),
        case(Constraints, "an_authority_without_constraints", "Chain(NotAnAuthority { place: Bundle(3)", |world| {
            world.with_plan(|plans| plans[2].authority = IsCa::NoCa)
        }),
        case(Constraints, "an_enclaves_leaf_that_issues_another", "Chain(NotAnAuthority { place: Bundle(4)", |world| {
            world.with_plan(|plans| plans.push(Plan { name: "forged", ..Plan::leaf() }))
        }),
        case(Constraints, "a_leaf_that_is_an_authority", "Chain(LeafIsAuthority", |world| {
            world.with_plan(|plans| plans[3].authority = Plan::root().authority)
        }),
        case(Constraints, "an_exceeded_path_length", "Chain(PathLength { place: Bundle(1), allowed: 2, found: 3", |world| {
            world.with_plan(|plans| plans.insert(3, Plan::authority("one too many", None)))
        }),
        case(Constraints, "an_authority_that_may_not_sign_certificates",
            "Chain(KeyUsage { place: Bundle(3), needed: \"keyCertSign\"", |world| {
            world.with_plan(|plans| plans[2].usages = vec![KeyUsagePurpose::DigitalSignature])
        }),
        case(Constraints, "a_leaf_that_may_not_sign",
            "Chain(KeyUsage { place: Leaf, needed: \"digitalSignature\"", |world| {
            world.with_plan(|plans| plans[3].usages = vec![KeyUsagePurpose::KeyAgreement])
        }),
        case(Constraints, "a_leaf_without_key_usage",
            "Chain(KeyUsage { place: Leaf, needed: \"digitalSignature\"", |world| {
            world.with_plan(|plans| plans[3].usages = Vec::new())
        }),
    ]
}

#[rustfmt::skip]
fn dates() -> Vec<Case> {
    vec![
        case(Dates, "an_expired_leaf", "Chain(Expired { place: Leaf", |world| {
            world.with_plan(|plans| plans[3].until = NOW - Duration::from_secs(1))
        }),
        case(Dates, "a_document_dated_back_into_its_expired_leafs_time", "Chain(Expired { place: Leaf", |world| {
            let mut plans = Plan::aws();
            plans[3].until = NOW - HOUR / 2;
            let chain = Chain::under(&world.root, &plans);
            let mut draft = crate::draft::Draft::good(&chain);
            draft.set("timestamp", cbor::unsigned((NOW - HOUR * 3 / 4).0));
            draft.sign(chain.leaf())
        }),
        case(Dates, "a_leaf_from_the_future", "Chain(NotYetValid { place: Leaf", |world| {
            world.with_plan(|plans| plans[3].from = NOW + Duration::from_secs(1))
        }),
        case(Dates, "an_expired_authority", "Chain(Expired { place: Bundle(2)", |world| {
            world.with_plan(|plans| plans[1].until = NOW - Duration::from_secs(1))
        }),
    ]
}
