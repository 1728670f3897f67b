//! Equivocation evidence: two different views by one voter for one term, which no honest voter ever signs (I6).

use serde::{Deserialize, Serialize};

use crate::crypto::Crypto;
use crate::ids::{ClusterId, NodeId, Term};
use crate::statement::{Signed, StatementError, Verified};
use crate::view::View;

/// Two signed views, not yet checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// One view, the smaller in byte order.
    pub first: Signed<View>,
    /// Another, by the same voter for the same term.
    pub second: Signed<View>,
}

/// Why two views prove nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// One of them is no signed view.
    #[error("view {which}: {error}")]
    View {
        /// 1 or 2.
        which: u8,
        /// What is wrong with it.
        error: StatementError,
    },
    /// They do not contradict each other.
    #[error("the two views are of different voters, clusters or terms, or the same")]
    NoContradiction,
    /// They come in the wrong order, which would give one piece of evidence two encodings.
    #[error("the two views are not in byte order")]
    Order,
}

/// Proof that a voter is not honest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedEvidence {
    /// The cluster that both are of.
    pub cluster: ClusterId,
    /// The voter that signed both.
    pub voter: NodeId,
    /// The term it signed both for.
    pub term: Term,
}

impl Evidence {
    /// Puts two views in order.
    pub fn new(one: Signed<View>, other: Signed<View>) -> Self {
        let (first, second) = if one.bytes() <= other.bytes() { (one, other) } else { (other, one) };
        Evidence { first, second }
    }

    /// Checks that the two views prove equivocation.
    pub fn verify(&self, crypto: &dyn Crypto) -> Result<VerifiedEvidence, EvidenceError> {
        let open = |which, view: &Signed<View>| -> Result<Verified<View>, EvidenceError> {
            view.clone().verify(crypto).map_err(|error| EvidenceError::View { which, error })
        };
        let (first, second) = (open(1, &self.first)?, open(2, &self.second)?);
        let key = |view: &View| (view.cluster, view.voter, view.term);
        if key(&first) != key(&second) || self.first.bytes() == self.second.bytes() {
            return Err(EvidenceError::NoContradiction);
        }
        if self.first.bytes() > self.second.bytes() {
            return Err(EvidenceError::Order);
        }
        Ok(VerifiedEvidence { cluster: first.cluster, voter: first.voter, term: first.term })
    }
}
