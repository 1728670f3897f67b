//! The node's rules, without sockets, clocks or threads: gossip, election and lease as one state machine that
//! takes events and the time and returns actions (DESIGN §3).
//!
//! The product's node and the simulator drive the same code.
//!
//! # Driving
//!
//! A driver **must**
//! * read both clocks after an event happened and hand them in with it; `CLOCK_BOOTTIME` must not run backwards;
//! * carry out the actions of one list in their order, and all of them before it hands in the next event;
//! * sync what [`Action::Persist`] gives before it goes on in the list; if that fails, drop the rest of the list
//!   and hand in [`Event::NotPersisted`];
//! * answer every [`Action::Ask`] with exactly one [`Event::EnclaveAnswered`], in bounded time;
//! * hand in [`Event::Received`] only for peers whose key the channel has proven;
//! * start each life with a generation that was synced before.
//!
//! It **should** hand in [`Event::Tick`] at [`Core::next_wake`]. Late, doubled and dropped ticks cost time, never
//! safety: every event looks at the time. It **may** drop, delay, double and reorder messages.
//!
//! It **must not** act for the node when [`Action::Halt`] was given.

pub mod attested;
mod backoff;
mod budget;
mod campaign;
mod certificates;
mod commands;
pub mod config;
mod detector;
pub mod diagnosis;
pub mod durable;
mod enclaves;
mod equivocation;
pub mod event;
mod follow;
mod fork;
mod gossip;
mod handover;
pub mod known;
mod lead;
mod members;
mod nonces;
pub mod occasion;
mod open;
mod promising;
mod recovery;
mod resignation;
mod resigns;
mod seen;
pub mod status;
mod terms;
pub mod timing;
mod voter;
mod work;

use nitro_elect_protocol::crypto::{Crypto, Signer};
use nitro_elect_protocol::electorate::Electorate;
use nitro_elect_protocol::evidence::Evidence;
use nitro_elect_protocol::heartbeat::Flags;
use nitro_elect_protocol::ids::{ElectorateDigest, EnclaveId, Generation, NodeId, Nonce, Term};
use nitro_elect_protocol::limits::OPEN_MEMBERS_MAX;
use nitro_elect_protocol::peer::PeerMessage;
use nitro_elect_protocol::time::{Boot, Now};
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use budget::Budget;
use campaign::Campaign;
use certificates::{Certificates, Held};
use config::{Config, Membership, Predecessor};
use enclaves::Enclaves;
use event::{Action, Drop, Event, HaltReason, Notice};
use follow::Followed;
use gossip::Gossip;
use lead::Lead;
use members::Members;
use occasion::Tenure;
use open::Open;
use recovery::Recovery;
use seen::Seen;
use timing::Timing;
use voter::Voter;
use work::Work;

/// Heartbeats and resignations whose signature a peer may have checked, a second: a voter's own, and every
/// member's once an interval.
const HEARTBEATS_A_SECOND: u32 = 1024;
/// Certificates, proofs and evidence that a peer may have checked, a second.
const CERTIFICATES_A_SECOND: u32 = 32;
/// Unknown attestation documents that a peer may have checked, a second (DESIGN §3.2).
const DOCUMENTS_A_SECOND: u32 = 4;

/// A view was signed for this term, and no certificate has come of it yet.
#[derive(Clone, Debug, Hash)]
struct Awaited {
    term: Term,
    enclave: EnclaveId,
    document: Vec<u8>,
    due: Boot,
}

/// One node's rules and everything they remember. See the module's *Driving* section.
pub struct Core {
    me: NodeId,
    name: String,
    address: String,
    generation: Generation,
    key: Arc<dyn Signer>,
    crypto: Arc<dyn Crypto>,
    rng: StdRng,
    fanout: usize,
    timing: Timing,
    electorate: Electorate,
    digest: ElectorateDigest,
    open: Option<Open>,
    members: Members,
    gossip: Gossip,
    flags: Flags,
    stepped_down: Option<Boot>,
    /// When enclaves may be asked next whether a hand-over could succeed.
    next_probe: Boot,
    voter: Voter,
    recovery: Option<Recovery>,
    certificates: Certificates,
    enclaves: Enclaves,
    campaign: Campaign,
    awaited: Option<Awaited>,
    lead: Option<Lead>,
    work: Work,
    resigned_up_to: Term,
    followed: Option<Followed>,
    /// How the newest certificate's lease ended, for people.
    tenure: Option<Tenure>,
    /// Nonces to be put under the next renewal, and the peers that asked.
    nonces: BTreeMap<Nonce, BTreeSet<NodeId>>,
    evidence: BTreeMap<NodeId, Evidence>,
    heartbeat_budget: Budget,
    certificate_budget: Budget,
    document_budget: Budget,
    documents_seen: Seen,
    drops: BTreeMap<Drop, u64>,
    started: Boot,
    /// The latest time that was handed in.
    seen: Boot,
    halted: bool,
    out: Vec<Action>,
}

