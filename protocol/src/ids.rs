//! Identities and numbers, one type each, so that no two can be confused.
//!
//! Fixed-size identities are CBOR byte strings of exactly their length and print as hexadecimal.

use serde::{Deserialize, Serialize};
use std::fmt;

use crate::hash;

/// Why a text is not the identity it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} hexadecimal digits, found {found:?}")]
pub struct ParseIdError {
    /// How many digits the identity has.
    pub expected: usize,
    /// The text that was given, cut to 80 characters.
    pub found: String,
}

macro_rules! bytes_id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Reads the identity from hexadecimal digits, of either case.
            pub fn from_hex(text: &str) -> Result<Self, ParseIdError> {
                hash::from_hex(text).and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or_else(|| {
                    ParseIdError { expected: 2 * $len, found: text.chars().take(80).collect() }
                })
            }

            /// The first eight hexadecimal digits, for people.
            pub fn short(&self) -> String {
                hash::to_hex(&self.0[..4])
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&hash::to_hex(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, "{}({})", stringify!($name), self.short())
            }
        }

        impl std::str::FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                Self::from_hex(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_bytes(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                serde_bytes::ByteArray::<$len>::deserialize(from).map(|bytes| Self(bytes.into_array()))
            }
        }
    };
}

bytes_id!(
    /// A node: its Ed25519 public key (RFC 8032), 32 bytes.
    NodeId, 32);
bytes_id!(
    /// A cluster: 128 random bits, kept across manifests; all zero for an open cluster.
    ClusterId, 16);
bytes_id!(
    /// An electorate: SHA-256 of its canonical encoding.
    ElectorateDigest, 32);
bytes_id!(
    /// One boot of an enclave: SHA-256 over both of its public keys.
    EnclaveId, 32);
bytes_id!(
    /// A certificate: SHA-256 of its signed bytes.
    CertificateDigest, 32);
bytes_id!(
    /// A verifier's random number, drawn afresh for each question.
    Nonce, 32);
bytes_id!(
    /// SHA-256 of the sorted nonces that a renewal answers; all zero when it answers none.
    Challenge, 32);
bytes_id!(
    /// An enclave's X25519 public key for HPKE (RFC 9180), 32 bytes.
    HpkeKey, 32);
bytes_id!(
    /// A platform configuration register of the NSM: a SHA-384 measurement, 48 bytes.
    Pcr, 48);
bytes_id!(
    /// An Ed25519 signature (RFC 8032), 64 bytes.
    Signature, 64);

impl ClusterId {
    /// The cluster id of every open cluster.
    pub const OPEN: ClusterId = ClusterId([0; 16]);

    /// Whether this is the id of open clusters.
    pub fn is_open(&self) -> bool {
        *self == Self::OPEN
    }
}

impl EnclaveId {
    /// The id of the enclave with this signing key (SubjectPublicKeyInfo, DER) and this HPKE key.
    pub fn of(signing_key_spki: &[u8], hpke_key: &HpkeKey) -> Self {
        EnclaveId(hash::framed("nitro-elect/v1/enclave", &[signing_key_spki, &hpke_key.0]))
    }
}

impl Challenge {
    /// The challenge of a renewal that answers nobody.
    pub const NONE: Challenge = Challenge([0; 32]);

    /// The challenge that covers these nonces, whatever their order; none give [`Challenge::NONE`].
    pub fn of(nonces: &[Nonce]) -> Self {
        if nonces.is_empty() {
            return Self::NONE;
        }
        let mut sorted: Vec<&[u8]> = nonces.iter().map(|nonce| nonce.0.as_slice()).collect();
        sorted.sort_unstable();
        Challenge(hash::framed("nitro-elect/v1/challenge", &sorted))
    }
}

/// The number of an election, and the fencing token of the leader it elected. Zero: none yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Term(pub u64);

/// A number that a node persists and increments at every start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Generation(pub u64);

impl Term {
    /// The next term.
    pub fn next(self) -> Term {
        Term(self.0.saturating_add(1))
    }

    /// Whether the term lies in the range that a message may carry (below 2^53).
    pub fn is_in_range(self) -> bool {
        self.0 <= crate::limits::TERM_MAX
    }
}

impl fmt::Display for Term {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;

    #[test]
    fn an_identity_round_trips_through_hexadecimal() {
        let id = NodeId([0xab; 32]);
        assert_eq!(NodeId::from_hex(&id.to_string()), Ok(id));
        assert!(NodeId::from_hex("abc").is_err());
        assert!(NodeId::from_hex(&"zz".repeat(32)).is_err());
    }

    #[test]
    fn an_identity_of_another_length_does_not_decode() {
        let bytes = codec::encode(&ClusterId([1; 16]));
        assert!(codec::decode::<NodeId>(&bytes).is_err());
        assert_eq!(codec::decode::<ClusterId>(&bytes), Ok(ClusterId([1; 16])));
    }

    #[test]
    fn a_challenge_does_not_depend_on_the_order_of_its_nonces() {
        let (a, b) = (Nonce([1; 32]), Nonce([2; 32]));
        assert_eq!(Challenge::of(&[a, b]), Challenge::of(&[b, a]));
        assert_ne!(Challenge::of(&[a]), Challenge::of(&[a, b]));
        assert_eq!(Challenge::of(&[]), Challenge::NONE);
    }

    #[test]
    fn an_enclave_id_frames_its_parts() {
        let hpke = HpkeKey([7; 32]);
        assert_ne!(EnclaveId::of(b"ab", &hpke), EnclaveId::of(b"a", &hpke));
    }
}
