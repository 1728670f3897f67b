//! What a node knows and does now, for people and programs. Computed when asked: nothing here is a stored answer.

use nitro_elect_protocol::assurance::Assurance;
use nitro_elect_protocol::attestation::VerifiedEnclave;
use nitro_elect_protocol::certificate::VerifiedCertificate;
use nitro_elect_protocol::electorate::Electorate;
use nitro_elect_protocol::evidence::Evidence;
use nitro_elect_protocol::heartbeat::Flags;
use nitro_elect_protocol::ids::{ElectorateDigest, Generation, NodeId, Term};
use nitro_elect_protocol::peer::Refusal;
use nitro_elect_protocol::proof::{Bundle, LeaseProof};
use nitro_elect_protocol::time::{Boot, Now, Wall};
use std::sync::Arc;
use std::time::Duration;

use super::Core;
use super::diagnosis;
use super::event::{CallFailure, Drop};
use super::known::Basis;
use super::timing::Timing;

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
    /// What was left of the lease when this was computed, as this node knows it.
    pub lease_left: Duration,
    /// When the lease ends unless it is renewed, as this node knows it.
    pub until: Boot,
    /// What this node knows it from.
    pub basis: Basis,
    /// When that was: its lease counts from there.
    pub as_of: Boot,
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
    /// What speaks against it, as it says.
    pub flags: Flags,
    /// How long ago it showed life.
    pub silent_for: Option<Duration>,
    /// Its life, by its newest heartbeat.
    pub generation: Option<Generation>,
    /// The highest term it says it has a certificate of.
    pub highest_term: Term,
    /// Its wall clock less the cluster's, in milliseconds, if it was heard.
    pub clock_offset_ms: Option<i64>,
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
    /// Where it is. Only the shell knows; the rules leave it empty.
    pub place: String,
    /// What the network said when it did not answer. Only the shell knows.
    pub silent_because: Option<String>,
}

/// A voter's promise while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromiseStatus {
    /// To whom, by name.
    pub holder: String,
    /// For how long.
    pub left: Duration,
}

