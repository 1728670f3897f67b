//! A small cluster with a simulated enclave, without processes: whatever proof a test needs, signed by real keys.

use nitro_elect::core::config::Observers;
use nitro_elect::manifest::Manifest;
use nitro_elect::proof_file::ProofFile;
use nitro_elect::simulated::nsm::measurements;
use nitro_elect::simulated::{SimulatedNsm, SimulatedPki};
use nitro_elect_enclave::keys::{Keys, RsaSize};
use nitro_elect_protocol::certificate::{Certificate, DOMAIN, Reason, SignedCertificate};
use nitro_elect_protocol::codec;
use nitro_elect_protocol::crypto::{NodeKey, Signer};
use nitro_elect_protocol::electorate::{Electorate, VERSION, Voter};
use nitro_elect_protocol::evidence::Evidence;
use nitro_elect_protocol::ids::{Challenge, ClusterId, Generation, NodeId, Nonce, Term};
use nitro_elect_protocol::policy::{Policy, Rule};
use nitro_elect_protocol::promise::Promise;
use nitro_elect_protocol::proof::{Bundle, LeaseProof};
use nitro_elect_protocol::statement::{Signed, Verified, signing_input};
use nitro_elect_protocol::time::Wall;
use nitro_elect_protocol::trust::Trust;
use nitro_elect_protocol::view::View;
use std::sync::OnceLock;
use std::time::Duration;

/// When the enclave's document was made.
pub const MADE: Wall = Wall(1_795_352_700_000);
/// A moment at which the document passes live.
pub const SOON: Wall = Wall(MADE.0 + 60_000);
/// A moment at which its leaf has expired.
pub const LATER: Wall = Wall(MADE.0 + 30 * 24 * 3_600_000);

/// Four voters, one of which may lie, and a simulated enclave.
pub struct World {
    pub voters: Vec<NodeKey>,
    pub electorate: Electorate,
    keys: Keys,
    nsm: SimulatedNsm,
}

/// Makes a whole world; every one has an enclave of its own.
pub fn world() -> World {
    let nsm = SimulatedNsm::new(SimulatedPki::generate().unwrap(), measurements());
    let mut voters: Vec<NodeKey> = (1..=4).map(|seed| NodeKey::from_seed([seed; 32])).collect();
    voters.sort_by_key(NodeKey::id);
    let trust = Trust::new(nsm.pki().root(), vec![measurements()], false, Duration::from_secs(3600));
    let electorate = Electorate {
        version: VERSION,
        cluster: ClusterId([0xc1; 16]),
        name: "world".into(),
        epoch: 1,
        previous: None,
        f: 1,
        policy: Policy::of(Rule::Priority),
        lease_ms: 1000,
        trust,
        voters: voters.iter().zip(1..).map(|(key, number)| voter(key.id(), number)).collect(),
    };
    World { voters, electorate, keys: Keys::generate(RsaSize::Bits2048).unwrap(), nsm }
}

/// The world of tests that change nothing in it.
pub fn shared() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(world)
}

fn voter(key: NodeId, number: u16) -> Voter {
    Voter { key, name: format!("node-{number}"), address: format!("127.0.0.1:{}", 5000 + number), weight: 1 }
}

impl World {
    /// The same voters and enclave as an open cluster.
    pub fn opened() -> World {
        let mut world = world();
        let electorate = &mut world.electorate;
        (electorate.cluster, electorate.epoch, electorate.f) = (ClusterId::OPEN, 0, 0);
        world
    }

    pub fn manifest(&self) -> Manifest {
        Manifest { electorate: self.electorate.clone(), observers: Observers::Off }
    }

    pub fn ids(&self) -> Vec<NodeId> {
        self.voters.iter().map(NodeKey::id).collect()
    }

    /// Who leads in the world's certificates.
    pub fn voters_leader(&self) -> NodeId {
        self.voters[0].id()
    }

