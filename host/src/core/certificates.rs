//! The highest certificate this node has, how it is adopted, and how it is fetched from peers.

use nitro_elect_protocol::certificate::VerifiedCertificate;
use nitro_elect_protocol::crypto::Crypto;
use nitro_elect_protocol::electorate::Electorate;
use nitro_elect_protocol::ids::{ClusterId, ElectorateDigest, NodeId, Term};
use nitro_elect_protocol::peer::PeerMessage;
use nitro_elect_protocol::proof::Bundle;
use nitro_elect_protocol::time::{Boot, Now};
use std::collections::BTreeMap;
use std::sync::Arc;

use super::Core;
use super::event::{Action, Drop, Notice};

/// A certificate that counts, with what proves it.
#[derive(Clone, Debug)]
pub struct Held {
    /// The proof: its promises are added as they become known.
    pub bundle: Bundle,
    /// The witness of its checks.
    pub verified: Arc<VerifiedCertificate>,
    /// When it was adopted in this life; none if it was read from the disk.
    pub adopted_at: Option<Boot>,
}

impl Held {
    /// What this node's own disk held, if it was made over one of these electorates.
    pub fn own(bundle: Bundle, crypto: &dyn Crypto, electorates: &[Option<&Electorate>]) -> Option<Self> {
        let verified = electorates
            .iter()
            .flatten()
            .find_map(|known| bundle.verify_own(crypto, known).ok())
            .map(Arc::new)?;
        Some(Held { bundle, verified, adopted_at: None })
    }
}

/// The highest certificate and the state of fetching newer ones.
#[derive(Clone, Debug, Default)]
pub struct Certificates {
    highest: Option<Held>,
    asked: BTreeMap<NodeId, Boot>,
}

impl Certificates {
    /// Starts from what the disk held.
    pub fn new(own: Option<Held>) -> Self {
        Certificates { highest: own, asked: BTreeMap::new() }
    }

    /// The highest certified term known; zero before the first.
    pub fn highest_term(&self) -> Term {
        self.highest.as_ref().map_or(Term(0), |held| held.verified.term)
    }

    /// The highest certificate, of the present electorate or an earlier one.
    pub fn highest(&self) -> Option<&Held> {
        self.highest.as_ref()
    }

    /// The highest certificate, if it was made over this electorate: no promise rests on one of another.
    pub fn current(&self, electorate: &ElectorateDigest) -> Option<&Held> {
        self.highest.as_ref().filter(|held| held.verified.electorate == *electorate)
    }
}

impl Core {
    /// The highest certificate over the present electorate.
    pub(super) fn current(&self) -> Option<&Held> {
        self.certificates.current(&self.digest)
    }

    /// The certificate that this node last accepted. Across manifests it goes on; in an open cluster the list changes,
    /// and a certificate of another list counts as none.
    pub(super) fn accepted(&self) -> Option<&Held> {
        if self.open.is_some() { self.current() } else { self.certificates.highest() }
    }

    /// The highest certificate's bundle, to send along.
    pub(super) fn current_bundle(&self) -> Option<Bundle> {
        self.current().map(|held| held.bundle.clone())
    }

    /// The bundle, if it would be news to somebody whose highest term is `known`.
    pub(super) fn bundle_above(&self, known: Term) -> Option<Bundle> {
        self.current().filter(|held| held.verified.term > known).map(|held| held.bundle.clone())
    }

    /// Looks at a certificate from a peer, and adopts it if it is newer and everything about it is right.
    pub(super) fn consider(&mut self, from: NodeId, bundle: Bundle, now: Now) {
        let Ok(certificate) = bundle.certificate.peek() else { return self.dropped(from, Drop::Certificate) };
        if certificate.term <= self.certificates.highest_term() {
            return self.consider_promises(&bundle);
        }
        if certificate.electorate != self.digest {
            return self.of_another_electorate(from, certificate.cluster);
        }
        if from != self.me && !self.certificate_budget.spend(from, now.boot) {
            return self.dropped(from, Drop::TooMuch);
        }
        match bundle.verify(&*self.crypto, &self.electorate, now.wall) {
            Ok(verified) => self.adopt(bundle, verified, now),
            Err(_) => self.dropped(from, Drop::Certificate),
        }
    }

    /// A certificate over other voters: in an open cluster lists differ for a while, and so do manifests while the
    /// voters change.
    fn of_another_electorate(&mut self, from: NodeId, cluster: ClusterId) {
        if cluster != self.electorate.cluster {
            self.dropped(from, Drop::OtherCluster);
        } else if self.open.is_none() {
            self.dropped(from, Drop::OtherManifest);
        }
    }

    /// Keeps the promises of a bundle whose certificate is known, if there were none yet.
    fn consider_promises(&mut self, bundle: &Bundle) {
        let Some(held) = self.current() else { return };
        let wanted = held.bundle.promises.len() <= self.electorate.f()
            && held.bundle.certificate == bundle.certificate;
        if !wanted || bundle.promises.len() <= self.electorate.f() {
            return;
        }
        let checked = held.verified.check_promises(&*self.crypto, &self.electorate, &bundle.promises);
        if checked.is_ok() {
            self.keep_promises(bundle.promises.clone());
        }
    }

    /// Keeps checked promises with the highest certificate: they vouch for it when its document has expired.
    pub(super) fn keep_promises(
        &mut self,
        promises: Vec<nitro_elect_protocol::statement::Signed<nitro_elect_protocol::promise::Promise>>,
    ) {
        let digest = self.digest;
        let highest = self.certificates.highest.as_mut().filter(|held| held.verified.electorate == digest);
        let Some(held) = highest else { return };
        let first = held.bundle.promises.is_empty();
        held.bundle.promises = promises;
        if first {
            let bundle = held.bundle.clone();
            self.out.push(Action::Append(Box::new(bundle)));
        }
    }

    /// Makes a verified certificate of a higher term the one that counts.
    pub(super) fn adopt(&mut self, bundle: Bundle, verified: VerifiedCertificate, now: Now) {
        let occasion = self.occasion_of(&verified, now.boot);
        let verified = Arc::new(verified);
        let held = Held { bundle: bundle.clone(), verified: verified.clone(), adopted_at: Some(now.boot) };
        self.certificates.highest = Some(held);
        self.out.push(Action::Append(Box::new(bundle)));
        self.out.push(Action::Notice(Notice::Adopted { certificate: verified.clone(), occasion }));
        if verified.coordinator == verified.leader {
            self.voter.elected_itself(verified.leader);
        }
        if verified.leader != self.me {
            self.stepped_down = None;
        }
        self.awaited = None;
        self.follow_certificate(&verified, now);
        self.campaign_sees_certificate(&verified, now);
    }

    /// Asks a peer for its certificate, at most once an interval.
    pub(super) fn want_certificate(&mut self, from: NodeId, now: Boot) {
        let interval = self.timing.heartbeat() / 2;
        let asked = self.certificates.asked.get(&from);
        if asked.is_some_and(|asked| now.since(*asked) < interval) {
            return;
        }
        self.certificates.asked.insert(from, now);
        let above = self.certificates.highest_term();
        self.send(from, PeerMessage::WantCertificate { above });
    }

    /// Answers with the highest certificate if it is above what the peer has.
    pub(super) fn on_want_certificate(&mut self, from: NodeId, above: Term) {
        if let Some(bundle) = self.bundle_above(above) {
            self.send(from, PeerMessage::Certificate(Box::new(bundle)));
        }
    }
}
