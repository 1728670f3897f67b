//! The bounds that AWS's specification of attestation documents sets ("Attestation Document Specification"
//! and "Syntactical Validation" in the NSM API's `attestation_process.md`), and the few it leaves open.
//!
//! The size of a whole document is bounded by [`crate::limits::DOCUMENT_MAX`].

use crate::limits::DOCUMENT_MAX;

/// A module id, in bytes. The specification sets none; real ones have 40.
pub const MODULE_ID_MAX: usize = 128;
/// A field's name, in bytes: longer ones are unknown anyway.
pub const FIELD_NAME_MAX: usize = 32;
/// A certificate, the leaf or one of the bundle, in bytes of DER.
pub const CERTIFICATE_MAX: usize = 1024;
/// Certificates in the bundle. The specification sets no bound, AWS sends four; a path may have six below its
/// root.
pub const BUNDLE_MAX: usize = 7;
/// Platform configuration registers, and so the end of their indexes.
pub const PCR_COUNT_MAX: usize = 32;
/// The `public_key` field, in bytes.
pub const PUBLIC_KEY_MAX: usize = 1024;
/// The `user_data` field, in bytes.
pub const USER_DATA_MAX: usize = 512;
/// The `nonce` field, in bytes.
pub const NONCE_MAX: usize = 512;
/// The shortest nonce that counts as ours, in bytes: a shorter one can repeat by chance.
pub const NONCE_MIN: usize = 16;
/// An ES384 signature: r and s of 48 bytes each (RFC 9053 §2.1).
pub const SIGNATURE_LENGTH: usize = 96;
/// The version text that an enclave states of itself, in bytes.
pub const SERVICE_VERSION_MAX: usize = 64;
/// The shortest RSA modulus of a signing key, in bits.
pub const RSA_MODULUS_MIN_BITS: usize = 2048;
/// The longest RSA modulus of a signing key, in bits.
pub const RSA_MODULUS_MAX_BITS: usize = 4096;

const _: () = {
    assert!(NONCE_MIN <= NONCE_MAX);
    assert!((BUNDLE_MAX + 1) * CERTIFICATE_MAX + PUBLIC_KEY_MAX + USER_DATA_MAX + NONCE_MAX < DOCUMENT_MAX);
};
