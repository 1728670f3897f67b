//! The pure part of nitro-elect: identities, the electorate, signed statements, sealing, certificates and the
//! verification of attestation documents.
//!
//! Nothing here opens a socket, reads a clock, draws randomness or starts a thread: time, randomness and bytes
//! are arguments, so that the node, the enclave, the simulator and an offline verifier run the same code.
//!
//! Checks leave witnesses. A [`statement::Verified`] statement was signed by the key it names, a
//! [`certificate::VerifiedCertificate`] by an enclave that was itself verified; their constructors are private
//! to the module that checked.
#![forbid(unsafe_code)]

pub mod assurance;
pub mod attestation;
pub mod certificate;
pub mod change;
pub mod codec;
pub mod crypto;
pub mod electorate;
pub mod enclave_api;
pub mod evidence;
pub mod hash;
pub mod heartbeat;
pub mod ids;
pub mod limits;
pub mod peer;
pub mod policy;
pub mod promise;
pub mod proof;
pub mod quorum;
pub mod resign;
pub mod seal;
pub mod statement;
pub mod time;
pub mod trust;
pub mod view;
