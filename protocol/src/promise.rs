//! A promise: a voter's word to support nobody but one holder for a lease (DESIGN §3.4).

use serde::{Deserialize, Serialize};

use crate::codec::DecodeError;
use crate::ids::{CertificateDigest, Challenge, ClusterId, ElectorateDigest, Generation, NodeId, Term};
use crate::statement::Statement;
use crate::time::Wall;

/// The answer to a renewal: until a lease from its signing on its signer's clock, it supports this leader alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Promise {
    /// The cluster it counts in.
    pub cluster: ClusterId,
    /// The electorate its signer trusts.
    pub electorate: ElectorateDigest,
    /// The term of the leader.
    pub term: Term,
    /// The leader it is made to.
    pub leader: NodeId,
    /// The life of the leader.
    pub generation: Generation,
    /// The voter that promises.
    pub voter: NodeId,
    /// The renewal it answers.
    pub seq: u64,
    /// The challenge of that renewal.
    pub challenge: Challenge,
    /// The certificate of the term, as its signer adopted it.
    pub certificate: CertificateDigest,
    /// Its signer's wall clock: advice for those without a nonce of their own.
    pub signed_at: Wall,
}

impl Statement for Promise {
    const DOMAIN: &'static str = "nitro-elect/v1/promise";
    const BYTES_MAX: usize = 1024;

    fn cluster(&self) -> ClusterId {
        self.cluster
    }

    fn signer(&self) -> NodeId {
        self.voter
    }

    fn check_bounds(&self) -> Result<(), DecodeError> {
        Ok(())
    }
}
