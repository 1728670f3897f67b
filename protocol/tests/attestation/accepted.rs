//! Documents that must pass, in every encoding that is allowed.

use coset::iana::Algorithm;
use coset::{CborSerializable, CoseSign1Builder, HeaderBuilder, TaggedCborSerializable};
use nitro_elect_protocol::assurance::Assurance;
use nitro_elect_protocol::attestation::{Check, Freshness, Outcome, UntrustedDocument, When};
use nitro_elect_protocol::hash::sha256;
use std::time::Duration;

use crate::cbor;
use crate::draft::{parts, sign};
use crate::pki::{Chain, HOUR, Plan};
use crate::world::{HPKE_KEY, NONCE, NOW, TIMESTAMP, World, enclave_id, pcr, rsa_spki, verify, verify_when};

#[track_caller]
fn assert_accepted(world: &World, document: &[u8]) {
    assert_eq!(verify(document, &world.trust()).map(|_| ()), Ok(()));
}

#[test]
fn the_good_document_says_all_about_its_enclave() {
    let world = World::new();
    let document = world.with(|_| ());
    let enclave = verify(&document, &world.trust()).unwrap();
    assert_eq!(enclave.id(), enclave_id());
    assert_eq!(enclave.signing_key(), rsa_spki(2048));
    assert_eq!(enclave.hpke_key(), HPKE_KEY);
    assert_eq!(enclave.signature_algorithm(), "RSASSA-PSS-SHA256");
    assert_eq!(enclave.service_version(), "0.1.0");
    assert_eq!(enclave.pcrs()[&8], pcr(8));
    assert_eq!(enclave.assurance(), Assurance::Simulated);
    assert_eq!(enclave.freshness(), Freshness::Live);
    assert_eq!(enclave.timestamp(), TIMESTAMP);
    assert_eq!(enclave.document().digest(), &sha256(&document));
    assert_eq!(enclave.document().nonce(), Some(&NONCE[..]));
    let names = enclave.document().certificates().iter().map(|each| each.common_name.as_str());
    assert_eq!(names.collect::<Vec<_>>(), ["root", "regional", "zonal", "instance", "leaf"]);
    let untrusted = UntrustedDocument::read(&document).unwrap();
    assert_eq!(untrusted.certificates(), enclave.document().certificates());
}

#[test]
fn every_check_of_the_list_is_reported_as_passed() {
    let world = World::new();
    let enclave = verify(&world.with(|_| ()), &world.trust()).unwrap();
    let checks: Vec<Check> = enclave.checks().iter().map(|checked| checked.check).collect();
    assert_eq!(checks, Check::ALL);
    assert!(enclave.checks().iter().all(|checked| checked.outcome == Outcome::Passed));
}

#[test]
fn a_document_is_good_until_max_age_or_the_end_of_its_leaf() {
    let world = World::new();
    let good_until = |document: &[u8]| verify(document, &world.trust()).unwrap().good_until();
    assert_eq!(good_until(&world.with(|_| ())), TIMESTAMP + HOUR);
    let leaf_end = NOW + HOUR / 4;
    assert_eq!(good_until(&world.with_plan(|plans| plans[3].until = leaf_end)), leaf_end);
    assert_eq!(good_until(&world.with_plan(|plans| plans[2].until = leaf_end)), leaf_end);
}

#[test]
fn a_document_passes_live_to_its_last_moment_and_no_longer() {
    let world = World::new();
    let end = NOW + HOUR / 4;
    for document in [world.with(|_| ()), world.with_plan(|plans| plans[3].until = end)] {
        let good_until = verify(&document, &world.trust()).unwrap().good_until();
        let at = |now| verify_when(&document, &world.trust(), When::Live { now });
        assert!(at(good_until).is_ok());
        let over = at(good_until + Duration::from_millis(1)).unwrap_err();
        assert!(over.is_expiry(), "{over:?}");
    }
}

#[test]
fn a_timestamp_may_lie_a_minute_ahead() {
    let world = World::new();
    let ahead = cbor::unsigned((NOW + Duration::from_secs(60)).0);
    assert_accepted(&world, &world.with(|draft| draft.set("timestamp", ahead)));
}

#[test]
fn the_envelope_may_be_tagged_or_of_indefinite_length() {
    let world = World::new();
    let parts = parts(&world.draft().payload(), world.chain.leaf());
    assert_accepted(&world, &cbor::tagged(18, &cbor::array(&parts)));
    assert_accepted(&world, &cbor::indefinite_array(&parts));
    let mut open_header = parts.clone();
    open_header[1] = cbor::indefinite_map(&[]);
    assert_accepted(&world, &cbor::array(&open_header));
}

