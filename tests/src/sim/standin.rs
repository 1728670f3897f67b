//! Cheap stand-ins for signatures and sealing, behind the product's own types, so that campaigns are long.
//!
//! A signature is a keyed 64-bit hash of the input, spread over its bytes; sealing is a copy behind a mark of key
//! and context. Neither stands against anybody who reads this file: what they keep apart is what the simulation's
//! own actors do, and each of these signs only through the [`Signer`] that it owns. The same rules run with the
//! real primitives in a share of the seeds.

use nitro_elect_protocol::crypto::{BadSignature, Crypto, Signer};
use nitro_elect_protocol::ids::{HpkeKey, NodeId, Signature};
use nitro_elect_protocol::limits::SEAL_OVERHEAD;
use nitro_elect_protocol::seal::{OpenError, SealError, SealedView};
use rand::CryptoRng;

use super::dice::mix;

/// Verifies and seals for nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct StandIn;

/// Signs for nothing as one node.
#[derive(Clone, Copy, Debug)]
pub struct StandInKey(pub NodeId);

impl Signer for StandInKey {
    fn id(&self) -> NodeId {
        self.0
    }

    fn sign(&self, input: &[u8]) -> Signature {
        Signature(spread(&self.0.0, input))
    }
}

impl Crypto for StandIn {
    fn verify(&self, signer: &NodeId, input: &[u8], signature: &Signature) -> Result<(), BadSignature> {
        if signature.0 == spread(&signer.0, input) { Ok(()) } else { Err(BadSignature) }
    }

    fn verify_enclave_signature(
        &self,
        spki: &[u8],
        input: &[u8],
        signature: &[u8],
    ) -> Result<(), BadSignature> {
        if signature == enclave_signature(spki, input) { Ok(()) } else { Err(BadSignature) }
    }

    fn seal(
        &self,
        to: &HpkeKey,
        context: &[u8],
        view: &[u8],
        _randomness: &mut dyn CryptoRng,
    ) -> Result<SealedView, SealError> {
        Ok(SealedView([&mark(to, context), view].concat()))
    }
}

/// Opens what [`StandIn`] sealed to this key in this context.
pub fn open(key: &HpkeKey, context: &[u8], sealed: &SealedView) -> Result<Vec<u8>, OpenError> {
    let (found, view) = sealed.0.split_at_checked(SEAL_OVERHEAD).ok_or(OpenError)?;
    if found == mark(key, context) { Ok(view.to_vec()) } else { Err(OpenError) }
}

/// What is behind a mark, whoever it was sealed to: for those who watch.
pub fn behind(sealed: &SealedView) -> Option<&[u8]> {
    sealed.0.split_at_checked(SEAL_OVERHEAD).map(|(_, view)| view)
}

/// What [`StandIn`] takes for the signature of the enclave with this key.
pub fn enclave_signature(spki: &[u8], input: &[u8]) -> Vec<u8> {
    spread::<32>(spki, input).to_vec()
}

fn mark(to: &HpkeKey, context: &[u8]) -> [u8; SEAL_OVERHEAD] {
    spread(&to.0, context)
}

fn spread<const N: usize>(key: &[u8], input: &[u8]) -> [u8; N] {
    let mut state = absorb(absorb(0x243f_6a88_85a3_08d3, key), input);
    let mut bytes = [0; N];
    for chunk in bytes.chunks_mut(8) {
        state = mix(state);
        chunk.copy_from_slice(&state.to_le_bytes()[..chunk.len()]);
    }
    bytes
}

fn absorb(mut state: u64, bytes: &[u8]) -> u64 {
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let word = chunk.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        state = (state ^ word).wrapping_mul(0x9fb2_1c65_1e98_df25).rotate_left(29);
    }
    let rest = chunks.remainder().iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
    mix(state ^ rest.wrapping_mul(0x9fb2_1c65_1e98_df25) ^ (bytes.len() as u64) << 48)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_good_for_its_key_and_input_alone() {
        let (a, b) = (StandInKey(NodeId([1; 32])), StandInKey(NodeId([2; 32])));
        let signature = a.sign(b"hello, world");
        assert_eq!(StandIn.verify(&a.id(), b"hello, world", &signature), Ok(()));
        assert_eq!(StandIn.verify(&b.id(), b"hello, world", &signature), Err(BadSignature));
        assert_eq!(StandIn.verify(&a.id(), b"hello, worle", &signature), Err(BadSignature));
        assert_eq!(StandIn.verify(&a.id(), b"hello, world\0", &signature), Err(BadSignature));
    }

    #[test]
    fn a_sealed_view_opens_for_its_key_and_context_alone() {
        let key = HpkeKey([3; 32]);
        let mut randomness = <rand::rngs::StdRng as rand::SeedableRng>::from_seed([0; 32]);
        let sealed = StandIn.seal(&key, b"context", b"view", &mut randomness).unwrap();
        assert_eq!(open(&key, b"context", &sealed).unwrap(), b"view");
        assert!(open(&key, b"contexu", &sealed).is_err());
        assert!(open(&HpkeKey([4; 32]), b"context", &sealed).is_err());
    }
}
