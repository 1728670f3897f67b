//! A view: what one voter signs for one election (DESIGN §3.2).

use serde::{Deserialize, Serialize};

use crate::codec::{self, DecodeError};
use crate::ids::{CertificateDigest, ClusterId, ElectorateDigest, EnclaveId, Generation, NodeId, Term};
use crate::limits::{VIEW_MAX, VOTERS_MAX};
use crate::statement::Statement;
use crate::time::Wall;

/// The certificate that a voter last adopted, in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    /// The term it certifies.
    pub term: Term,
    /// The leader it names.
    pub leader: NodeId,
    /// The hash of its signed bytes.
    pub certificate: CertificateDigest,
}

/// Who one voter sees alive, what it last accepted, for which enclave, term and coordinator.
///
/// An honest voter signs at most one in any term, ever (I6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct View {
    /// The cluster it counts in.
    pub cluster: ClusterId,
    /// The electorate its signer trusts.
    pub electorate: ElectorateDigest,
    /// The enclave that may count it.
    pub enclave: EnclaveId,
    /// The term it is for.
    pub term: Term,
    /// The voter that called for it.
    pub coordinator: NodeId,
    /// The life of the coordinator that called.
    pub coordinator_generation: Generation,
    /// The voter that signs.
    pub voter: NodeId,
    /// The life of the voter that signs: a leader leads in this life alone.
    pub voter_generation: Generation,
    /// The voters its signer sees alive, sorted, itself included.
    pub active: Vec<NodeId>,
    /// Whether its signer would lead.
    pub eligible: bool,
    /// The successor that its accepted leader named when it resigned.
    pub preferred: Option<NodeId>,
    /// What its signer last accepted.
    pub accepted: Option<Accepted>,
    /// Its signer's wall clock: for `not_after` alone.
    pub signed_at: Wall,
}

impl Statement for View {
    const DOMAIN: &'static str = "nitro-elect/v1/view";
    const BYTES_MAX: usize = VIEW_MAX;

    fn cluster(&self) -> ClusterId {
        self.cluster
    }

    fn signer(&self) -> NodeId {
        self.voter
    }

    fn check_bounds(&self) -> Result<(), DecodeError> {
        codec::bound("view.active", self.active.len(), VOTERS_MAX)
    }
}