/// The last election of this node's that came to nothing, since the newest certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureStatus {
    /// How long ago.
    pub ago: Duration,
    /// Why.
    pub why: CallFailure,
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
    /// Whether it must not go on under its key.
    pub halted: bool,
    /// Whether its earlier votes are lost and nothing has taken their place yet.
    pub votes_lost: bool,
    /// Why its record could not be written, the last time it was to be. Only the shell knows.
    pub write_error: Option<String>,
    /// Whether a node of an open cluster may lead a list of itself alone.
    pub alone: bool,
    /// The promise that this voter has given, while it runs.
    pub promise: Option<PromiseStatus>,
    /// What is left of a promise from before the start, unless it was renewed since.
    pub hold_at_start: Option<Duration>,
    /// How much longer this voter signs nothing for its own calls.
    pub back_off: Option<Duration>,
    /// How much longer this voter waits before it calls.
    pub calls_in: Option<Duration>,
    /// Its last election that came to nothing, since the newest certificate.
    pub last_failure: Option<FailureStatus>,
    /// This node's wall clock less the cluster's, in milliseconds.
    pub clock_offset_ms: i64,
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
            halted: self.halted,
            votes_lost: self.voter.has_lost_votes(),
            write_error: None,
            alone: self.open.as_ref().is_some_and(|open| open.alone),
            promise: self.promise_status(now.boot),
            hold_at_start: self.hold_left(now.boot),
            back_off: self.own_back_off(now.boot),
            calls_in: self.is_voter().then(|| self.campaign.not_before.since(now.boot)),
            last_failure: self
                .campaign
                .last_failure
                .clone()
                .map(|(at, why)| FailureStatus { ago: now.boot.since(at), why }),
            clock_offset_ms: offset_ms(now.wall, self.members.cluster_clock(&self.electorate, now)),
            leader,
            term: self.certificates.highest_term(),
            held,
            supporters: self.lead.as_ref().map_or(0, |lead| lead.supporters(self.timing, now.boot)),
            members: self.member_statuses(now),
            enclaves: self.enclave_statuses(now.boot),
            ready: self.ready(now.boot),
            bundle: self.current_bundle(),
            certificate,
            lease_proof: self.followed.as_ref().map(|followed| (followed.proof.clone(), followed.as_of)),
            evidence: self.evidence.values().cloned().collect(),
            drops: self.drops.iter().map(|(why, count)| (*why, *count)).collect(),
        }
    }

    /// The leader, if the lease is known to run.
    fn leader_status(&self, now: Boot) -> Option<LeaderStatus> {
        let known = self.lease_known(now)?;
        let certificate = &self.current()?.verified;
        let (name, address) = self.called(&known.leader);
        Some(LeaderStatus {
            id: known.leader,
            name,
            address,
            term: known.term,
            lease_left: known.until.since(now),
            until: known.until,
            basis: known.basis,
            as_of: known.as_of,
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

    fn member_statuses(&self, now: Now) -> Vec<MemberStatus> {
        let clock = self.members.cluster_clock(&self.electorate, now);
        let now_there = |wall: Wall, arrived: Boot| wall + now.boot.since(arrived);
        let own = MemberStatus {
            id: self.me,
            name: self.name.clone(),
            address: self.address.clone(),
            voter: self.is_voter(),
            active: true,
            connected: true,
            eligible: self.eligible(),
            flags: self.flags,
            silent_for: Some(Duration::ZERO),
            generation: Some(self.generation),
            highest_term: self.certificates.highest_term(),
            clock_offset_ms: Some(offset_ms(now.wall, clock)),
        };
        let others = self.members.iter().map(|(id, member)| MemberStatus {
            id: *id,
            name: member.name().into(),
            address: member.address().into(),
            voter: self.electorate.contains(id),
            active: self.members.is_active(id),
            connected: member.connected,
            eligible: member.newest.is_some() && member.flags().eligible(),
            flags: member.flags(),
            silent_for: member.silent_for(now.boot),
            generation: member.newest.as_ref().map(|(heartbeat, _)| heartbeat.generation),
            highest_term: member.highest_term(),
            clock_offset_ms: member
                .newest
                .as_ref()
                .map(|(heartbeat, arrived)| offset_ms(now_there(heartbeat.wall, *arrived), clock)),
        });
        std::iter::once(own).chain(others).collect()
    }

    fn enclave_statuses(&self, now: Boot) -> Vec<EnclaveStatus> {
        let status = |slot: &super::enclaves::Slot| EnclaveStatus {
            verified: slot.known.as_ref().map(|known| known.enclave.clone()),
            error: slot.error.clone(),
            answered_ago: slot.health.map(|(at, _)| now.since(at)),
            place: String::new(),
            silent_because: None,
        };
        self.enclaves.slots().iter().map(status).collect()
    }

    /// Ready once a promise from before the start has ended or was renewed to the present leader (DESIGN §3.6); an
    /// observer, which promises nothing, once it has verified a certificate.
    fn ready(&self, now: Boot) -> Result<(), String> {
        if self.halted {
            return Err("stopped signing".into());
        }
        if self.voter.has_lost_votes() {
            return Err("its earlier votes are lost; waiting for what other voters tell".into());
        }
        if !self.is_voter() && self.current().is_none() {
            return Err("it observes, and has verified no certificate yet".into());
        }
        match self.hold_left(now) {
            Some(left) => {
                Err(format!("holding the promise from before the start for {} ms more", left.as_millis()))
            }
            None => Ok(()),
        }
    }

    /// What is left of a promise from before the start that was not renewed since. That it is to the present leader says
    /// nothing: the certificate on disk may name this node itself, while another leads that it has not heard of yet.
    fn hold_left(&self, now: Boot) -> Option<Duration> {
        let hold = self.voter.live(now).filter(|hold| hold.from_before)?;
        Some(hold.until.since(now))
    }

    fn promise_status(&self, now: Boot) -> Option<PromiseStatus> {
        let hold = self.voter.live(now)?;
        let name = self.called(&hold.holder).0;
        let holder = if name.is_empty() { hold.holder.short() } else { name };
        Some(PromiseStatus { holder, left: hold.until.since(now) })
    }

    fn own_back_off(&self, now: Boot) -> Option<Duration> {
        match self.would_vote(self.me, self.generation, now)? {
            Refusal::BackOff { ms } => Some(Duration::from_millis(ms)),
            _ => None,
        }
    }
}

impl Status {
    /// The newest lease proof, while the lease that it tells of runs as far as this node knows.
    pub fn live_proof(&self, now: Boot) -> Option<&LeaseProof> {
        let (proof, as_of) = self.lease_proof.as_ref()?;
        let usable = Timing { lease: self.electorate.lease() }.usable();
        (*as_of + usable > now && self.leader.is_some()).then_some(proof)
    }

    /// Where there is no leader: the first cause, in a sentence.
    pub fn no_leader_because(&self) -> Option<String> {
        let causes = self.leader.is_none().then(|| diagnosis::causes(self));
        causes?.into_iter().next().map(|cause| cause.text)
    }

    /// Where this voter can call upon no enclave, as far as it knows: why not, in a sentence.
    pub fn no_enclave_because(&self) -> Option<String> {
        diagnosis::enclaves(self).into_iter().next().map(|cause| cause.text)
    }
}

/// How far a wall clock is ahead of another; behind it if negative.
fn offset_ms(clock: Wall, other: Wall) -> i64 {
    let distance = i64::try_from(clock.0.abs_diff(other.0)).unwrap_or(i64::MAX);
    if clock < other { -distance } else { distance }
}
