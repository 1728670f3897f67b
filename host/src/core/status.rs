//! What a node knows and does now, for people and programs. Computed when asked: nothing here is a stored answer.

use nitro_elect_protocol::assurance::Assurance;
use nitro_elect_protocol::attestation::VerifiedEnclave;
use nitro_elect_protocol::certificate::VerifiedCertificate;
use nitro_elect_protocol::electorate::Electorate;
use nitro_elect_protocol::evidence::Evidence;
use nitro_elect_protocol::ids::{ElectorateDigest, Generation, NodeId, Term};
use nitro_elect_protocol::proof::{Bundle, LeaseProof};
use nitro_elect_protocol::time::{Boot, Now};
use std::sync::Arc;
use std::time::Duration;

use super::Core;
use super::event::Drop;

/// The leader, as long as a lease is known.
#[derive(Clone, Debug)]
pub struct LeaderStatus {
    /// Who it is.
    pub id: NodeId,
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: String,
    /// The term it leads in.
    pub term: Term,
    /// What is left of the lease, as this node knows it.
    pub lease_left: Duration,
    /// What its certificate is worth.
    pub assurance: Assurance,
}

/// Another node, as this one sees it.
#[derive(Clone, Debug)]
pub struct MemberStatus {
    /// Who it is.
    pub id: NodeId,
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: String,
    /// Whether it votes.
    pub voter: bool,
    /// Whether it is seen alive.
    pub active: bool,
    /// Whether a connection to it is open.
    pub connected: bool,
    /// Whether it would lead, as it says.
    pub eligible: bool,
    /// How long ago it showed life.
    pub silent_for: Option<Duration>,
    /// Its life, by its newest heartbeat.
    pub generation: Option<Generation>,
    /// The highest term it says it has a certificate of.
    pub highest_term: Term,
}

/// An enclave endpoint.
#[derive(Clone, Debug)]
pub struct EnclaveStatus {
    /// Its verified document's contents.
    pub verified: Option<VerifiedEnclave>,
    /// Why it is not accepted, or did not answer.
    pub error: Option<String>,
    /// How long ago it last answered `Health`.
    pub answered_ago: Option<Duration>,
}

/// Everything at one moment.
#[derive(Clone, Debug)]
pub struct Status {
    /// This node.
    pub id: NodeId,
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: String,
    /// Its life.
    pub generation: Generation,
    /// Whether it votes.
    pub voter: bool,
    /// Whether it would lead.
    pub eligible: bool,
    /// The electorate, whose digest is [`Status::digest`].
    pub electorate: Electorate,
    /// The electorate's digest.
    pub digest: ElectorateDigest,
    /// The leader while a lease is known.
    pub leader: Option<LeaderStatus>,
    /// The highest certified term known, or 0.
    pub term: Term,
    /// The term and end of the lease that this very node holds.
    pub held: Option<(Term, Boot)>,
    /// Voters that support this node's lease now.
    pub supporters: usize,
    /// This node first, then the others by key.
    pub members: Vec<MemberStatus>,
    /// The enclave endpoints, in the order they were given.
    pub enclaves: Vec<EnclaveStatus>,
    /// Whether the node works, or why not yet.
    pub ready: Result<(), String>,
    /// Where there is no leader: why.
    pub no_leader_because: Option<String>,
    /// The highest certificate with its proof.
    pub bundle: Option<Bundle>,
    /// The highest certificate.
    pub certificate: Option<Arc<VerifiedCertificate>>,
    /// The newest lease proof, and when it came.
    pub lease_proof: Option<(LeaseProof, Boot)>,
    /// Proof that voters are not honest.
    pub evidence: Vec<Evidence>,
    /// Messages dropped, by reason.
    pub drops: Vec<(Drop, u64)>,
}

impl Core {
    /// What this node knows and does now.
    pub fn status(&self, now: Now) -> Status {
        let held = self.holds_lease(now.boot);
        let leader = self.leader_status(now.boot);
        let certificate = self.current().map(|held| held.verified.clone());
        Status {
            id: self.me,
            name: self.name.clone(),
            address: self.address.clone(),
            generation: self.generation,
            voter: self.is_voter(),
            eligible: self.eligible(),
            electorate: self.electorate.clone(),
            digest: self.digest,
            no_leader_because: leader.is_none().then(|| self.why_no_leader(now)),
            leader,
            term: self.certificates.highest_term(),
            held,
            supporters: self.lead.as_ref().map_or(0, |lead| lead.supporters(self.timing, now.boot)),
            members: self.member_statuses(now.boot),
            enclaves: self.enclave_statuses(now.boot),
            ready: self.ready(now.boot),
            bundle: self.current_bundle(),
            certificate,
            lease_proof: self.followed.as_ref().map(|followed| (followed.proof.clone(), followed.as_of)),
            evidence: self.evidence.values().cloned().collect(),
            drops: self.drops.iter().map(|(why, count)| (*why, *count)).collect(),
        }
    }

