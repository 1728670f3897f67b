//! Every way in which a document can be wrong, one each.

mod chain;
mod contents;
mod envelope;
mod fields;

use nitro_elect_protocol::attestation::Check;

use crate::world::World;

/// A document that is wrong in one thing.
pub struct Case {
    /// What is wrong; also the vector's file name.
    pub name: &'static str,
    /// The check that refuses it.
    pub check: Check,
    /// How the error prints for programmers, from its beginning.
    pub error: &'static str,
    /// Makes it.
    pub document: fn(&World) -> Vec<u8>,
}

pub fn all() -> Vec<Case> {
    [envelope::cases(), fields::cases(), chain::cases(), contents::cases()].into_iter().flatten().collect()
}

const fn case(
    check: Check,
    name: &'static str,
    error: &'static str,
    document: fn(&World) -> Vec<u8>,
) -> Case {
    Case { name, check, error, document }
}
