//! The trust section: which enclaves are accepted (DESIGN §5).
//!
//! It is part of the electorate, so its digest covers it, and stands in a file of its own where there is no
//! manifest. There is no way to accept an enclave without naming its measurements.

use serde::{Deserialize, Serialize};
use std::time::Duration;

pub use crate::attestation::{Root, RootError};
use crate::ids::Pcr;
use crate::limits::{AGE_MAX, PCR_SETS_MAX};

/// One accepted set of measurements, as `nitro-cli build-enclave` prints them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PcrSet {
    /// The whole image: kernel, command line and every ramdisk.
    pub pcr0: Pcr,
    /// Kernel, command line and boot ramdisk.
    pub pcr1: Pcr,
    /// The other ramdisks: the application.
    pub pcr2: Pcr,
    /// The certificate that signed the image, if that matters too.
    pub pcr8: Option<Pcr>,
}

impl PcrSet {
    /// The registers of the set with their indexes.
    pub fn pcrs(&self) -> impl Iterator<Item = (u8, Pcr)> {
        let PcrSet { pcr0, pcr1, pcr2, pcr8 } = self;
        [(0, *pcr0), (1, *pcr1), (2, *pcr2)].into_iter().chain(pcr8.map(|pcr| (8, pcr)))
    }
}

/// Which enclaves are accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trust {
    /// The pinned root.
    pub root: Root,
    /// The accepted sets of measurements, at least one, in ascending order.
    pub accepted: Vec<PcrSet>,
    /// Whether enclaves in debug mode pass, as such.
    pub allow_debug: bool,
    /// How old a document may be when an enclave is verified live, in milliseconds.
    pub max_age_ms: u64,
}

/// What is wrong with a trust section.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustFault {
    /// The root is not usable.
    #[error(transparent)]
    Root(#[from] RootError),
    /// Nothing is accepted.
    #[error("no enclave is accepted: name at least one set of PCR0, PCR1 and PCR2")]
    NothingAccepted,
    /// More sets than are ever compared.
    #[error("{found} sets of PCRs are accepted, at most {max} may be: take out those of retired images")]
    TooManySets {
        /// How many there are.
        found: usize,
        /// How many there may be.
        max: usize,
    },
    /// A register of zeros, as enclaves in debug mode have them.
    #[error("PCR{index} of accepted set {set} is zero, as in debug mode: name the measurement of the image")]
    ZeroPcr {
        /// Which set, from 1 on.
        set: usize,
        /// Which register.
        index: u8,
    },
    /// Two equal sets, or sets in another order than ascending.
    #[error("accepted set {set} is not above the one before it: list each set once, in ascending order")]
    Unordered {
        /// Which set, from 1 on.
        set: usize,
    },
    /// No document is ever young enough.
    #[error("max_age is zero: no document is that young, 1 h is usual")]
    ZeroAge,
    /// Older than any document can be.
    #[error("max_age is {found} ms, at most {max} ms may be: no document is good for longer")]
    AgeTooLong {
        /// What was asked for.
        found: u64,
        /// The longest there may be.
        max: u64,
    },
}

impl Trust {
    /// A trust section with the accepted sets put in order.
    pub fn new(root: Root, mut accepted: Vec<PcrSet>, allow_debug: bool, max_age: Duration) -> Self {
        accepted.sort_unstable();
        let max_age_ms = u64::try_from(max_age.as_millis()).unwrap_or(u64::MAX);
        Trust { root, accepted, allow_debug, max_age_ms }
    }

    /// How old a document may be when an enclave is verified live.
    pub fn max_age(&self) -> Duration {
        Duration::from_millis(self.max_age_ms)
    }

    /// All that is wrong with it; empty if it may be used. Verification refuses to start while there is a
    /// fault.
    pub fn faults(&self) -> Vec<TrustFault> {
        let mut faults = Vec::new();
        if let Root::Certificate(der) = &self.root {
            faults.extend(Root::from_der(der).err().map(TrustFault::from));
        }
        self.add_set_faults(&mut faults);
        let max = u64::try_from(AGE_MAX.as_millis()).unwrap_or(u64::MAX);
        match self.max_age_ms {
            0 => faults.push(TrustFault::ZeroAge),
            found if found > max => faults.push(TrustFault::AgeTooLong { found, max }),
            _ => {}
        }
        faults
    }

