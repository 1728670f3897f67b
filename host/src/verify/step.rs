//! The checks of a proof, by number. The attestation document's own are numbered below 4, as `docs/ATTESTATION.md`
//! has them.

use std::fmt;

use nitro_elect_protocol::attestation::{AttestationError, Check};
use nitro_elect_protocol::certificate::CertificateError;

/// One check, in the order in which they are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// 1: sizes, encodings, version, term.
    Structure,
    /// 2: the cluster is the expected one.
    Cluster,
    /// 3: the electorate is the expected one.
    Electorate,
    /// 4.1 to 4.19: the document is an accepted enclave's.
    Attestation(Check),
    /// 5: that enclave signed the certificate.
    Signature,
    /// 6: enough voters took part.
    Quorum,
    /// 7: the leader is one of them.
    Leader,
    /// 8: the promises are right.
    Promises,
    /// 9: the enclave is known to have been good.
    Vouching,
    /// 10: a quorum promised the leader its lease.
    Lease,
    /// 11: after the caller drew its nonce.
    Nonce,
    /// 12: it is worth what was asked for.
    Assurance,
}

impl Step {
    /// Every check, in order.
    pub fn all() -> impl Iterator<Item = Step> {
        let before = [Step::Structure, Step::Cluster, Step::Electorate];
        let after = [
            Step::Signature,
            Step::Quorum,
            Step::Leader,
            Step::Promises,
            Step::Vouching,
            Step::Lease,
            Step::Nonce,
            Step::Assurance,
        ];
        before.into_iter().chain(Check::ALL.map(Step::Attestation)).chain(after)
    }

    /// What it establishes, in a line.
    pub fn title(self) -> &'static str {
        match self {
            Step::Structure => "the proof is of this format and within its bounds",
            Step::Cluster => "the certificate is of the expected cluster",
            Step::Electorate => "it was made over the expected electorate",
            Step::Attestation(check) => check.title(),
            Step::Signature => "the attested enclave signed it",
            Step::Quorum => "a quorum of distinct voters took part",
            Step::Leader => "the leader took part, is a candidate, and was seen alive",
            Step::Promises => "every promise beside it is a voter's and names it",
            Step::Vouching => "the enclave is attested now, or enough voters vouch that it was",
            Step::Lease => "a quorum of voters promised its leader the lease, in one renewal",
            Step::Nonce => "your nonce is under the challenge that they signed",
            Step::Assurance => "it is worth what was asked for",
        }
    }

    /// The check that an attestation error is about. A trust section that cannot be used is found before the first.
    pub(super) fn of_attestation(error: &AttestationError) -> Step {
        Step::Attestation(error.check().unwrap_or(Check::Envelope))
    }

    /// The check that a certificate error is about.
    pub(super) fn of_certificate(error: &CertificateError) -> Step {
        match error {
            CertificateError::Decode(_) | CertificateError::Version(_) | CertificateError::TermRange(_) => {
                Step::Structure
            }
            CertificateError::Cluster { .. } => Step::Cluster,
            CertificateError::Electorate { .. } => Step::Electorate,
            CertificateError::Enclave { .. } => Step::Attestation(Check::EnclaveId),
            CertificateError::Signature(_) => Step::Signature,
            CertificateError::NotVoters { .. } | CertificateError::NoQuorum { .. } => Step::Quorum,
            CertificateError::Leader { .. } | CertificateError::Coordinator(_) => Step::Leader,
            CertificateError::Promise { .. } => Step::Promises,
            CertificateError::NotVouchedFor { .. } => Step::Vouching,
        }
    }
}

/// Its number: `1`, `4.7`, `12`.
impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = match self {
            Step::Structure => 1,
            Step::Cluster => 2,
            Step::Electorate => 3,
            Step::Attestation(check) => return write!(out, "4.{}", check.number()),
            Step::Signature => 5,
            Step::Quorum => 6,
            Step::Leader => 7,
            Step::Promises => 8,
            Step::Vouching => 9,
            Step::Lease => 10,
            Step::Nonce => 11,
            Step::Assurance => 12,
        };
        write!(out, "{number}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checks_are_numbered_in_their_order() {
        let steps: Vec<Step> = Step::all().collect();
        assert!(steps.is_sorted_by(|a, b| a < b));
        assert_eq!((steps[0].to_string(), steps.len()), ("1".into(), 11 + Check::ALL.len()));
        assert_eq!(steps[3].to_string(), "4.1");
        assert_eq!(steps.last().map(Step::to_string), Some("12".into()));
    }
}
