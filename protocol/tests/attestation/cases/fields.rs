//! Checks 3 and 4.

use nitro_elect_protocol::attestation::Check::{Fields, Registers};

use super::{Case, case};
use crate::cbor;
use crate::draft::sign;
use crate::world::World;

fn with_field(world: &World, name: &str, value: Vec<u8>) -> Vec<u8> {
    world.with(|draft| draft.set(name, value))
}

fn without(world: &World, name: &str) -> Vec<u8> {
    world.with(|draft| draft.remove(name))
}

fn with_payload(world: &World, payload: &[u8]) -> Vec<u8> {
    sign(payload, world.chain.leaf())
}

pub fn cases() -> Vec<Case> {
    [structure(), missing(), types(), lengths(), registers()].into_iter().flatten().collect()
}

#[rustfmt::skip]
fn structure() -> Vec<Case> {
    vec![
        case(Fields, "a_payload_that_is_no_map", "Document(Structure(Type", |world| {
            with_payload(world, &cbor::array(&[]))
        }),
        case(Fields, "an_unknown_field", "Document(UnknownField", |world| {
            world.with(|draft| { draft.remove("nonce"); draft.set("version", cbor::unsigned(1)) })
        }),
        case(Fields, "a_tenth_field", "Document(Structure(Length", |world| {
            world.with(|draft| draft.set("version", cbor::unsigned(1)))
        }),
        case(Fields, "a_doubled_field", "Document(DoubledField { field: \"public_key\"", |world| {
            world.with(|draft| {
                draft.remove("user_data");
                let doubled = draft.fields.iter().find(|(key, _)| *key == cbor::text("public_key")).cloned();
                draft.fields.extend(doubled);
            })
        }),
        case(Fields, "a_null_then_a_nonce", "Document(DoubledField { field: \"nonce\"", |world| {
            world.with(|draft| {
                draft.remove("user_data");
                draft.fields.insert(0, (cbor::text("nonce"), cbor::NULL.to_vec()));
            })
        }),
        case(Fields, "a_field_named_by_a_number", "Document(Structure(Type", |world| {
            world.with(|draft| draft.fields[0].0 = cbor::unsigned(0))
        }),
        case(Fields, "a_field_named_by_bytes", "Document(Structure(Type", |world| {
            world.with(|draft| draft.fields[0].0 = cbor::bytes(b"module_id"))
        }),
        case(Fields, "a_byte_after_the_payload", "Document(Structure(Trailing", |world| {
            with_payload(world, &[world.draft().payload(), vec![0]].concat())
        }),
        case(Fields, "a_payload_that_breaks_off", "Document(Structure(Truncated", |world| {
            let payload = cbor::indefinite_map(&world.draft().fields);
            with_payload(world, &payload[..payload.len() - 1])
        }),
        case(Fields, "a_tagged_timestamp", "Document(Field { field: \"timestamp\"", |world| {
            with_field(world, "timestamp", cbor::tagged(1, &cbor::unsigned(1_767_225_540_000)))
        }),
    ]
}

#[rustfmt::skip]
fn missing() -> Vec<Case> {
    vec![
        case(Fields, "no_module_id", "Document(MissingField { field: \"module_id\"", |w| without(w, "module_id")),
        case(Fields, "no_digest", "Document(MissingField { field: \"digest\"", |w| without(w, "digest")),
        case(Fields, "no_timestamp", "Document(MissingField { field: \"timestamp\"", |w| without(w, "timestamp")),
        case(Fields, "no_pcrs", "Document(MissingField { field: \"pcrs\"", |w| without(w, "pcrs")),
        case(Fields, "no_certificate", "Document(MissingField { field: \"certificate\"", |w| without(w, "certificate")),
        case(Fields, "no_cabundle", "Document(MissingField { field: \"cabundle\"", |w| without(w, "cabundle")),
        case(Fields, "a_null_certificate", "Document(Field { field: \"certificate\"", |world| {
            with_field(world, "certificate", cbor::NULL.to_vec())
        }),
        case(Registers, "no_pcr1", "Document(MissingPcr { index: 1", |world| {
            world.with(|draft| draft.set_pcrs(|pcrs| { pcrs.remove(1); }))
        }),
    ]
}

