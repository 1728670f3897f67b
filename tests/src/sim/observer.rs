//! Sees everything, and checks the invariants of DESIGN §4 as things happen.
//!
//! I1, I2, I3 and I5 are looked at when an enclave has signed, I3 and I7 when a node adopts, I4 when a lease is gained or
//! prolonged, I6 when anything leaves a process, I11 by the world, I12 when work begins. I8 to I10 are demands on time: see
//! `ending`.

use nitro_elect::core::event::Notice;
use nitro_elect_protocol::certificate::{Certificate, SignedCertificate, VerifiedCertificate};
use nitro_elect_protocol::electorate::Electorate;
use nitro_elect_protocol::enclave_api::{Elect, Request};
use nitro_elect_protocol::ids::{ElectorateDigest, EnclaveId, NodeId, Term};
use nitro_elect_protocol::peer::PeerMessage;
use nitro_elect_protocol::seal::SealedView;
use nitro_elect_protocol::statement::Signed;
use nitro_elect_protocol::time::Boot;
use nitro_elect_protocol::view::View;
use std::collections::{BTreeMap, BTreeSet};

use super::clock::At;
use super::leases::{Belief, Led, List, Remains, intersect};
use super::recorder::Recorder;
use super::violation::{Invariant, Violation};

/// A certificate that an enclave of the world has signed.
#[derive(Debug)]
struct Issued {
    bytes: Vec<u8>,
    leader: NodeId,
    enclave: EnclaveId,
}

/// A view of an honest voter that left its process.
#[derive(Debug)]
struct Left {
    signed: Signed<View>,
    signed_at: At,
}

/// What is known of one machine's node.
#[derive(Debug)]
struct Node {
    id: NodeId,
    honest: bool,
    belief: Option<Belief>,
    /// What a process that ended left at work under the lease that it held.
    remains: Vec<Remains>,
    /// The leases it held.
    led: Vec<Led>,
    /// The highest term adopted in the present life.
    adopted: Term,
    /// The highest term in which an earlier life held a lease.
    led_before: Term,
}

/// Everything that the invariants speak of.
#[derive(Debug)]
pub struct Observer {
    /// The first violation seen.
    pub violation: Option<Violation>,
    /// Certificates issued.
    pub elections: u64,
    /// The last call by an honest node.
    pub called: Option<(usize, Term)>,
    /// The newest certificate that an honest node adopted: its term and leader.
    newest: (Term, Option<NodeId>),
    /// Whether a cloned enclave certified one term twice.
    pub forked: bool,
    /// The electorates that count here, the first one first.
    electorates: Vec<ElectorateDigest>,
    is_open: bool,
    nodes: Vec<Node>,
    issued: BTreeMap<(ElectorateDigest, Term), Vec<Issued>>,
    /// When certificates were issued, and the highest term up to then.
    highest: BTreeMap<ElectorateDigest, Vec<(At, Term)>>,
    left: BTreeMap<(NodeId, Term), Left>,
    /// Enclaves of which a second instance has the same keys.
    cloned: BTreeSet<EnclaveId>,
}

impl Observer {
    /// An observer of these nodes, all honest, whose manifests succeed each other.
    pub fn new(manifests: &[Electorate], nodes: impl Iterator<Item = NodeId>) -> Self {
        let node = |id| {
            let (led, adopted, led_before) = (Vec::new(), Term(0), Term(0));
            Node { id, honest: true, belief: None, remains: Vec::new(), led, adopted, led_before }
        };
        let nodes: Vec<Node> = nodes.map(node).collect();
        Observer {
            violation: None,
            elections: 0,
            called: None,
            newest: (Term(0), None),
            forked: false,
            electorates: manifests.iter().map(Electorate::digest).collect(),
            is_open: manifests.iter().any(Electorate::is_open),
            nodes,
            issued: BTreeMap::new(),
            highest: BTreeMap::new(),
            left: BTreeMap::new(),
            cloned: BTreeSet::new(),
        }
    }

    /// Terms are counted for each list of an open cluster; elsewhere for the cluster, across its manifests.
    fn place_of(&self, certificate: &Certificate) -> (ElectorateDigest, Term) {
        (if self.is_open { certificate.electorate } else { self.electorates[0] }, certificate.term)
    }

