//! Who is served, and with what: the one rule of the proxy, as a function of a request's bytes.

use nitro_elect_protocol::electorate::Electorate;
use nitro_elect_protocol::enclave_api::{EnclaveRefusal, Request};
use nitro_elect_protocol::ids::{ElectorateDigest, NodeId};
use nitro_elect_protocol::peer::{EnvelopeError, open_envelope};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

/// An electorate that a proxy works for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdmittedElectorate {
    /// Its digest.
    pub digest: ElectorateDigest,
    /// Its voters' keys.
    pub voters: BTreeSet<NodeId>,
}

impl AdmittedElectorate {
    /// The part of an electorate that a proxy needs.
    pub fn of(electorate: &Electorate) -> Self {
        let voters = electorate.voters.iter().map(|voter| voter.key).collect();
        AdmittedElectorate { digest: electorate.digest(), voters }
    }
}

/// Who asks: what bounds are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Client {
    /// A node that proved its key.
    Node(NodeId),
    /// Somebody at an IP address (of IPv6, in a network of 64 bits).
    Ip(IpAddr),
    /// A virtual machine, or this one's host.
    Vsock(u32),
    /// A process of this machine, over a Unix socket.
    Local,
}

impl fmt::Display for Client {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Client::Node(key) => write!(out, "node {}", key.short()),
            Client::Ip(ip) => ip.fmt(out),
            Client::Vsock(cid) => write!(out, "vsock {cid}"),
            Client::Local => out.write_str("a local process"),
        }
    }
}

/// What to do with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Ask the enclave. Asking again is harmless.
    Ask,
    /// Ask the enclave, which may certify a term: what becomes of it must not be guessed.
    Elect,
    /// Answer with the document at hand, if there is one.
    Document,
    /// Ask the enclave for a document over a nonce. Asking again is harmless.
    FreshDocument,
    /// Answer with this refusal.
    Refuse(EnclaveRefusal),
}

/// The electorates served; none means all.
#[derive(Debug, Clone)]
pub struct Served {
    voters: Option<BTreeMap<ElectorateDigest, BTreeSet<NodeId>>>,
}

impl Served {
    /// Serves these electorates, or whoever asks if there are none.
    pub fn new(electorates: &[AdmittedElectorate]) -> Self {
        let voters = electorates.iter().map(|served| (served.digest, served.voters.clone())).collect();
        Served { voters: (!electorates.is_empty()).then_some(voters) }
    }

    /// Whether a node with this key may connect.
    pub fn admits(&self, key: &NodeId) -> bool {
        self.keys().any(|admitted| admitted == key)
    }

    /// All keys of all electorates.
    pub fn keys(&self) -> impl Iterator<Item = &NodeId> {
        self.voters.iter().flat_map(|voters| voters.values().flatten())
    }

    /// How many keys there are, each counted once.
    pub fn keys_number(&self) -> usize {
        self.keys().collect::<BTreeSet<_>>().len()
    }

    /// What to do with a request of this client.
    pub fn judge(&self, client: &Client, untrusted_frame: &[u8]) -> Verdict {
        let request = match open_envelope::<Request>(untrusted_frame) {
            Ok(request) => request,
            Err(EnvelopeError::Version(version)) => {
                return Verdict::Refuse(EnclaveRefusal::UnknownVersion(version));
            }
            Err(EnvelopeError::Decode(_)) => return Verdict::Refuse(EnclaveRefusal::Malformed),
        };
        match request {
            Request::Attest { nonce: None } => Verdict::Document,
            Request::Attest { nonce: Some(_) } => Verdict::FreshDocument,
            Request::Health => Verdict::Ask,
            Request::Latest { electorate } => self.if_served(client, electorate, Verdict::Ask),
            Request::Elect(elect) => self.if_served(client, elect.electorate.digest(), Verdict::Elect),
        }
    }

    fn if_served(&self, client: &Client, electorate: ElectorateDigest, verdict: Verdict) -> Verdict {
        let Some(served) = &self.voters else { return verdict };
        let is_served = match (client, served.get(&electorate)) {
            (Client::Node(key), Some(voters)) => voters.contains(key),
            (_, found) => found.is_some(),
        };
        match is_served {
            true => verdict,
            false => Verdict::Refuse(EnclaveRefusal::NotServed),
        }
    }
}