    fn add_set_faults(&self, faults: &mut Vec<TrustFault>) {
        match self.accepted.len() {
            0 => faults.push(TrustFault::NothingAccepted),
            found if found > PCR_SETS_MAX => {
                faults.push(TrustFault::TooManySets { found, max: PCR_SETS_MAX })
            }
            _ => {}
        }
        for (set, pcrs) in (1..).zip(&self.accepted) {
            let zeros = pcrs.pcrs().filter(|(_, pcr)| pcr.is_zero());
            faults.extend(zeros.map(|(index, _)| TrustFault::ZeroPcr { set, index }));
        }
        for (set, pair) in (2..).zip(self.accepted.windows(2)) {
            if pair[0] >= pair[1] {
                faults.push(TrustFault::Unordered { set });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;

    fn set(byte: u8) -> PcrSet {
        PcrSet { pcr0: Pcr([byte; 48]), pcr1: Pcr([2; 48]), pcr2: Pcr([3; 48]), pcr8: None }
    }

    fn trust(accepted: Vec<PcrSet>) -> Trust {
        Trust::new(Root::Aws, accepted, false, Duration::from_secs(3600))
    }

    #[test]
    fn a_trust_section_with_one_set_is_sound_and_round_trips() {
        let trust = trust(vec![set(9), set(4)]);
        assert_eq!(trust.faults(), []);
        assert_eq!(trust.accepted, [set(4), set(9)]);
        assert_eq!(codec::decode::<Trust>(&codec::encode(&trust)), Ok(trust));
    }

    #[test]
    fn accepting_nothing_or_too_much_is_a_fault() {
        assert_eq!(trust(Vec::new()).faults(), [TrustFault::NothingAccepted]);
        let many = trust((1..=PCR_SETS_MAX as u8 + 1).map(set).collect());
        assert_eq!(many.faults(), [TrustFault::TooManySets { found: PCR_SETS_MAX + 1, max: PCR_SETS_MAX }]);
    }

    #[test]
    fn a_zero_register_is_never_accepted() {
        for index in [0, 1, 2, 8] {
            let mut pcrs = PcrSet { pcr8: Some(Pcr([8; 48])), ..set(1) };
            match index {
                0 => pcrs.pcr0 = Pcr([0; 48]),
                1 => pcrs.pcr1 = Pcr([0; 48]),
                2 => pcrs.pcr2 = Pcr([0; 48]),
                _ => pcrs.pcr8 = Some(Pcr([0; 48])),
            }
            assert_eq!(trust(vec![pcrs]).faults(), [TrustFault::ZeroPcr { set: 1, index }]);
        }
    }

    #[test]
    fn a_doubled_set_and_one_out_of_order_are_faults() {
        assert_eq!(trust(vec![set(1), set(1)]).faults(), [TrustFault::Unordered { set: 2 }]);
        let swapped = Trust { accepted: vec![set(1), set(3), set(2)], ..trust(vec![set(1)]) };
        assert_eq!(swapped.faults(), [TrustFault::Unordered { set: 3 }]);
    }

    #[test]
    fn max_age_is_neither_zero_nor_longer_than_a_leaf_lives() {
        let aged = |max_age_ms| Trust { max_age_ms, ..trust(vec![set(1)]) }.faults();
        let max = 3 * 3_600_000;
        assert_eq!(aged(0), [TrustFault::ZeroAge]);
        assert_eq!(aged(max), []);
        assert_eq!(aged(max + 1), [TrustFault::AgeTooLong { found: max + 1, max }]);
    }

    #[test]
    fn a_root_that_is_no_certificate_is_a_fault() {
        let root = Root::Certificate(b"root".to_vec());
        let trust = Trust { root, ..trust(vec![set(1)]) };
        assert_eq!(trust.faults(), [TrustFault::Root(RootError::NotACertificate)]);
    }
}
