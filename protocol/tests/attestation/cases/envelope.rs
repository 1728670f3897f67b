//! Checks 1 and 2.

use nitro_elect_protocol::attestation::Check::{Algorithm, Envelope};

use super::{Case, case};
use crate::cbor;
use crate::draft::{ES384, parts, parts_with_header, sign};
use crate::world::World;

fn good_parts(world: &World) -> [Vec<u8>; 4] {
    parts(&world.draft().payload(), world.chain.leaf())
}

fn with_header(world: &World, protected: &[u8]) -> Vec<u8> {
    cbor::array(&parts_with_header(protected, &world.draft().payload(), world.chain.leaf()))
}

fn with_part(world: &World, index: usize, part: Vec<u8>) -> Vec<u8> {
    let mut parts = good_parts(world);
    parts[index] = part;
    cbor::array(&parts)
}

pub fn cases() -> Vec<Case> {
    structure_cases().into_iter().chain(algorithm_cases()).collect()
}

#[rustfmt::skip]
fn structure_cases() -> Vec<Case> {
    vec![
        case(Envelope, "nothing_at_all", "Envelope(Structure(Truncated", |_| Vec::new()),
        case(Envelope, "larger_than_any_document", "Envelope(TooLarge", |world| {
            let mut document = world.draft().sign(world.chain.leaf());
            document.resize(16 * 1024 + 1, 0);
            document
        }),
        case(Envelope, "a_map_instead_of_an_array", "Envelope(Structure(Type", |_| cbor::map(&[])),
        case(Envelope, "three_parts", "Envelope(Structure(Length", |world| {
            cbor::array(&good_parts(world)[..3])
        }),
        case(Envelope, "five_parts", "Envelope(Structure(Length", |world| {
            cbor::array(&[&good_parts(world)[..], &[cbor::bytes(b"")]].concat())
        }),
        case(Envelope, "five_parts_without_a_length", "Envelope(Structure(Length", |world| {
            cbor::indefinite_array(&[&good_parts(world)[..], &[cbor::bytes(b"")]].concat())
        }),
        case(Envelope, "the_tag_of_another_structure", "Envelope(Structure(Type", |world| {
            cbor::tagged(98, &cbor::array(&good_parts(world)))
        }),
        case(Envelope, "the_tag_twice", "Envelope(Structure(Type", |world| {
            cbor::tagged(18, &cbor::tagged(18, &cbor::array(&good_parts(world))))
        }),
        case(Envelope, "a_tag_on_the_payload", "Envelope(Structure(Type", |world| {
            let payload = &good_parts(world)[2];
            with_part(world, 2, cbor::tagged(24, payload))
        }),
        case(Envelope, "a_detached_payload", "Envelope(Detached", |world| {
            with_part(world, 2, cbor::NULL.to_vec())
        }),
        case(Envelope, "an_empty_payload", "Envelope(Structure(Length", |world| {
            sign(b"", world.chain.leaf())
        }),
        case(Envelope, "a_payload_in_pieces", "Envelope(Structure(Type", |world| {
            let pieces = [&[0x5f][..], &good_parts(world)[2], &[0xff]].concat();
            with_part(world, 2, pieces)
        }),
        case(Envelope, "a_short_signature", "Envelope(Structure(Length", |world| {
            with_part(world, 3, cbor::bytes(&[1; 95]))
        }),
        case(Envelope, "no_signature", "Envelope(Structure(Length", |world| with_part(world, 3, cbor::bytes(b""))),
        case(Envelope, "a_byte_after_the_envelope", "Envelope(Structure(Trailing", |world| {
            [cbor::array(&good_parts(world)), vec![0]].concat()
        }),
        case(Envelope, "a_second_document_after_the_first", "Envelope(Structure(Trailing", |world| {
            cbor::array(&good_parts(world)).repeat(2)
        }),
    ]
}

#[rustfmt::skip]
fn algorithm_cases() -> Vec<Case> {
    vec![
        case(Algorithm, "es256_in_the_header", "Envelope(Algorithm", |world| with_header(world, &[0xa1, 1, 0x26])),
        case(Algorithm, "no_algorithm", "Envelope(Algorithm", |world| with_header(world, &[])),
        case(Algorithm, "an_empty_header_map", "Envelope(Algorithm", |world| with_header(world, &[0xa0])),
        case(Algorithm, "the_algorithm_as_text", "Envelope(Algorithm", |world| {
            with_header(world, &cbor::map(&[(cbor::unsigned(1), cbor::text("ES384"))]))
        }),
        case(Algorithm, "the_header_in_another_encoding", "Envelope(Algorithm", |world| {
            with_header(world, &[0xa1, 0x01, 0x39, 0x00, 0x22])
        }),
        case(Algorithm, "another_protected_header_beside_it", "Envelope(Algorithm", |world| {
            with_header(world, &[0xa2, 0x01, 0x38, 0x22, 0x04, 0x41, 0x00])
        }),
        case(Algorithm, "the_algorithm_left_unprotected", "Envelope(Algorithm", |world| {
            let mut parts = parts_with_header(&[], &world.draft().payload(), world.chain.leaf());
            parts[1] = ES384.to_vec();
            cbor::array(&parts)
        }),
        case(Algorithm, "an_unprotected_header", "Envelope(Unprotected", |world| {
            with_part(world, 1, ES384.to_vec())
        }),
        case(Algorithm, "an_unprotected_header_without_a_length", "Envelope(Unprotected", |world| {
            with_part(world, 1, [&[0xbf][..], &ES384[1..], &[0xff]].concat())
        }),
    ]
}