    /// What the enclave would certify: the first voter leads, all took part.
    pub fn certificate(&self) -> Certificate {
        let (ids, leader) = (self.ids(), self.voters[0].id());
        Certificate {
            version: VERSION,
            cluster: self.electorate.cluster,
            electorate: self.electorate.digest(),
            enclave: self.keys.enclave(),
            term: Term(7),
            coordinator: leader,
            coordinator_generation: Generation(3),
            leader,
            leader_generation: Generation(3),
            active: ids.clone(),
            candidates: ids.clone(),
            signers: ids,
            skipped: Vec::new(),
            reason: Reason::Policy(Rule::Priority),
            previous: None,
            not_after: MADE + Duration::from_secs(1),
        }
    }

    /// The enclave's signature under whatever it is made to say.
    pub fn sign(&self, certificate: &Certificate) -> SignedCertificate {
        let bytes = codec::encode(certificate);
        let signature = self.keys.sign(&signing_input(DOMAIN, &bytes)).unwrap();
        SignedCertificate { bytes, signature }
    }

    pub fn document(&self) -> Vec<u8> {
        self.document_of(MADE)
    }

    fn document_of(&self, made: Wall) -> Vec<u8> {
        let claims = self.keys.claims();
        self.nsm.attest(made, &claims.public_key, &claims.user_data, None).unwrap()
    }

    /// The promise of one voter that names a certificate.
    pub fn promise(&self, voter: usize, signed: &SignedCertificate) -> Signed<Promise> {
        let certificate = signed.peek().unwrap();
        let promise = Promise {
            cluster: certificate.cluster,
            electorate: certificate.electorate,
            term: certificate.term,
            leader: certificate.leader,
            generation: certificate.leader_generation,
            voter: self.voters[voter].id(),
            seq: 1,
            challenge: Challenge::NONE,
            certificate: signed.digest(),
            signed_at: MADE,
        };
        Verified::sign(promise, &self.voters[voter]).into_signed()
    }

    /// The proof of a certificate with the promises of the first few voters.
    pub fn proof_of(&self, certificate: &Certificate, promises: usize) -> ProofFile {
        let certificate = self.sign(certificate);
        let promises = (0..promises).map(|voter| self.promise(voter, &certificate)).collect();
        let bundle = Bundle { certificate, document: self.document(), promises };
        let is_open = self.electorate.is_open();
        ProofFile { bundle, lease: None, electorate: is_open.then(|| self.electorate.clone()) }
    }

    /// The proof of its own certificate, and of the lease that the first few voters promised under these nonces.
    pub fn lease_proof(&self, voters: usize, nonces: Vec<Nonce>) -> ProofFile {
        self.lease_proof_of(&self.certificate(), voters, nonces)
    }

    /// The same for any certificate.
    pub fn lease_proof_of(&self, certificate: &Certificate, voters: usize, nonces: Vec<Nonce>) -> ProofFile {
        let term = certificate.term;
        let mut proof = self.proof_of(certificate, 0);
        let certificate = &proof.bundle.certificate;
        let promise = |voter: usize| {
            let promise = self.promise(voter, certificate).peek().unwrap();
            Verified::sign(
                Promise { seq: 9, challenge: Challenge::of(&nonces), ..promise },
                &self.voters[voter],
            )
        };
        let promises = (0..voters).map(|voter| promise(voter).into_signed()).collect();
        proof.lease = Some(LeaseProof { term, certificate: certificate.digest(), promises, nonces });
        proof
    }

    /// Two views that one voter signed for one term.
    pub fn equivocation(&self, voter: usize) -> Evidence {
        let id = self.voters[voter].id();
        let view = |eligible| View {
            cluster: self.electorate.cluster,
            electorate: self.electorate.digest(),
            enclave: self.keys.enclave(),
            term: Term(7),
            coordinator: id,
            coordinator_generation: Generation(1),
            voter: id,
            voter_generation: Generation(1),
            active: vec![id],
            eligible,
            preferred: None,
            accepted: None,
            signed_at: MADE,
        };
        let sign = |view: View| Verified::sign(view, &self.voters[voter]).into_signed();
        Evidence::new(sign(view(true)), sign(view(false)))
    }

    /// The proof of its own certificate with a document made at some time.
    pub fn proof_made(&self, made: Wall, promises: usize) -> ProofFile {
        let mut proof = self.proof(promises);
        proof.bundle.document = self.document_of(made);
        proof
    }

    /// The proof of its own certificate.
    pub fn proof(&self, promises: usize) -> ProofFile {
        self.proof_of(&self.certificate(), promises)
    }
}
