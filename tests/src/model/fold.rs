//! A cheap 128-bit fingerprint of states. With some hundred million states the chance that two share one, and the
//! search overlooks a state, is below 2^-70.

use std::hash::{BuildHasherDefault, Hash, Hasher};

/// A fingerprint.
pub type Print = u128;

/// A map or set by fingerprints, which are spread already.
pub type ByPrint = BuildHasherDefault<Spread>;

/// Two lanes of multiply and rotate.
#[derive(Clone, Copy, Debug)]
pub struct Fold(u64, u64);

impl Default for Fold {
    fn default() -> Self {
        Fold(0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344)
    }
}

impl Fold {
    /// The fingerprint of a value.
    pub fn of(value: &(impl Hash + ?Sized)) -> Print {
        let mut fold = Fold::default();
        value.hash(&mut fold);
        fold.print()
    }

    /// The fingerprint of all that was written.
    pub fn print(&self) -> Print {
        let (a, b) = (mix(self.0 ^ self.1.rotate_left(32)), mix(self.1 ^ self.0.rotate_left(17)));
        u128::from(a) << 64 | u128::from(b)
    }

    fn word(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x9fb2_1c65_1e98_df25).rotate_left(29);
        self.1 = (self.1.rotate_left(23) ^ word.wrapping_mul(0xd6e8_feb8_6659_fd93))
            .wrapping_mul(0xff51_afd7_ed55_8ccd);
    }
}

impl Hasher for Fold {
    fn finish(&self) -> u64 {
        self.print() as u64
    }

    fn write(&mut self, bytes: &[u8]) {
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            self.word(chunk.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)));
        }
        let rest = chunks.remainder().iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        self.word(rest ^ (bytes.len() as u64) << 56);
    }

    fn write_u8(&mut self, value: u8) {
        self.word(u64::from(value));
    }

    fn write_u32(&mut self, value: u32) {
        self.word(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.word(value);
    }

    fn write_usize(&mut self, value: usize) {
        self.word(value as u64);
    }
}

fn mix(mut word: u64) -> u64 {
    word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

/// Takes a fingerprint as its own hash.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u128(&mut self, value: u128) {
        self.0 = value as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_differ_in_one_place_have_other_fingerprints() {
        let prints: Vec<Print> = (0..10_000u64).map(|word| Fold::of(&(word, [word as u8; 11]))).collect();
        let distinct: std::collections::BTreeSet<_> = prints.iter().collect();
        assert_eq!(distinct.len(), prints.len());
        assert_ne!(Fold::of(&[1u8, 0][..]), Fold::of(&[1u8][..]));
        assert_ne!(Fold::of(&(1u64, 2u64)), Fold::of(&(2u64, 1u64)));
    }
}