    /// This node is not to be believed, and nothing is demanded of it.
    pub fn is_byzantine(&mut self, node: usize) {
        self.nodes[node].honest = false;
    }

    /// This enclave has a second instance with the same keys from now on.
    pub fn is_cloned(&mut self, enclave: EnclaveId) {
        self.cloned.insert(enclave);
    }

    /// Whether the newest certificate that an honest node adopted names a Byzantine leader.
    pub fn is_usurped(&self) -> bool {
        self.nodes.iter().any(|node| Some(node.id) == self.newest.1 && !node.honest)
    }

    /// Whether a node is honest.
    pub fn is_honest(&self, node: usize) -> bool {
        self.nodes[node].honest
    }

    /// The lease that an honest node holds at this moment.
    pub fn lease_of(&self, node: usize, at: At) -> Option<Belief> {
        self.nodes[node].belief.filter(|belief| belief.until > at)
    }

    /// A node's process ended: what it believed is gone with it, but for what it left at work, if it did.
    pub fn ended(&mut self, at: At, node: usize, left_work: bool) {
        let own = &mut self.nodes[node];
        own.remains.retain(|remains| remains.belief.until > at);
        if let Some(belief) = own.belief.take().filter(|_| left_work) {
            let list = own.led.last().map(|led| led.list.clone()).unwrap_or_default();
            own.remains.push(Remains { died: at, belief, list });
        }
        self.nodes[node].adopted = Term(0);
        let led = self.nodes[node].led.iter().map(|led| led.term).max();
        self.nodes[node].led_before = led.unwrap_or_default();
    }

    /// What the process that ended then left behind is gone.
    pub fn is_gone(&mut self, node: usize, died: At) {
        self.nodes[node].remains.retain(|remains| remains.died != died);
    }

    /// A message leaves a process.
    pub fn sends(&mut self, at: At, node: usize, message: &PeerMessage, record: &Recorder) {
        if let PeerMessage::CallAnswer(answer) = message
            && let Ok(sealed) = &answer.outcome
        {
            self.view_leaves(at, node, sealed, record);
        }
    }

    /// A question leaves a process.
    pub fn asks(&mut self, at: At, node: usize, message: &Request, record: &Recorder) {
        if let Request::Elect(elect) = message {
            elect.views.iter().for_each(|sealed| self.view_leaves(at, node, sealed, record));
        }
    }

    fn view_leaves(&mut self, at: At, node: usize, sealed: &SealedView, record: &Recorder) {
        let Some(sealed) = record.behind(sealed) else { return };
        let Ok(view) = sealed.signed.peek() else { return };
        let own = &self.nodes[node];
        if own.honest && view.voter == own.id {
            self.i6_one_view_per_term(at, &view, &sealed.signed, sealed.at);
        }
    }

    /// An enclave has signed a certificate.
    pub fn certified(&mut self, at: At, signed: &SignedCertificate, elect: &Elect, record: &Recorder) {
        let Ok(certificate) = signed.peek() else {
            return self.broken(Invariant::I7, at, "an enclave signed what is no certificate".into());
        };
        if !self.is_over(&certificate) {
            return;
        }
        self.elections += 1;
        self.i1_i2_one_certificate_per_term(at, &certificate, signed);
        self.i3_later_elections_have_higher_terms(at, &certificate);
        self.i5_leaders_signed_and_are_seen_alive(at, &certificate, elect, record);
        let issued =
            Issued { bytes: signed.bytes.clone(), leader: certificate.leader, enclave: certificate.enclave };
        let place = self.place_of(&certificate);
        self.issued.entry(place).or_default().push(issued);
        let highest = self.highest.entry(place.0).or_default();
        let before = highest.last().map_or(Term(0), |(_, term)| *term);
        highest.push((at, before.max(certificate.term)));
    }

    /// Whether a certificate is over the electorate that counts here, or over any list of an open cluster.
    fn is_over(&self, certificate: &Certificate) -> bool {
        self.is_open || self.electorates.contains(&certificate.electorate)
    }