impl Core {
    /// Starts a life. Nothing is sent before the first event.
    pub fn new(config: Config, key: Box<dyn Signer>, crypto: Arc<dyn Crypto>, now: Now) -> Core {
        let me = key.id();
        let (electorate, open, observers) = match config.membership {
            Membership::Manifest { electorate, observers } => (*electorate, None, observers),
            Membership::Open { template, alone } => {
                let list = open::list_of_one(&template, me, &config.address);
                (list, Some(Open::new(alone)), config::Observers::Off)
            }
        };
        let timing = Timing { lease: electorate.lease() };
        let members = match open {
            Some(_) => Members::open(me, OPEN_MEMBERS_MAX, timing),
            None => Members::listed(me, &electorate, observers, timing),
        };
        let predecessor = config.predecessor.as_ref();
        let known = [Some(&electorate), predecessor.map(|predecessor| &*predecessor.electorate)];
        let own = config.newest.and_then(|bundle| Held::own(bundle, &*crypto, &known));
        let voter = Voter::new(config.record, timing, predecessor.and_then(Predecessor::left), now.boot);
        let newest = own.as_ref().map(|held| (held.verified.term, held.verified.leader));
        let leases = (voter.lease_at_start(), timing.lease);
        let work = Work::at_start(&config.record, newest, leases, now.boot);
        let evidence = equivocation::recall(config.evidence, &*crypto, electorate.cluster);
        let recovery = voter.has_lost_votes().then(|| Recovery::new(now.boot + timing.lease));
        Core {
            me,
            name: config.name,
            address: config.address,
            generation: config.record.generation,
            key: Arc::from(key),
            crypto,
            rng: StdRng::from_seed(config.seed),
            fanout: config.fanout,
            timing,
            digest: electorate.digest(),
            electorate,
            open,
            members,
            gossip: Gossip::starting(now.boot),
            flags: Flags::default(),
            stepped_down: None,
            next_probe: now.boot,
            voter,
            recovery,
            certificates: Certificates::new(own),
            enclaves: Enclaves::new(config.enclaves),
            campaign: Campaign::default(),
            awaited: None,
            lead: None,
            work,
            resigned_up_to: Term(0),
            followed: None,
            tenure: None,
            nonces: BTreeMap::new(),
            evidence,
            heartbeat_budget: Budget::new(HEARTBEATS_A_SECOND),
            certificate_budget: Budget::new(CERTIFICATES_A_SECOND),
            document_budget: Budget::new(DOCUMENTS_A_SECOND),
            documents_seen: Seen::default(),
            drops: BTreeMap::new(),
            started: now.boot,
            seen: now.boot,
            halted: false,
            out: Vec::new(),
        }
    }

    /// Takes in one event and the time; returns what to do, in order.
    pub fn handle(&mut self, event: Event, now: Now) -> Vec<Action> {
        if self.halted {
            return Vec::new();
        }
        self.seen = self.seen.max(now.boot);
        let now = Now { boot: self.seen, wall: now.wall };
        self.settle(now);
        self.apply(event, now);
        self.settle(now);
        self.advance(now);
        std::mem::take(&mut self.out)
    }

    /// When to hand in a tick at the latest.
    pub fn next_wake(&self) -> Boot {
        let now = self.seen;
        let soon = now + std::time::Duration::from_millis(1);
        let wakes = [
            Some(self.gossip.due),
            self.members.next_silence(),
            self.campaign_wake(now),
            self.lead_wake(),
            self.enclaves.next_due(),
            self.awaited.as_ref().map(|awaited| awaited.due),
            self.recovery.as_ref().map(Recovery::wake),
            self.stepped_down,
            self.work.left_until(),
        ];
        wakes.into_iter().flatten().min().unwrap_or(soon).max(soon)
    }

    /// Lets end what time has ended.
    fn settle(&mut self, now: Now) {
        self.voter.settle(now.boot);
        self.settle_members(now.boot);
        self.settle_list(now);
        self.settle_eligibility(now.boot);
        self.settle_work(now);
        self.settle_tenure(now);
    }

    /// Does what is due.
    fn advance(&mut self, now: Now) {
        self.advance_enclaves(now);
        self.advance_recovery(now);
        self.advance_campaign(now);
        self.advance_lead(now);
        self.advance_awaited(now);
        self.advance_gossip(now);
    }

    fn apply(&mut self, event: Event, now: Now) {
        match event {
            Event::Tick => {}
            Event::PeerUp { peer, reached_at } => self.on_peer_up(peer, reached_at, now),
            Event::PeerDown { peer } => self.on_peer_down(peer),
            Event::Received { from, message } => self.on_message(from, message, now),
            Event::EnclaveAnswered { request, answer } => self.on_enclave(request, answer, now),
            Event::NotPersisted => self.on_not_persisted(now),
            Event::Command(command) => self.on_command(command, now),
        }
    }

