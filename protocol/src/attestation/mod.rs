//! Verification of attestation documents: AWS's, and those of a simulated module in the same format.
//!
//! [`verify_enclave`] is for the election service, [`verify_document`] for any enclave's document. Both make
//! every check of the numbered list in `docs/ATTESTATION.md` (see [`Check`]), stop at the first that fails,
//! and give a witness that nothing else can make. There is no way to leave a check out by leaving an
//! expectation away: a policy without measurements is an error.
//!
//! The document is hostile until its signature has been traced to the pinned root: reading allocates little
//! and never recurses, sizes are bounded, and no input makes it panic.
//!
//! What a document does not prove: that this enclave is the only one, or that it was not started anew since.
//! The terms that voters carry make both harmless.

mod binding;
mod cbor;
mod certificate;
mod chain;
mod check;
mod cose;
mod der;
mod document;
mod enclave;
mod error;
pub mod limits;
mod pcr;
mod root;
mod verify;
mod when;

pub use binding::{BindingError, EnclaveBinding, SIGNATURE_ALGORITHM, SigningKeyError};
pub use cbor::CborError;
pub use certificate::{CertificateSummary, Place, Validity};
pub use chain::ChainError;
pub use check::{Check, Checked, Outcome};
pub use cose::EnvelopeError;
pub use document::{DocumentError, ReadError, UntrustedDocument};
pub use enclave::{VerifiedEnclave, verify_enclave};
pub use error::AttestationError;
pub use pcr::{Measurements, MeasurementsError, Mismatch, Pcrs};
pub use root::{AWS_ROOT_DER, AWS_ROOT_SHA256, Root, RootError};
pub use verify::{DocumentPolicy, VerifiedDocument, verify_document};
pub use when::{Freshness, NonceCheck, When};
