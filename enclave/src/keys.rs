//! The enclave's keys: made inside at boot, gone with it.
//!
//! RSA because Nitro certificates are to be checked by whatever a third party has; X25519 to seal views to. The
//! `rsa` crate generates the RSA key and does nothing else with it (`clippy.toml` forbids the rest): ring signs.
//! All randomness is the kernel's, which inside an enclave is fed by the security module.

use nitro_elect_protocol::attestation::EnclaveBinding;
use nitro_elect_protocol::ids::{EnclaveId, HpkeKey};
use nitro_elect_protocol::seal::{OpenError, OpeningKey, SealedView};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{KeyPair, RSA_PSS_SHA256, RsaKeyPair};
use rsa::pkcs8::EncodePrivateKey;
use rsa::pkcs8::der::{Encode, asn1::BitStringRef};
use rsa::pkcs8::spki::SubjectPublicKeyInfo;
use rsa::rand_core::{CryptoRng, Error, RngCore};

use crate::attestor::Claims;

/// The version that documents and `Health` name.
pub const SERVICE_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The size of the signing key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RsaSize {
    /// 2048 bits: a signature takes 0.7 ms.
    #[default]
    Bits2048,
    /// 3072 bits, about 128 bits of security: a signature takes 2 ms.
    Bits3072,
}

/// Why there are no keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The kernel's random source failed.
    #[error("the kernel gave no random bytes")]
    Random,
    /// Generation failed.
    #[error("no RSA key could be generated")]
    Generation,
    /// Not an RSA private key of 2048 to 4096 bits in PKCS#8.
    #[error("not an RSA private key of 2048 to 4096 bits in PKCS#8 (DER)")]
    Pkcs8,
}

/// A signature could not be made; ring checks its own result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signing key failed")]
pub struct SigningError;

/// A signing key and an opening key.
pub struct Keys {
    signing: RsaKeyPair,
    opening: OpeningKey,
    spki: Vec<u8>,
    enclave: EnclaveId,
}

impl Keys {
    /// Makes fresh keys. Takes some tenths of a second, a second at times.
    pub fn generate(size: RsaSize) -> Result<Keys, KeyError> {
        let mut hpke_secret = [0; 32];
        SystemRandom::new().fill(&mut hpke_secret).map_err(|_| KeyError::Random)?;
        let bits = match size {
            RsaSize::Bits2048 => 2048,
            RsaSize::Bits3072 => 3072,
        };
        let key = rsa::RsaPrivateKey::new(&mut Kernel, bits).map_err(|_| KeyError::Generation)?;
        let pkcs8 = key.to_pkcs8_der().map_err(|_| KeyError::Generation)?;
        Self::from_pkcs8(pkcs8.as_bytes(), &hpke_secret)
    }

    /// The keys of an RSA private key in PKCS#8 (DER) and of 32 secret random bytes.
    pub fn from_pkcs8(pkcs8: &[u8], hpke_secret: &[u8; 32]) -> Result<Keys, KeyError> {
        let signing = RsaKeyPair::from_pkcs8(pkcs8).map_err(|_| KeyError::Pkcs8)?;
        let opening = OpeningKey::derive(hpke_secret);
        let spki = spki(signing.public_key().as_ref()).ok_or(KeyError::Pkcs8)?;
        let enclave = EnclaveId::of(&spki, &opening.public());
        Ok(Keys { signing, opening, spki, enclave })
    }

    /// The id of the enclave that has these keys.
    pub fn enclave(&self) -> EnclaveId {
        self.enclave
    }

    /// The key that views are sealed to.
    pub fn hpke_key(&self) -> HpkeKey {
        self.opening.public()
    }

    /// What attestation documents say of these keys (DESIGN §5).
    pub fn claims(&self) -> Claims {
        let binding = EnclaveBinding::new(self.opening.public(), SERVICE_VERSION)
            .expect("a Cargo version is short printable ASCII");
        Claims { public_key: self.spki.clone(), user_data: binding.encode() }
    }

    /// Opens what was sealed to these keys.
    pub fn open(&self, context: &[u8], sealed: &SealedView) -> Result<Vec<u8>, OpenError> {
        self.opening.open(context, sealed)
    }

