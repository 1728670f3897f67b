//! What all these tests agree on: a time, a root, the good chain, the good document's contents, and the trust
//! section that accepts it.

use nitro_elect_protocol::attestation::{
    AttestationError, EnclaveBinding, NonceCheck, Root, VerifiedEnclave, When, verify_enclave,
};
use nitro_elect_protocol::ids::{EnclaveId, HpkeKey, Pcr};
use nitro_elect_protocol::time::Wall;
use nitro_elect_protocol::trust::{PcrSet, Trust};

use crate::draft::Draft;
use crate::pki::{Chain, HOUR, Issued, Plan};

/// 1 January 2026.
pub const NOW: Wall = Wall(1_767_225_600_000);
/// When the good document was made.
pub const TIMESTAMP: Wall = Wall(NOW.0 - 60_000);
pub const NONCE: [u8; 32] = *b"a nonce that only this test drew";
pub const HPKE_KEY: HpkeKey = HpkeKey([7; 32]);

/// The measurements of the good image: PCR0, PCR1, PCR2 and PCR8.
pub fn pcr(index: u8) -> Pcr {
    Pcr([0xa0 + index; 48])
}

/// The SubjectPublicKeyInfo of an RSA key with a modulus of this many bits. Nothing is ever signed with it.
pub fn rsa_spki(modulus_bits: usize) -> Vec<u8> {
    let modulus = [vec![0], vec![0xd5; modulus_bits / 8]].concat();
    let key = der(0x30, &[der(0x02, &modulus), der(0x02, &[1, 0, 1])].concat());
    let algorithm = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
    der(0x30, &[der(0x30, &algorithm), der(0x03, &[vec![0], key].concat())].concat())
}

pub fn der(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = match contents.len() {
        short @ 0..0x80 => vec![short as u8],
        byte @ 0x80..0x100 => vec![0x81, byte as u8],
        long => [vec![0x82], (long as u16).to_be_bytes().to_vec()].concat(),
    };
    [vec![tag], length, contents.to_vec()].concat()
}

pub fn enclave_id() -> EnclaveId {
    EnclaveId::of(&rsa_spki(2048), &HPKE_KEY)
}

pub fn user_data() -> Vec<u8> {
    EnclaveBinding::new(HPKE_KEY, "0.1.0").unwrap().encode()
}

pub struct World {
    pub root: Issued,
    pub chain: Chain,
}

impl World {
    pub fn new() -> World {
        let root = Issued::self_signed(&Plan::root());
        let chain = Chain::under(&root, &Plan::aws());
        World { root, chain }
    }

    /// A draft of the good document.
    pub fn draft(&self) -> Draft {
        Draft::good(&self.chain)
    }

    /// The good document with this changed, then signed.
    pub fn with(&self, change: impl FnOnce(&mut Draft)) -> Vec<u8> {
        let mut draft = self.draft();
        change(&mut draft);
        draft.sign(self.chain.leaf())
    }

    /// A document that is good but for its chain.
    pub fn with_chain(&self, chain: &Chain) -> Vec<u8> {
        Draft::good(chain).sign(chain.leaf())
    }

    /// A document that is good but for the plan of its chain.
    pub fn with_plan(&self, change: impl FnOnce(&mut Vec<Plan>)) -> Vec<u8> {
        let mut plans = Plan::aws();
        change(&mut plans);
        self.with_chain(&Chain::under(&self.root, &plans))
    }

    pub fn trust(&self) -> Trust {
        trust(&self.root.der)
    }
}

pub fn trust(root: &[u8]) -> Trust {
    let set = PcrSet { pcr0: pcr(0), pcr1: pcr(1), pcr2: pcr(2), pcr8: Some(pcr(8)) };
    Trust::new(Root::from_der(root).unwrap(), vec![set], false, HOUR)
}

/// Verifies with everything that can be expected, live.
pub fn verify(document: &[u8], trust: &Trust) -> Result<VerifiedEnclave, AttestationError> {
    verify_when(document, trust, When::Live { now: NOW })
}

pub fn verify_when(document: &[u8], trust: &Trust, when: When) -> Result<VerifiedEnclave, AttestationError> {
    verify_enclave(document, trust, Some(enclave_id()), NonceCheck::Sent(&NONCE), when)
}