#[rustfmt::skip]
fn types() -> Vec<Case> {
    vec![
        case(Fields, "a_module_id_of_bytes", "Document(Field { field: \"module_id\", source: Type", |world| {
            with_field(world, "module_id", cbor::bytes(b"i-0"))
        }),
        case(Fields, "a_module_id_that_is_not_utf8", "Document(Field { field: \"module_id\", source: Utf8", |world| {
            with_field(world, "module_id", vec![0x61, 0xff])
        }),
        case(Fields, "a_timestamp_of_text", "Document(Field { field: \"timestamp\", source: Type", |world| {
            with_field(world, "timestamp", cbor::text("1767225540000"))
        }),
        case(Fields, "a_negative_timestamp", "Document(Field { field: \"timestamp\", source: Type", |world| {
            with_field(world, "timestamp", cbor::head(1, 1_767_225_540_000))
        }),
        case(Fields, "a_timestamp_of_zero", "Document(ZeroTimestamp", |world| {
            with_field(world, "timestamp", cbor::unsigned(0))
        }),
        case(Fields, "a_cabundle_of_one_string", "Document(Field { field: \"cabundle\", source: Type", |world| {
            with_field(world, "cabundle", cbor::bytes(&world.root.der))
        }),
        case(Fields, "a_public_key_of_text", "Document(Field { field: \"public_key\", source: Type", |world| {
            with_field(world, "public_key", cbor::text("key"))
        }),
        case(Fields, "user_data_of_a_map", "Document(Field { field: \"user_data\", source: Type", |world| {
            with_field(world, "user_data", cbor::map(&[]))
        }),
        case(Fields, "a_nonce_of_a_number", "Document(Field { field: \"nonce\", source: Type", |world| {
            with_field(world, "nonce", cbor::unsigned(7))
        }),
        case(Registers, "a_digest_of_sha256", "Document(Digest", |world| {
            with_field(world, "digest", cbor::text("SHA256"))
        }),
        case(Registers, "pcrs_in_an_array", "Document(Register { source: Type", |world| {
            with_field(world, "pcrs", cbor::array(&[]))
        }),
        case(Registers, "a_pcr_named_by_text", "Document(Register { source: Type", |world| {
            world.with(|draft| draft.set_pcrs(|pcrs| pcrs[0].0 = cbor::text("0")))
        }),
    ]
}

#[rustfmt::skip]
fn lengths() -> Vec<Case> {
    vec![
        case(Fields, "an_empty_module_id", "Document(Field { field: \"module_id\", source: Length", |world| {
            with_field(world, "module_id", cbor::text(""))
        }),
        case(Fields, "a_certificate_of_1025_bytes", "Document(Field { field: \"certificate\", source: Length", |world| {
            with_field(world, "certificate", cbor::bytes(&[0x30; 1025]))
        }),
        case(Fields, "an_empty_cabundle", "Document(Field { field: \"cabundle\", source: Length", |world| {
            world.with(|draft| draft.set_bundle(&[]))
        }),
        case(Fields, "eight_certificates_in_the_cabundle", "Document(Field { field: \"cabundle\", source: Length", |world| {
            world.with(|draft| draft.set_bundle(&vec![world.root.der.clone(); 8]))
        }),
        case(Fields, "a_cabundle_without_an_end", "Document(Field { field: \"cabundle\", source: Length", |world| {
            let items = vec![cbor::bytes(&world.root.der); 8];
            with_field(world, "cabundle", cbor::indefinite_array(&items))
        }),
        case(Fields, "a_bundled_certificate_of_1025_bytes", "Document(Field { field: \"cabundle\", source: Length", |world| {
            world.with(|draft| draft.set_bundle(&[world.root.der.clone(), vec![0x30; 1025]]))
        }),
        case(Fields, "an_empty_public_key", "Document(Field { field: \"public_key\", source: Length", |world| {
            with_field(world, "public_key", cbor::bytes(b""))
        }),
        case(Fields, "a_public_key_of_1025_bytes", "Document(Field { field: \"public_key\", source: Length", |world| {
            with_field(world, "public_key", cbor::bytes(&[0; 1025]))
        }),
        case(Fields, "user_data_of_513_bytes", "Document(Field { field: \"user_data\", source: Length", |world| {
            with_field(world, "user_data", cbor::bytes(&[0; 513]))
        }),
        case(Fields, "a_nonce_of_513_bytes", "Document(Field { field: \"nonce\", source: Length", |world| {
            with_field(world, "nonce", cbor::bytes(&[0; 513]))
        }),
    ]
}

#[rustfmt::skip]
fn registers() -> Vec<Case> {
    vec![
        case(Registers, "no_register_at_all", "Document(Register { source: Length", |world| {
            world.with(|draft| draft.set_pcrs(Vec::clear))
        }),
        case(Registers, "a_pcr_of_32_bytes", "Document(Register { source: Length", |world| {
            world.with(|draft| draft.set_pcrs(|pcrs| pcrs[0].1 = cbor::bytes(&[0xa0; 32])))
        }),
        case(Registers, "a_pcr_with_index_32", "Document(PcrIndex { index: 32", |world| {
            world.with(|draft| draft.set_pcrs(|pcrs| pcrs[15].0 = cbor::unsigned(32)))
        }),
        case(Registers, "a_pcr_whose_index_wraps_to_0", "Document(PcrIndex { index: 256", |world| {
            world.with(|draft| draft.set_pcrs(|pcrs| pcrs[15].0 = cbor::unsigned(256)))
        }),
        case(Registers, "a_doubled_pcr", "Document(DoubledPcr { index: 0", |world| {
            world.with(|draft| draft.set_pcrs(|pcrs| pcrs[15].0 = cbor::unsigned(0)))
        }),
        case(Registers, "a_doubled_pcr_in_another_encoding", "Document(DoubledPcr { index: 0", |world| {
            world.with(|draft| draft.set_pcrs(|pcrs| pcrs[15].0 = cbor::long_head(0, 0)))
        }),
        case(Registers, "thirty_three_registers", "Document(Register { source: Length", |world| {
            world.with(|draft| draft.set_pcrs(|pcrs| {
                pcrs.extend((16..33).map(|index| (cbor::unsigned(index), cbor::bytes(&[0; 48]))));
            }))
        }),
    ]
}
