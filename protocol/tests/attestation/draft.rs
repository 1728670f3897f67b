//! A document in the making: any part can be exchanged before it is signed.

use crate::cbor;
use crate::pki::{Chain, Issued};
use crate::world::{NONCE, TIMESTAMP, pcr, rsa_spki, user_data};

/// The protected header `{1: -35}`.
pub const ES384: [u8; 4] = [0xa1, 0x01, 0x38, 0x22];

/// The payload's fields as encoded keys and values, in order.
#[derive(Clone)]
pub struct Draft {
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Draft {
    /// What the NSM would say of the good enclave, with this chain.
    pub fn good(chain: &Chain) -> Draft {
        let mut draft = Draft { fields: Vec::new() };
        draft.set("module_id", cbor::text("i-0123456789abcdef0-enc0123456789abcdef"));
        draft.set("digest", cbor::text("SHA384"));
        draft.set("timestamp", cbor::unsigned(TIMESTAMP.0));
        draft.set("pcrs", cbor::map(&pcrs()));
        draft.set("certificate", cbor::bytes(&chain.leaf().der));
        draft.set_bundle(&chain.bundle);
        draft.set("public_key", cbor::bytes(&rsa_spki(2048)));
        draft.set("user_data", cbor::bytes(&user_data()));
        draft.set("nonce", cbor::bytes(&NONCE));
        draft
    }

    /// Sets a field, in its place if it is there already.
    pub fn set(&mut self, name: &str, value: Vec<u8>) {
        let key = cbor::text(name);
        match self.fields.iter_mut().find(|(found, _)| *found == key) {
            Some(field) => field.1 = value,
            None => self.fields.push((key, value)),
        }
    }

    pub fn set_bundle(&mut self, bundle: &[Vec<u8>]) {
        let items: Vec<_> = bundle.iter().map(|der| cbor::bytes(der)).collect();
        self.set("cabundle", cbor::array(&items));
    }

    /// Sets the registers from the good ones, changed.
    pub fn set_pcrs(&mut self, change: impl FnOnce(&mut Vec<(Vec<u8>, Vec<u8>)>)) {
        let mut pcrs = pcrs();
        change(&mut pcrs);
        self.set("pcrs", cbor::map(&pcrs));
    }

    pub fn remove(&mut self, name: &str) {
        let key = cbor::text(name);
        self.fields.retain(|(found, _)| *found != key);
    }

    pub fn payload(&self) -> Vec<u8> {
        cbor::map(&self.fields)
    }

    pub fn sign(&self, signer: &Issued) -> Vec<u8> {
        sign(&self.payload(), signer)
    }
}

/// Sixteen registers as the NSM reports them: PCR8 signed, the rest unused.
pub fn pcrs() -> Vec<(Vec<u8>, Vec<u8>)> {
    let value = |index| if matches!(index, 0..=4 | 8) { pcr(index).0 } else { [0; 48] };
    (0..16).map(|index| (cbor::unsigned(u64::from(index)), cbor::bytes(&value(index)))).collect()
}

/// The bytes that a signature is over (RFC 9052 §4.4).
pub fn signed_bytes(context: &str, protected: &[u8], aad: &[u8], payload: &[u8]) -> Vec<u8> {
    cbor::array(&[cbor::text(context), cbor::bytes(protected), cbor::bytes(aad), cbor::bytes(payload)])
}

/// The four parts of the envelope, encoded, as the NSM puts them together.
pub fn parts(payload: &[u8], signer: &Issued) -> [Vec<u8>; 4] {
    parts_with_header(&ES384, payload, signer)
}

/// The four parts with another protected header, which the signature covers.
pub fn parts_with_header(protected: &[u8], payload: &[u8], signer: &Issued) -> [Vec<u8>; 4] {
    let signature = signer.sign(&signed_bytes("Signature1", protected, b"", payload));
    [cbor::bytes(protected), cbor::map(&[]), cbor::bytes(payload), cbor::bytes(&signature)]
}

/// Signs a payload as the NSM does.
pub fn sign(payload: &[u8], signer: &Issued) -> Vec<u8> {
    cbor::array(&parts(payload, signer))
}
