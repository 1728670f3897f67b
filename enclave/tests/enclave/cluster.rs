//! Voters that sign and seal views, and a coordinator that asks for an election.

use nitro_elect_protocol::codec;
use nitro_elect_protocol::crypto::{NodeKey, Signer};
use nitro_elect_protocol::electorate::{Electorate, VERSION, Voter};
use nitro_elect_protocol::enclave_api::{Elect, Request};
use nitro_elect_protocol::ids::{ClusterId, EnclaveId, Generation, HpkeKey, NodeId, Pcr, Term};
use nitro_elect_protocol::policy::{Policy, Rule};
use nitro_elect_protocol::seal::{SealedView, context, seal};
use nitro_elect_protocol::statement::{Signed, Verified};
use nitro_elect_protocol::time::Wall;
use nitro_elect_protocol::trust::{PcrSet, Root, Trust};
use nitro_elect_protocol::view::View;
use rand::{SeedableRng, rngs::StdRng};

use crate::module;

/// The life in which the coordinator calls.
pub const GENERATION: Generation = Generation(3);

/// Voters in the order of their keys, the first of which coordinates.
pub struct Cluster {
    /// Who votes.
    pub electorate: Electorate,
    keys: Vec<NodeKey>,
    enclave: EnclaveId,
    hpke: HpkeKey,
}

impl Cluster {
    /// `n` voters of which `f` may be Byzantine, and the enclave with the first test keys.
    pub fn new(n: usize, f: u32) -> Cluster {
        let mut keys: Vec<NodeKey> = (1..=n).map(|number| NodeKey::from_seed([number as u8; 32])).collect();
        keys.sort_by_key(|key| key.id());
        let pcr = Pcr([1; 48]);
        let accepted = vec![PcrSet { pcr0: pcr, pcr1: pcr, pcr2: pcr, pcr8: None }];
        let electorate = Electorate {
            version: VERSION,
            cluster: ClusterId([9; 16]),
            name: "test".into(),
            epoch: 0,
            previous: None,
            f,
            policy: Policy::of(Rule::Priority),
            lease_ms: 1000,
            trust: Trust { root: Root::Aws, accepted, allow_debug: false, max_age_ms: 3_600_000 },
            voters: keys.iter().enumerate().map(|(number, key)| voter(number, key.id())).collect(),
        };
        let enclave = module::keys(0);
        Cluster { electorate, keys, enclave: enclave.enclave(), hpke: enclave.hpke_key() }
    }

    /// The voter with this place.
    pub fn node(&self, voter: usize) -> NodeId {
        self.keys[voter].id()
    }

    /// A voter's view of everybody, as the coordinator called for it.
    pub fn view(&self, term: u64, voter: usize) -> View {
        View {
            cluster: self.electorate.cluster,
            electorate: self.electorate.digest(),
            enclave: self.enclave,
            term: Term(term),
            coordinator: self.node(0),
            coordinator_generation: GENERATION,
            voter: self.node(voter),
            voter_generation: Generation(10 + voter as u64),
            active: self.keys.iter().map(|key| key.id()).collect(),
            eligible: true,
            preferred: None,
            accepted: None,
            signed_at: Wall(1_700_000_000_000 + voter as u64),
        }
    }

    /// Signs a view with its voter's key.
    pub fn sign(&self, view: View) -> Signed<View> {
        let key = self.keys.iter().find(|key| key.id() == view.voter).expect("a voter of this cluster");
        Verified::sign(view, key).into_signed()
    }

    /// Seals bytes to the enclave for this electorate and term.
    pub fn seal(&self, term: u64, bytes: &[u8]) -> SealedView {
        let context = context(&self.electorate.digest(), &self.enclave, Term(term));
        seal(&self.hpke, &context, bytes, &mut StdRng::seed_from_u64(term)).unwrap()
    }

    /// A view, signed and sealed for the term it names.
    pub fn sealed(&self, view: View) -> SealedView {
        let term = view.term.0;
        self.seal(term, &codec::encode(&self.sign(view)))
    }

    /// The views of these voters, signed and sealed.
    pub fn views(&self, term: u64, voters: impl IntoIterator<Item = usize>) -> Vec<SealedView> {
        voters.into_iter().map(|voter| self.sealed(self.view(term, voter))).collect()
    }

    /// What the coordinator asks with these views.
    pub fn elect(&self, term: u64, views: Vec<SealedView>) -> Elect {
        Elect {
            electorate: self.electorate.clone(),
            term: Term(term),
            coordinator: self.node(0),
            generation: GENERATION,
            views,
        }
    }

    /// The request with these views.
    pub fn request(&self, term: u64, views: Vec<SealedView>) -> Request {
        Request::Elect(Box::new(self.elect(term, views)))
    }
}

fn voter(number: usize, key: NodeId) -> Voter {
    let (name, address) = (format!("node-{number}"), format!("10.0.0.{number}:5000"));
    Voter { key, name, address, weight: number as u32 }
}
