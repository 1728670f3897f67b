//! Checks 11 to 19.

use nitro_elect_protocol::attestation::Check::{
    Age, Binding, DebugMode, EnclaveId, Future, Measurements, Nonce, Signature, SigningKey,
};
use nitro_elect_protocol::attestation::EnclaveBinding;
use nitro_elect_protocol::ids::HpkeKey;
use std::time::Duration;

use super::{Case, case};
use crate::cbor;
use crate::draft::{ES384, parts, signed_bytes};
use crate::pki::{HOUR, Issued, Plan};
use crate::world::{HPKE_KEY, NONCE, NOW, World, rsa_spki, user_data};

fn with_bytes(world: &World, field: &str, value: &[u8]) -> Vec<u8> {
    world.with(|draft| draft.set(field, cbor::bytes(value)))
}

fn without(world: &World, field: &str) -> Vec<u8> {
    world.with(|draft| draft.set(field, cbor::NULL.to_vec()))
}

fn with_timestamp(world: &World, milliseconds: u64) -> Vec<u8> {
    world.with(|draft| draft.set("timestamp", cbor::unsigned(milliseconds)))
}

fn with_pcr(world: &World, index: usize, value: [u8; 48]) -> Vec<u8> {
    world.with(|draft| draft.set_pcrs(|pcrs| pcrs[index].1 = cbor::bytes(&value)))
}

/// The good document, its signature made over these bytes instead.
fn signed_over(world: &World, bytes: &[u8]) -> Vec<u8> {
    let mut parts = parts(&world.draft().payload(), world.chain.leaf());
    parts[3] = cbor::bytes(&world.chain.leaf().sign(bytes));
    cbor::array(&parts)
}

/// User data with these fields, canonically encoded.
fn binding(fields: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let fields: Vec<_> = fields.iter().map(|(name, value)| (cbor::text(name), value.clone())).collect();
    cbor::map(&fields)
}

fn binding_with(v: u64, hpke: &[u8], algorithm: &str, version: &str) -> Vec<u8> {
    binding(&[
        ("v", cbor::unsigned(v)),
        ("hpke_public_key", cbor::bytes(hpke)),
        ("signature_algorithm", cbor::text(algorithm)),
        ("service_version", cbor::text(version)),
    ])
}

const PSS: &str = "RSASSA-PSS-SHA256";

pub fn cases() -> Vec<Case> {
    [signatures(), measurements(), times_and_nonces(), keys()].into_iter().flatten().collect()
}

#[rustfmt::skip]
fn signatures() -> Vec<Case> {
    vec![
        case(Signature, "a_changed_signature", "Signature", |world| {
            let mut document = world.draft().sign(world.chain.leaf());
            *document.last_mut().unwrap() ^= 1;
            document
        }),
        case(Signature, "a_signature_of_zeros", "Signature", |world| {
            let mut parts = parts(&world.draft().payload(), world.chain.leaf());
            parts[3] = cbor::bytes(&[0; 96]);
            cbor::array(&parts)
        }),
        case(Signature, "a_changed_payload", "Signature", |world| {
            let mut parts = parts(&world.draft().payload(), world.chain.leaf());
            let mut changed = world.draft();
            changed.set("module_id", cbor::text("i-0123456789abcdef0-enc0123456789abcdee"));
            parts[2] = cbor::bytes(&changed.payload());
            cbor::array(&parts)
        }),
        case(Signature, "signed_by_a_stranger", "Signature", |world| {
            world.draft().sign(&Issued::self_signed(&Plan::leaf()))
        }),
        case(Signature, "signed_by_the_leafs_issuer", "Signature", |world| {
            world.draft().sign(&world.chain.issued[2])
        }),
        case(Signature, "signed_over_the_payload_alone", "Signature", |world| {
            signed_over(world, &world.draft().payload())
        }),
        case(Signature, "signed_in_another_context", "Signature", |world| {
            signed_over(world, &signed_bytes("Signature", &ES384, b"", &world.draft().payload()))
        }),
        case(Signature, "signed_with_additional_data", "Signature", |world| {
            signed_over(world, &signed_bytes("Signature1", &ES384, b"aad", &world.draft().payload()))
        }),
        case(Signature, "signed_with_another_header", "Signature", |world| {
            signed_over(world, &signed_bytes("Signature1", b"", b"", &world.draft().payload()))
        }),
    ]
}

#[rustfmt::skip]
fn measurements() -> Vec<Case> {
    vec![
        case(DebugMode, "an_enclave_in_debug_mode", "DebugMode", |world| {
            world.with(|draft| draft.set_pcrs(|pcrs| {
                for pcr in &mut pcrs[..3] {
                    pcr.1 = cbor::bytes(&[0; 48]);
                }
            }))
        }),
        case(Measurements, "another_pcr0", "Measurements { sets: 1, nearest: Mismatch { index: 0", |world| {
            with_pcr(world, 0, [0xb0; 48])
        }),
        case(Measurements, "a_pcr0_of_zeros", "Measurements { sets: 1, nearest: Mismatch { index: 0", |world| {
            with_pcr(world, 0, [0; 48])
        }),
        case(Measurements, "another_pcr1", "Measurements { sets: 1, nearest: Mismatch { index: 1", |world| {
            with_pcr(world, 1, [0xb1; 48])
        }),
        case(Measurements, "another_pcr2", "Measurements { sets: 1, nearest: Mismatch { index: 2", |world| {
            with_pcr(world, 2, [0xb2; 48])
        }),
        case(Measurements, "another_signer_of_the_image", "Measurements { sets: 1, nearest: Mismatch { index: 8", |world| {
            with_pcr(world, 8, [0xb8; 48])
        }),
        case(Measurements, "no_pcr8", "Measurements { sets: 1, nearest: Mismatch { index: 8", |world| {
            world.with(|draft| draft.set_pcrs(|pcrs| { pcrs.remove(8); }))
        }),
        case(Measurements, "pcr0_and_pcr1_exchanged", "Measurements { sets: 1, nearest: Mismatch { index: 0", |world| {
            world.with(|draft| draft.set_pcrs(|pcrs| {
                (pcrs[0].0, pcrs[1].0) = (cbor::unsigned(1), cbor::unsigned(0));
            }))
        }),
    ]
}

