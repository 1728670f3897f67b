//! The verifier of attestation documents against documents that the tests sign themselves, AWS's own, and noise.
//!
//! Malformed documents are built to be wrong in one thing and right, signature included, in all others, so that
//! each is refused by the check it is meant for. The same documents lie as vectors in
//! `vectors/attestation/refused`, for other implementations.
#![allow(clippy::unwrap_used)]

mod accepted;
mod aws;
mod cases;
mod cbor;
mod draft;
mod hostile;
mod pki;
mod policy;
mod refused;
mod world;
