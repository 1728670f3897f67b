//! The trust section: which enclaves are accepted (DESIGN §5). There is no way to accept one without naming its
//! measurements.

use serde::{Deserialize, Serialize};

use crate::ids::Pcr;

/// The root that a chain of certificates must start from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Root {
    /// AWS's Nitro root, pinned by its fingerprint.
    Aws,
    /// This certificate, in DER: a simulated module's.
    Certificate(#[serde(with = "serde_bytes")] Vec<u8>),
}

/// One accepted set of measurements.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PcrSet {
    /// The whole image.
    pub pcr0: Pcr,
    /// Kernel and boot ramdisk.
    pub pcr1: Pcr,
    /// The application.
    pub pcr2: Pcr,
    /// The certificate that signed the image, if that matters.
    pub pcr8: Option<Pcr>,
}

/// Which enclaves are accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trust {
    /// The pinned root.
    pub root: Root,
    /// The accepted sets of measurements, at least one.
    pub accepted: Vec<PcrSet>,
    /// Whether enclaves in debug mode pass, as such.
    pub allow_debug: bool,
    /// How old a document may be when an enclave is verified live, in milliseconds.
    pub max_age_ms: u64,
}

/// What is wrong with a trust section.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustFault {
    /// Nothing is accepted.
    #[error("no accepted set of measurements")]
    NothingAccepted,
}

impl Trust {
    /// The bound as a span.
    pub fn max_age(&self) -> std::time::Duration {
        std::time::Duration::from_millis(self.max_age_ms)
    }

    /// All that is wrong with it; empty if it may be used.
    pub fn faults(&self) -> Vec<TrustFault> {
        if self.accepted.is_empty() { vec![TrustFault::NothingAccepted] } else { Vec::new() }
    }
}