#[rustfmt::skip]
fn times_and_nonces() -> Vec<Case> {
    vec![
        case(Future, "a_timestamp_61_s_ahead", "Future", |world| {
            with_timestamp(world, (NOW + Duration::from_secs(61)).0)
        }),
        case(Future, "a_timestamp_at_the_end_of_time", "Future", |world| with_timestamp(world, u64::MAX)),
        case(Age, "a_document_older_than_max_age", "Stale", |world| {
            with_timestamp(world, (NOW - HOUR - Duration::from_millis(1)).0)
        }),
        case(Age, "a_timestamp_in_seconds", "Stale", |world| with_timestamp(world, NOW.0 / 1000)),
        case(Nonce, "no_nonce", "NonceMissing", |world| without(world, "nonce")),
        case(Nonce, "an_empty_nonce", "NonceDiffers", |world| with_bytes(world, "nonce", b"")),
        case(Nonce, "somebody_elses_nonce", "NonceDiffers", |world| with_bytes(world, "nonce", &[9; 32])),
        case(Nonce, "the_beginning_of_the_nonce", "NonceDiffers", |world| with_bytes(world, "nonce", &NONCE[..16])),
        case(Nonce, "the_nonce_and_more", "NonceDiffers", |world| {
            with_bytes(world, "nonce", &[&NONCE[..], b"!"].concat())
        }),
    ]
}

#[rustfmt::skip]
fn keys() -> Vec<Case> {
    vec![
        case(SigningKey, "no_public_key", "SigningKey(Missing", |world| without(world, "public_key")),
        case(SigningKey, "a_public_key_on_p384", "SigningKey(NotRsa", |world| {
            let spki = rcgen::PublicKeyData::subject_public_key_info(&world.root.key);
            with_bytes(world, "public_key", &spki)
        }),
        case(SigningKey, "a_public_key_without_its_info", "SigningKey(NotRsa", |world| {
            with_bytes(world, "public_key", &rsa_spki(2048)[24..])
        }),
        case(SigningKey, "a_byte_after_the_public_key", "SigningKey(NotRsa", |world| {
            with_bytes(world, "public_key", &[rsa_spki(2048), vec![0]].concat())
        }),
        case(SigningKey, "an_rsa_key_of_1024_bits", "SigningKey(Modulus { found: 1024", |world| {
            with_bytes(world, "public_key", &rsa_spki(1024))
        }),
        case(SigningKey, "an_rsa_key_of_4104_bits", "SigningKey(Modulus { found: 4104", |world| {
            with_bytes(world, "public_key", &rsa_spki(4104))
        }),
        case(Binding, "no_user_data", "Binding(Missing", |world| without(world, "user_data")),
        case(Binding, "user_data_of_something_else", "Binding(Encoding", |world| {
            with_bytes(world, "user_data", b"hello")
        }),
        case(Binding, "a_byte_after_the_user_data", "Binding(Encoding", |world| {
            with_bytes(world, "user_data", &[user_data(), vec![0]].concat())
        }),
        case(Binding, "user_data_in_another_encoding", "Binding(Encoding", |world| {
            with_bytes(world, "user_data", &[&[0xbf], &user_data()[1..], &[0xff]].concat())
        }),
        case(Binding, "user_data_with_another_field", "Binding(Encoding", |world| {
            let mut data = user_data();
            data[0] += 1;
            with_bytes(world, "user_data", &[data, cbor::text("x"), cbor::unsigned(0)].concat())
        }),
        case(Binding, "a_short_sealing_key", "Binding(Encoding", |world| {
            with_bytes(world, "user_data", &binding_with(1, &[7; 31], PSS, "0.1.0"))
        }),
        case(Binding, "a_binding_of_version_2", "Binding(Version { found: 2", |world| {
            with_bytes(world, "user_data", &binding_with(2, &HPKE_KEY.0, PSS, "0.1.0"))
        }),
        case(Binding, "another_signature_algorithm", "Binding(Algorithm", |world| {
            with_bytes(world, "user_data", &binding_with(1, &HPKE_KEY.0, "RSASSA-PKCS1-SHA256", "0.1.0"))
        }),
        case(Binding, "a_service_version_with_control_characters", "Binding(ServiceVersion", |world| {
            with_bytes(world, "user_data", &binding_with(1, &HPKE_KEY.0, PSS, "0.1.0\u{1b}[31m"))
        }),
        case(EnclaveId, "another_sealing_key", "OtherEnclave", |world| {
            let other = EnclaveBinding::new(HpkeKey([8; 32]), "0.1.0").unwrap();
            with_bytes(world, "user_data", &other.encode())
        }),
        case(EnclaveId, "another_signing_key", "OtherEnclave", |world| {
            with_bytes(world, "public_key", &rsa_spki(3072))
        }),
    ]
}