    /// RSASSA-PSS with SHA-256 and a salt of 32 random bytes (RFC 8017 §8.1).
    pub fn sign(&self, input: &[u8]) -> Result<Vec<u8>, SigningError> {
        let mut signature = vec![0; self.signing.public().modulus_len()];
        let result = self.signing.sign(&RSA_PSS_SHA256, &SystemRandom::new(), input, &mut signature);
        result.map(|()| signature).map_err(|_| SigningError)
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Keys({})", self.enclave.short())
    }
}

/// The SubjectPublicKeyInfo (RFC 5280) of a PKCS#1 RSA public key.
fn spki(pkcs1: &[u8]) -> Option<Vec<u8>> {
    let subject_public_key = BitStringRef::from_bytes(pkcs1).ok()?;
    SubjectPublicKeyInfo { algorithm: rsa::pkcs1::ALGORITHM_ID, subject_public_key }.to_der().ok()
}

/// The kernel's random source in the shape that key generation wants.
struct Kernel;

impl RngCore for Kernel {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill_bytes(&mut bytes);
        u32::from_ne_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        u64::from_ne_bytes(bytes)
    }

    fn fill_bytes(&mut self, into: &mut [u8]) {
        SystemRandom::new().fill(into).expect("getrandom gave bytes when generation began, and never stops");
    }

    fn try_fill_bytes(&mut self, into: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(into);
        Ok(())
    }
}

impl CryptoRng for Kernel {}

#[cfg(test)]
mod tests {
    use super::*;
    use nitro_elect_protocol::crypto::{BadSignature, Crypto, Ring};

    const KEY_2048: &[u8] = include_bytes!("../tests/keys/rsa-2048-1.pkcs8.der");
    const KEY_3072: &[u8] = include_bytes!("../tests/keys/rsa-3072.pkcs8.der");

    #[test]
    fn a_signature_verifies_under_the_claimed_key_alone() {
        for (pkcs8, length) in [(KEY_2048, 256), (KEY_3072, 384)] {
            let keys = Keys::from_pkcs8(pkcs8, &[1; 32]).unwrap();
            let signature = keys.sign(b"input").unwrap();
            assert_eq!(signature.len(), length);
            let spki = keys.claims().public_key;
            assert_eq!(Ring.verify_enclave_signature(&spki, b"input", &signature), Ok(()));
            assert_eq!(Ring.verify_enclave_signature(&spki, b"inpux", &signature), Err(BadSignature));
        }
    }

    #[test]
    fn the_enclave_id_covers_both_keys() {
        let enclave = |pkcs8, secret| Keys::from_pkcs8(pkcs8, &[secret; 32]).unwrap().enclave();
        assert_eq!(enclave(KEY_2048, 1), enclave(KEY_2048, 1));
        assert_ne!(enclave(KEY_2048, 1), enclave(KEY_2048, 2));
        assert_ne!(enclave(KEY_2048, 1), enclave(KEY_3072, 1));
    }

    #[test]
    fn generated_keys_sign_and_differ_from_boot_to_boot() {
        let (one, other) =
            (Keys::generate(RsaSize::Bits2048).unwrap(), Keys::generate(RsaSize::Bits2048).unwrap());
        assert_ne!(one.claims().public_key, other.claims().public_key);
        assert_ne!(one.hpke_key(), other.hpke_key());
        let signature = one.sign(b"input").unwrap();
        assert_eq!(Ring.verify_enclave_signature(&one.claims().public_key, b"input", &signature), Ok(()));
    }

    #[test]
    fn what_is_no_rsa_key_is_refused() {
        assert_eq!(Keys::from_pkcs8(b"", &[1; 32]).unwrap_err(), KeyError::Pkcs8);
        assert_eq!(Keys::from_pkcs8(&KEY_2048[..600], &[1; 32]).unwrap_err(), KeyError::Pkcs8);
    }

    #[test]
    fn keys_print_no_secret() {
        let keys = Keys::from_pkcs8(KEY_2048, &[0x5a; 32]).unwrap();
        assert_eq!(format!("{keys:?}"), format!("Keys({})", keys.enclave().short()));
    }
}