    fn on_message(&mut self, from: NodeId, message: PeerMessage, now: Now) {
        if self.members.admit(from).is_none() {
            return self.dropped(from, Drop::Stranger);
        }
        if message.check_bounds().is_err() {
            return self.dropped(from, Drop::Bound);
        }
        match message {
            PeerMessage::Digest(entries) => self.on_digest(from, &entries),
            PeerMessage::Delta(delta) => self.on_delta(from, delta, now),
            PeerMessage::PreVote(message) => self.on_prevote(from, *message, now),
            PeerMessage::PreVoteAnswer(answer) => self.on_prevote_answer(from, *answer, now),
            PeerMessage::Call(call) => self.on_call(from, *call, now),
            PeerMessage::CallAnswer(answer) => self.on_call_answer(from, *answer, now),
            PeerMessage::Renew(renew) => self.on_renew(from, renew, now),
            PeerMessage::RenewAnswer(answer) => self.on_renew_answer(from, *answer, now),
            PeerMessage::WantCertificate { above } => self.on_want_certificate(from, above),
            PeerMessage::Certificate(bundle) => self.consider(from, *bundle, now),
            PeerMessage::Resign(resign) => self.on_resign(from, resign, now),
            PeerMessage::Lease(proof) => self.on_lease(from, *proof, now),
            PeerMessage::Nonces(nonces) => self.on_nonces(Some(from), nonces, now),
            PeerMessage::Evidence(piece) => self.hear_evidence(from, *piece, now),
            PeerMessage::UnknownVersion { .. } => self.dropped(from, Drop::Unasked),
        }
    }

    fn on_peer_up(&mut self, peer: NodeId, reached_at: Option<String>, now: Now) {
        let Some(member) = self.members.admit(peer) else { return };
        member.connected = true;
        if reached_at.is_some() {
            member.reached_at = reached_at;
        }
        self.greet(peer);
        self.tell_evidence(peer);
        self.prevote_sees_up(peer);
        self.campaign_sees_up();
        self.call_sees_up(peer);
        self.renew_to(peer);
        self.settle_list(now);
    }

    fn on_peer_down(&mut self, peer: NodeId) {
        if let Some(member) = self.members.admit(peer) {
            member.connected = false;
            member.reached_at = None;
        }
        self.prevote_sees_closed(peer);
        self.call_sees_closed(peer);
    }

    /// The disk failed: what was to be kept is not, so nothing that rests on it counts.
    fn on_not_persisted(&mut self, now: Now) {
        self.voter.not_synced();
        if let Some(lead) = &mut self.lead {
            lead.unsupported(&self.me);
        }
        self.campaign_not_persisted(now);
    }

    fn is_voter(&self) -> bool {
        self.electorate.contains(&self.me)
    }

    /// Whether this node would lead.
    fn eligible(&self) -> bool {
        self.flags.eligible() && !self.voter.has_lost_votes()
    }

    /// The voters but this node.
    fn voting_peers(&self) -> impl Iterator<Item = NodeId> {
        self.electorate.voters.iter().map(|voter| voter.key).filter(|key| *key != self.me)
    }

    /// The voters to whom no connection is open: they cannot be expected to answer.
    fn unconnected_voters(&self) -> BTreeSet<NodeId> {
        self.voting_peers()
            .filter(|peer| self.members.get(peer).is_none_or(|member| !member.connected))
            .collect()
    }

    /// The highest term that is believed now.
    fn believable(&self, now: Now) -> Term {
        let clock = self.members.cluster_clock(&self.electorate, now);
        terms::highest_believable(self.certificates.highest_term(), clock, self.leaderless_for(now.boot))
    }

    fn send(&mut self, to: NodeId, message: PeerMessage) {
        self.out.push(Action::Send { to, message });
    }

    /// To all voters, and to whoever else is connected.
    fn broadcast(&mut self, message: PeerMessage) {
        let others = self.members.iter().filter(|(_, member)| member.connected).map(|(node, _)| *node);
        let everybody: BTreeSet<NodeId> = self.voting_peers().chain(others).collect();
        for node in everybody {
            self.send(node, message.clone());
        }
    }

    /// Has the record written before whatever is pushed after this.
    fn persist(&mut self) {
        self.out.extend(self.voter.unsynced().map(Action::Persist));
    }

    fn dropped(&mut self, from: NodeId, why: Drop) {
        *self.drops.entry(why).or_default() += 1;
        self.out.push(Action::Notice(Notice::Dropped { from, why }));
    }

    fn halt(&mut self, reason: HaltReason) {
        self.halted = true;
        self.out.push(Action::Halt(reason));
    }
}