#[test]
fn the_payload_and_what_is_in_it_may_be_of_indefinite_length() {
    let world = World::new();
    let mut draft = world.draft();
    assert_accepted(&world, &sign(&cbor::indefinite_map(&draft.fields), world.chain.leaf()));
    draft.set("pcrs", cbor::indefinite_map(&crate::draft::pcrs()));
    let bundle: Vec<_> = world.chain.bundle.iter().map(|der| cbor::bytes(der)).collect();
    draft.set("cabundle", cbor::indefinite_array(&bundle));
    assert_accepted(&world, &sign(&cbor::indefinite_map(&draft.fields), world.chain.leaf()));
}

#[test]
fn lengths_and_numbers_need_not_be_the_shortest() {
    let world = World::new();
    let mut draft = world.draft();
    draft.set("timestamp", cbor::long_head(0, TIMESTAMP.0));
    draft.set("nonce", [cbor::long_head(2, 32), NONCE.to_vec()].concat());
    let payload = [cbor::long_head(5, 9), draft.payload()[1..].to_vec()].concat();
    assert_accepted(&world, &sign(&payload, world.chain.leaf()));
}

#[test]
fn the_fields_may_come_in_any_order() {
    let world = World::new();
    assert_accepted(&world, &world.with(|draft| draft.fields.reverse()));
}

#[test]
fn up_to_32_registers_may_be_locked() {
    let world = World::new();
    for count in [19, 32] {
        let document = world.with(|draft| {
            draft.set_pcrs(|pcrs| {
                pcrs.extend((16..count).map(|index| (cbor::unsigned(index), cbor::bytes(&[5; 48]))));
            });
        });
        let enclave = verify(&document, &world.trust()).unwrap();
        assert_eq!(enclave.pcrs().len() as u64, count);
    }
}

#[test]
fn the_longest_fields_of_the_specification_are_read() {
    let world = World::new();
    let document = world.with(|draft| {
        draft.set("public_key", cbor::bytes(&[1; 1024]));
        draft.set("user_data", cbor::bytes(&[2; 512]));
        draft.set("nonce", cbor::bytes(&[3; 512]));
    });
    let read = UntrustedDocument::read(&document).unwrap();
    assert_eq!(read.public_key.map(<[u8]>::len), Some(1024));
    assert_eq!(read.user_data.map(<[u8]>::len), Some(512));
    assert_eq!(read.nonce.map(<[u8]>::len), Some(512));
}

#[test]
fn absent_fields_read_like_null_ones() {
    let world = World::new();
    let names = ["public_key", "user_data", "nonce"];
    let absent = world.with(|draft| names.iter().for_each(|name| draft.remove(name)));
    let null = world.with(|draft| names.iter().for_each(|name| draft.set(name, cbor::NULL.to_vec())));
    assert_eq!(UntrustedDocument::read(&absent), UntrustedDocument::read(&null));
}

#[test]
fn a_shorter_chain_is_as_good() {
    let world = World::new();
    let leaf_alone = Chain::under(&world.root, &[Plan::leaf()]);
    assert_accepted(&world, &world.with_chain(&leaf_alone));
    let one_authority = Chain::under(&world.root, &[Plan::authority("regional", Some(0)), Plan::leaf()]);
    assert_accepted(&world, &world.with_chain(&one_authority));
}

#[test]
fn a_document_made_by_another_cose_implementation_is_accepted() {
    let world = World::new();
    let message = CoseSign1Builder::new()
        .protected(HeaderBuilder::new().algorithm(Algorithm::ES384).build())
        .payload(world.draft().payload())
        .create_signature(b"", |bytes| world.chain.leaf().sign(bytes))
        .build();
    assert_accepted(&world, &message.clone().to_vec().unwrap());
    assert_accepted(&world, &message.to_tagged_vec().unwrap());
}

#[test]
fn a_document_encoded_by_the_nsm_types_is_accepted() {
    use aws_nitro_enclaves_nsm_api::api::{AttestationDoc, Digest};
    let world = World::new();
    let document = AttestationDoc::new(
        "i-0-enc0".to_owned(),
        Digest::SHA384,
        TIMESTAMP.0,
        [0, 1, 2, 8].into_iter().map(|index| (usize::from(index), pcr(index).0.to_vec())).collect(),
        world.chain.leaf().der.clone(),
        world.chain.bundle.clone(),
        Some(crate::world::user_data()),
        Some(NONCE.to_vec()),
        Some(rsa_spki(2048)),
    );
    assert_accepted(&world, &sign(&document.to_binary(), world.chain.leaf()));
}