    /// The leader, if the lease is known to run: this node's own, its promise to the leader, or a follower's news.
    fn leader_status(&self, now: Boot) -> Option<LeaderStatus> {
        let certificate = &self.current()?.verified;
        if self.resigned_leader().is_some() {
            return None;
        }
        let until = if certificate.leader == self.me {
            self.holds_lease(now)?.1
        } else {
            let hold = self.voter.live(now).filter(|hold| {
                hold.holder == certificate.leader && hold.generation == certificate.leader_generation
            });
            let promised = hold.filter(|_| self.voter.term() <= certificate.term).map(|hold| hold.until);
            promised.into_iter().chain(self.followed_until()).max().filter(|until| *until > now)?
        };
        let (name, address) = self.called(&certificate.leader);
        Some(LeaderStatus {
            id: certificate.leader,
            name,
            address,
            term: certificate.term,
            lease_left: until.since(now),
            assurance: certificate.assurance(),
        })
    }

    /// What people call a node, and where it is.
    fn called(&self, node: &NodeId) -> (String, String) {
        if *node == self.me {
            return (self.name.clone(), self.address.clone());
        }
        let member = self.members.get(node);
        member.map(|member| (member.name().into(), member.address().into())).unwrap_or_default()
    }

    fn member_statuses(&self, now: Boot) -> Vec<MemberStatus> {
        let own = MemberStatus {
            id: self.me,
            name: self.name.clone(),
            address: self.address.clone(),
            voter: self.is_voter(),
            active: true,
            connected: true,
            eligible: self.eligible(),
            silent_for: Some(Duration::ZERO),
            generation: Some(self.generation),
            highest_term: self.certificates.highest_term(),
        };
        let others = self.members.iter().map(|(id, member)| MemberStatus {
            id: *id,
            name: member.name().into(),
            address: member.address().into(),
            voter: self.electorate.contains(id),
            active: self.members.is_active(id),
            connected: member.connected,
            eligible: member.newest.is_some() && member.flags().eligible(),
            silent_for: member.silent_for(now),
            generation: member.newest.as_ref().map(|(heartbeat, _)| heartbeat.generation),
            highest_term: member.highest_term(),
        });
        std::iter::once(own).chain(others).collect()
    }

    fn enclave_statuses(&self, now: Boot) -> Vec<EnclaveStatus> {
        let status = |slot: &super::enclaves::Slot| EnclaveStatus {
            verified: slot.known.as_ref().map(|known| known.enclave.clone()),
            error: slot.error.clone(),
            answered_ago: slot.health.map(|(at, _)| now.since(at)),
        };
        self.enclaves.slots().iter().map(status).collect()
    }

    /// Ready once a promise from before the start has ended or was renewed to the present leader (DESIGN §3.6).
    fn ready(&self, now: Boot) -> Result<(), String> {
        if self.halted {
            return Err("stopped signing".into());
        }
        if self.voter.has_lost_votes() {
            return Err("its earlier votes are lost; waiting for what other voters tell".into());
        }
        let renewed = self.leader_status(now).is_some();
        match self.hold_at_start.filter(|until| *until > now && !renewed) {
            Some(until) => Err(format!(
                "holding the promise from before the start for {} ms more",
                until.since(now).as_millis()
            )),
            None => Ok(()),
        }
    }

    /// The most likely reason, in the order in which an operator can do something about it.
    fn why_no_leader(&self, now: Now) -> String {
        let (n, quorum) = (self.electorate.n(), self.electorate.quorum());
        let active = self.electorate.voters.iter().filter(|voter| self.members.is_active(&voter.key)).count();
        if self.open.is_some() && n == 1 {
            return "no other node is active; give -n PEER, or --alone to lead a list of this node alone"
                .into();
        }
        if active < quorum {
            return format!("{active} of {n} voters are active, {quorum} are needed");
        }
        if self.voter.has_lost_votes() {
            return "this node's earlier votes are lost; it must not vote yet".into();
        }
        let slots = self.enclaves.slots();
        if self.is_voter() && slots.iter().all(|slot| slot.known.is_none() || slot.error.is_some()) {
            let why = slots.iter().find_map(|slot| slot.error.clone()).unwrap_or("none answered yet".into());
            return format!("no enclave is reachable and accepted: {why}");
        }
        let wait = self.campaign.not_before.since(now.boot);
        if wait > Duration::ZERO {
            return format!(
                "this node calls again in {} ms; see the log for what the others said",
                wait.as_millis()
            );
        }
        "an election is due or under way".into()
    }
}
