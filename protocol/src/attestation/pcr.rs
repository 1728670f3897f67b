//! One platform configuration register, and the expectations that a document's registers must meet.
//!
//! Invariant: a [`Measurements`] always fixes the whole image. PCR0 covers kernel, command line and every
//! ramdisk; PCR1 and PCR2 together cover the same. PCR1 alone is the same for every image of one kernel, and
//! PCR8 alone for everything its key ever signed, so neither can stand by itself. Zeros in PCR0 to PCR2 are
//! what an enclave in debug mode shows, and are no expectation at all.

use std::collections::BTreeMap;
use std::fmt;

use super::limits::PCR_COUNT_MAX;
use crate::ids::Pcr;
use crate::trust::PcrSet;

impl Pcr {
    /// What an unused register holds, and PCR0 to PCR2 of an enclave in debug mode.
    pub const ZERO: Pcr = Pcr([0; 48]);

    /// Whether the register holds nothing.
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }
}

/// The registers of one document by index, 0 to 31.
pub type Pcrs = BTreeMap<u8, Pcr>;

/// Whether these are the registers of an enclave in debug mode: PCR0, PCR1 and PCR2 are all zero.
pub(super) fn is_debug(pcrs: &Pcrs) -> bool {
    (0..=2).all(|index| pcrs.get(&index) == Some(&Pcr::ZERO))
}

/// Why a set of expected registers expects too little, or what no image can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MeasurementsError {
    /// No register was named.
    #[error("no PCR is expected: name at least PCR0 of the enclave's image")]
    Empty,
    /// The registers named do not fix the image.
    #[error("{} not fix the image that runs: name PCR0, or PCR1 and PCR2", list(.given))]
    ImageNotFixed {
        /// The registers that were named.
        given: Vec<u8>,
    },
    /// A register is named that does not exist.
    #[error("PCR{index} does not exist: indexes are 0 to 31")]
    Index {
        /// The index.
        index: u8,
    },
    /// A register is named twice.
    #[error("PCR{index} is named twice")]
    Doubled {
        /// The index.
        index: u8,
    },
    /// A measurement of the image is expected to be zero.
    #[error("PCR{index} is expected to be zero, as in debug mode: name the measurement of the image")]
    Zero {
        /// The index.
        index: u8,
    },
}

fn list(indexes: &[u8]) -> String {
    let names: Vec<String> = indexes.iter().map(|index| format!("PCR{index}")).collect();
    format!("{} alone {}", names.join(" and "), if names.len() == 1 { "does" } else { "do" })
}

/// The registers that a document must have, each of them: enough to fix the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measurements(Pcrs);

impl Measurements {
    /// Takes the expected value of each named register.
    pub fn new(expected: impl IntoIterator<Item = (u8, Pcr)>) -> Result<Self, MeasurementsError> {
        let mut pcrs = Pcrs::new();
        for (index, pcr) in expected {
            if usize::from(index) >= PCR_COUNT_MAX {
                return Err(MeasurementsError::Index { index });
            }
            if index <= 2 && pcr.is_zero() {
                return Err(MeasurementsError::Zero { index });
            }
            if pcrs.insert(index, pcr).is_some() {
                return Err(MeasurementsError::Doubled { index });
            }
        }
        if pcrs.is_empty() {
            return Err(MeasurementsError::Empty);
        }
        let fixes_image = pcrs.contains_key(&0) || (pcrs.contains_key(&1) && pcrs.contains_key(&2));
        if !fixes_image {
            return Err(MeasurementsError::ImageNotFixed { given: pcrs.into_keys().collect() });
        }
        Ok(Measurements(pcrs))
    }

    /// The expected registers.
    pub fn pcrs(&self) -> &Pcrs {
        &self.0
    }

    /// The first register that differs from what is expected.
    pub(super) fn mismatch(&self, found: &Pcrs) -> Option<Mismatch> {
        self.0.iter().find_map(|(&index, &expected)| {
            let found = found.get(&index).copied();
            (found != Some(expected)).then_some(Mismatch { index, expected, found })
        })
    }
}

impl TryFrom<&PcrSet> for Measurements {
    type Error = MeasurementsError;
    fn try_from(set: &PcrSet) -> Result<Self, MeasurementsError> {
        Measurements::new(set.pcrs())
    }
}

/// A register that is not as expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mismatch {
    /// The register.
    pub index: u8,
    /// The value that was expected.
    pub expected: Pcr,
    /// The value in the document, if it has one.
    pub found: Option<Pcr>,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mismatch { index, expected, found } = self;
        match found {
            Some(found) => write!(out, "PCR{index} is {found}, not {expected}"),
            None => write!(out, "PCR{index} is absent, not {expected}"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const A: Pcr = Pcr([1; 48]);

    #[test]
    fn pcr0_alone_fixes_the_image_and_so_do_pcr1_and_pcr2() {
        assert!(Measurements::new([(0, A)]).is_ok());
        assert!(Measurements::new([(1, A), (2, A)]).is_ok());
        assert!(Measurements::new([(0, A), (3, Pcr::ZERO), (8, A)]).is_ok());
    }

    #[test]
    fn an_expectation_that_leaves_the_image_open_is_refused() {
        assert_eq!(Measurements::new([]), Err(MeasurementsError::Empty));
        for given in [vec![8], vec![1], vec![2], vec![1, 8], vec![3, 4, 16]] {
            let expected = given.iter().map(|&index| (index, A));
            assert_eq!(Measurements::new(expected), Err(MeasurementsError::ImageNotFixed { given }));
        }
    }

    #[test]
    fn an_expectation_no_image_meets_is_refused() {
        assert_eq!(Measurements::new([(0, A), (32, A)]), Err(MeasurementsError::Index { index: 32 }));
        assert_eq!(Measurements::new([(0, A), (0, A)]), Err(MeasurementsError::Doubled { index: 0 }));
        assert_eq!(Measurements::new([(0, Pcr::ZERO)]), Err(MeasurementsError::Zero { index: 0 }));
    }

    #[test]
    fn the_first_register_that_differs_is_named() {
        let expected = Measurements::new([(0, A), (8, A)]).unwrap();
        assert_eq!(expected.mismatch(&Pcrs::from([(0, A), (8, A), (9, A)])), None);
        let absent = Mismatch { index: 8, expected: A, found: None };
        assert_eq!(expected.mismatch(&Pcrs::from([(0, A)])), Some(absent));
    }
}
