//! Signed statements: exact bytes, a domain, a signature, and the witness that it was checked.
//!
//! What is signed is `domain ‖ 0x00 ‖ bytes`, with the bytes carried as they are and never encoded again
//! (DESIGN §6). Every statement begins with its cluster id and names its signer.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::ops::Deref;

use crate::codec::{self, DecodeError};
use crate::crypto::{BadSignature, Crypto, Signer};
use crate::ids::{ClusterId, NodeId, Signature};

/// Something that a node signs.
pub trait Statement: Serialize + DeserializeOwned {
    /// The domain string that keeps kinds of statements apart.
    const DOMAIN: &'static str;
    /// The largest encoding, in bytes.
    const BYTES_MAX: usize;

    /// The cluster it counts in.
    fn cluster(&self) -> ClusterId;
    /// The node that signed it.
    fn signer(&self) -> NodeId;
    /// Checks the sizes that decoding alone leaves open.
    fn check_bounds(&self) -> Result<(), DecodeError>;
}

/// Why a statement is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// The bytes are not such a statement.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The signature is not the named signer's.
    #[error("not signed by the node it names: {0}")]
    Signature(#[from] BadSignature),
}

/// The input of a signature in a domain.
pub fn signing_input(domain: &str, bytes: &[u8]) -> Vec<u8> {
    [domain.as_bytes(), &[0], bytes].concat()
}

/// Signed bytes, not yet believed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound = "", deny_unknown_fields)]
pub struct Signed<T> {
    #[serde(with = "serde_bytes")]
    bytes: Vec<u8>,
    signature: Signature,
    #[serde(skip)]
    kind: PhantomData<fn() -> T>,
}

impl<T: Statement> Signed<T> {
    /// Puts together what a file or another encoding carried apart.
    pub fn from_parts(bytes: Vec<u8>, signature: Signature) -> Self {
        Signed { bytes, signature, kind: PhantomData }
    }

    /// The exact bytes under the signature, without the domain.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The signature.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Reads the statement without believing it: to decide whether checking is worth the while.
    pub fn peek(&self) -> Result<T, DecodeError> {
        codec::bound(T::DOMAIN, self.bytes.len(), T::BYTES_MAX)?;
        let statement: T = codec::decode(&self.bytes)?;
        statement.check_bounds()?;
        Ok(statement)
    }

    /// Reads the statement and checks that the node it names signed it.
    pub fn verify(self, crypto: &dyn Crypto) -> Result<Verified<T>, StatementError> {
        let statement = self.peek()?;
        crypto.verify(&statement.signer(), &signing_input(T::DOMAIN, &self.bytes), &self.signature)?;
        Ok(Verified { statement, signed: self })
    }
}

impl<T> Hash for Signed<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes.hash(state);
        self.signature.hash(state);
    }
}

impl<T> fmt::Debug for Signed<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Signed({} bytes)", self.bytes.len())
    }
}

/// A statement that the node it names signed. Whether that node counts for anything is another question.
#[derive(Clone, PartialEq, Eq)]
pub struct Verified<T> {
    statement: T,
    signed: Signed<T>,
}

impl<T> Hash for Verified<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.signed.hash(state);
    }
}

impl<T: Statement> Verified<T> {
    /// Signs a statement of one's own.
    ///
    /// # Panics
    /// If the signer is not the one that the statement names: a defect of the caller.
    pub fn sign(statement: T, signer: &dyn Signer) -> Self {
        assert_eq!(statement.signer(), signer.id(), "a node signs for itself alone");
        let bytes = codec::encode(&statement);
        let signature = signer.sign(&signing_input(T::DOMAIN, &bytes));
        Verified { statement, signed: Signed::from_parts(bytes, signature) }
    }

    /// The signed bytes, to pass on.
    pub fn signed(&self) -> &Signed<T> {
        &self.signed
    }

    /// The statement, given up by the witness.
    pub fn into_inner(self) -> T {
        self.statement
    }

    /// The signed bytes, given up by the witness.
    pub fn into_signed(self) -> Signed<T> {
        self.signed
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.statement
    }
}

impl<T: fmt::Debug> fmt::Debug for Verified<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.statement.fmt(out)
    }
}