    /// A node tells something, over this list if its cluster is open.
    pub fn notices(&mut self, at: At, node: usize, notice: &Notice, list: List, when: impl Fn(Boot) -> At) {
        if !self.nodes[node].honest {
            return;
        }
        match notice {
            Notice::Called { term } => self.called = Some((node, *term)),
            Notice::Adopted { certificate, .. } => self.adopts(at, node, certificate),
            Notice::LeaseGained { term, until } | Notice::LeaseExtended { term, until } => {
                let belief = Belief { term: *term, until: when(*until) };
                self.i4_one_lease_at_any_instant(at, node, belief, &list);
                self.i5_each_life_leads_in_terms_of_its_own(at, node, *term);
                let own = &mut self.nodes[node];
                own.belief = Some(belief);
                if own.led.last().is_none_or(|led| led.term != *term || led.list != list) {
                    own.led.push(Led { term: *term, list });
                }
            }
            Notice::LeaseLost { .. } => self.nodes[node].belief = None,
            Notice::Equivocation(evidence) => {
                let accused = self.nodes.iter().find(|other| other.id == evidence.voter);
                if accused.is_some_and(|accused| accused.honest) {
                    let what = format!("an honest voter is shown to have signed twice in {}", evidence.term);
                    self.broken(Invariant::I6, at, what);
                }
            }
            _ => {}
        }
    }

    fn adopts(&mut self, at: At, node: usize, certificate: &VerifiedCertificate) {
        self.i7_only_genuine_certificates_are_adopted(at, certificate);
        let seen = self.nodes[node].adopted;
        if certificate.term <= seen {
            let what = format!("{} adopts term {} after {seen}", self.name(node), certificate.term);
            self.broken(Invariant::I3, at, what);
        }
        self.nodes[node].adopted = certificate.term;
        if certificate.term > self.newest.0 {
            self.newest = (certificate.term, Some(certificate.leader));
        }
    }

    fn i1_i2_one_certificate_per_term(
        &mut self,
        at: At,
        certificate: &Certificate,
        signed: &SignedCertificate,
    ) {
        let Some(issued) = self.issued.get(&self.place_of(certificate)) else { return };
        let same = issued.iter().find(|known| known.bytes == signed.bytes);
        let Some(known) = same.or(issued.first()) else { return };
        if same.is_none() && known.enclave == certificate.enclave && self.cloned.contains(&known.enclave) {
            self.forked = true;
        } else if known.leader != certificate.leader {
            let what = format!("term {} has two leaders", certificate.term);
            self.broken(Invariant::I2, at, what);
        } else if known.bytes != signed.bytes {
            let what = format!("term {} has two certificates", certificate.term);
            self.broken(Invariant::I1, at, what);
        }
    }

    /// An election has started at the latest when the first of its honest signers signed.
    fn i3_later_elections_have_higher_terms(&mut self, at: At, certificate: &Certificate) {
        let term = certificate.term;
        let signed = certificate.signers.iter().filter_map(|signer| self.left.get(&(*signer, term)));
        let Some(start) = signed.map(|left| left.signed_at).min() else { return };
        let Some(highest) = self.highest.get(&self.place_of(certificate).0) else { return };
        let before = highest.partition_point(|(issued, _)| *issued < start);
        let highest = before.checked_sub(1).map_or(Term(0), |last| highest[last].1);
        if highest >= term {
            let what =
                format!("term {term} was called at {start}, when term {highest} was certified already");
            self.broken(Invariant::I3, at, what);
        }
    }

    fn i5_leaders_signed_and_are_seen_alive(
        &mut self,
        at: At,
        certificate: &Certificate,
        elect: &Elect,
        record: &Recorder,
    ) {
        let (leader, term) = (certificate.leader, certificate.term);
        let opened = elect.views.iter().filter_map(|sealed| record.behind(sealed)?.signed.peek().ok());
        let views: BTreeMap<NodeId, View> = opened
            .filter(|view| certificate.signers.contains(&view.voter))
            .map(|view| (view.voter, view))
            .collect();
        let sees = |view: &&View| view.voter == leader || view.active.contains(&leader);
        let seen = views.values().filter(sees).count();
        let counted = certificate.signers.len();
        let distinct: BTreeSet<_> = certificate.signers.iter().collect();
        // Counted here, not asked of what is tested.
        let voters = elect.electorate.voters.len();
        let quorum = if self.is_open { voters } else { (voters + elect.electorate.f()) / 2 + 1 };
        if distinct.len() < quorum {
            let what = format!("term {term} was decided by {} of {quorum} views", distinct.len());
            self.broken(Invariant::I1, at, what);
        }
        let own = views.get(&leader).is_some_and(|view| view.term == term);
        if !own || 2 * seen <= counted {
            let what =
                format!("the leader of term {term} signed: {own}; {seen} of {counted} views saw it alive");
            self.broken(Invariant::I5, at, what);
        }
    }

    /// In an open cluster: among nodes whose lists have a node in common.
    fn i4_one_lease_at_any_instant(&mut self, at: At, node: usize, belief: Belief, list: &List) {
        if belief.until <= at {
            return;
        }
        let others = || (0..self.nodes.len()).filter(|other| *other != node && self.nodes[*other].honest);
        let same = |led: Option<&Led>| led.is_some_and(|led| intersect(&led.list, list));
        let rivals =
            |other: &usize| self.lease_of(*other, at).is_some() && same(self.nodes[*other].led.last());
        if let Some(other) = others().find(rivals) {
            let until = self.nodes[other].belief.map_or(at, |belief| belief.until);
            return self.two_leases(at, (node, belief), (&format!("{} still", self.name(other)), until));
        }
        let acts = |left: &&Remains| left.belief.until > at && intersect(&left.list, list);
        let left = others().find_map(|other| Some((other, self.nodes[other].remains.iter().find(acts)?)));
        if let Some((other, left)) = left {
            let (who, until) = (format!("work of {}, which is dead,", self.name(other)), left.belief.until);
            return self.two_leases(at, (node, belief), (&who, until));
        }
        let above = |led: &&Led| led.term > belief.term && intersect(&led.list, list);
        let higher = others().find_map(|other| Some((other, self.nodes[other].led.iter().find(above)?.term)));
        if let Some((other, led)) = higher {
            let what = format!(
                "{} leads in term {}, after {} did in term {led}",
                self.name(node),
                belief.term,
                self.name(other),
            );
            self.broken(Invariant::I4, at, what);
        }
    }

    fn two_leases(&mut self, at: At, (node, belief): (usize, Belief), (other, until): (&str, At)) {
        let (name, Belief { term, until: end }) = (self.name(node), belief);
        let what =
            format!("{name} holds the lease of term {term} until {end}, {other} holds one until {until}");
        self.broken(Invariant::I4, at, what);
    }

    /// The view that a leader signed in its election was this life's.
    fn i5_each_life_leads_in_terms_of_its_own(&mut self, at: At, node: usize, term: Term) {
        if term <= self.nodes[node].led_before {
            let what = format!("{} leads in term {term}, as an earlier life of it did", self.name(node));
            self.broken(Invariant::I5, at, what);
        }
    }

    fn i6_one_view_per_term(&mut self, at: At, view: &View, signed: &Signed<View>, signed_at: At) {
        let key = (view.voter, view.term);
        match self.left.get(&key) {
            Some(known) if known.signed.bytes() != signed.bytes() => {
                let what = format!(
                    "{} signed two views for term {}, at {} and {signed_at}",
                    view.voter.short(),
                    view.term,
                    known.signed_at
                );
                self.broken(Invariant::I6, at, what);
            }
            Some(_) => {}
            None => {
                self.left.insert(key, Left { signed: signed.clone(), signed_at });
            }
        }
    }

    fn i7_only_genuine_certificates_are_adopted(&mut self, at: At, certificate: &VerifiedCertificate) {
        let issued = self.issued.get(&self.place_of(certificate)).into_iter().flatten();
        let known = issued.into_iter().any(|issued| issued.bytes == certificate.signed().bytes);
        let genuine = self.is_over(certificate) && known;
        if !genuine {
            let what = format!("term {} was adopted, which no enclave certified", certificate.term);
            self.broken(Invariant::I7, at, what);
        }
    }

    fn name(&self, node: usize) -> String {
        format!("n{}", node + 1)
    }

    fn broken(&mut self, invariant: Invariant, at: At, what: String) {
        self.violation.get_or_insert(Violation { invariant, at, what });
    }
}
