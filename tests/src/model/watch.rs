//! The invariants, looked at as things happen: I1 to I3 and I5 when an enclave has signed, I3 and I7 when a node
//! adopts, I4 when a lease is gained or prolonged, I6 when a view leaves and when a voter is accused.

use nitro_elect_enclave::service::Service;
use nitro_elect_protocol::codec;
use nitro_elect_protocol::enclave_api::{Elect, Request, Response};
use nitro_elect_protocol::ids::{CertificateDigest, NodeId, Term};
use nitro_elect_protocol::peer::PeerMessage;
use nitro_elect_protocol::proof::Bundle;
use nitro_elect_protocol::seal::SealedView;
use nitro_elect_protocol::statement::Signed;
use nitro_elect_protocol::time::Boot;
use nitro_elect_protocol::view::View;
use std::sync::Arc;

use super::Model;
use super::cluster::{id, now};
use super::fold::{Fold, Print};
use super::local::Mail;
use super::run::Run;
use super::soup::{Issued, Item};
use super::state::{Left, State};
use crate::sim::dice::Dice;
use crate::sim::identities::{Primitives, SimulatedAttestor};
use crate::sim::standin::{self, StandIn};
use crate::sim::violation::{Invariant, Violation};

/// An enclave's answer, with its fingerprint.
pub struct Answered {
    /// The answer.
    pub answer: Response,
    /// Its fingerprint.
    pub print: Print,
}

/// The view behind sealed bytes.
fn view_behind(sealed: &SealedView) -> Option<(View, Print)> {
    let bytes = standin::behind(sealed)?;
    let signed: Signed<View> = codec::decode(bytes).ok()?;
    Some((signed.peek().ok()?, Fold::of(signed.bytes())))
}

impl Model {
    /// Whether an honest node believes to hold the lease now.
    pub fn holds(&self, state: &State, node: usize) -> bool {
        state.nodes[node].belief.is_some_and(|(_, until)| until > now(state.tick).boot)
    }

    /// The elections that an enclave remembers, by rising terms.
    pub fn elections_of(&self, state: &State, enclave: usize) -> Vec<u32> {
        let own = state.issued.iter().copied().filter(|issued| self.issued.get(*issued).enclave == enclave);
        let mut own: Vec<u32> = own.collect();
        own.sort_by_key(|issued| self.issued.get(*issued).certificate.term);
        own.truncate((self.cluster.parts.memory)(own.len()));
        own
    }

    /// The honest views for a call of a Byzantine voter's.
    pub fn views_for(
        &self,
        state: &State,
        by: usize,
        term: Term,
        enclave: usize,
    ) -> impl Iterator<Item = (usize, SealedView)> {
        let wanted = (by, term, enclave);
        state.soup.iter().filter_map(move |item| match &*self.items.get(*item) {
            Item::View { of, to, term, enclave, sealed } if (*to, *term, *enclave) == wanted => {
                Some((*of, sealed.clone()))
            }
            _ => None,
        })
    }
}

impl Run<'_> {
    /// The product's service counts, with what this enclave remembers. It is built anew from the elections that it
    /// certified: nothing else is in its memory, and refusals leave nothing there.
    pub(super) fn count(&mut self, enclave: usize, elect: Elect) -> Result<Arc<Answered>, Violation> {
        let remembered = self.model.elections_of(&self.state, enclave);
        let asked =
            Fold::of(&(enclave, &remembered, elect.term, elect.coordinator, elect.generation, &elect.views));
        let known = self.model.counted.get(&asked).cloned();
        let answered = known.unwrap_or_else(|| {
            let answer = self.model.ask_service(enclave, &remembered, &elect);
            let print = Fold::of(&codec::encode(&answer)[..]);
            let answered = Arc::new(Answered { answer, print });
            self.model.counted.insert(asked, answered.clone());
            answered
        });
        if let Response::Elected { .. } = &answered.answer {
            self.certified(enclave, elect, &answered)?;
        }
        Ok(answered)
    }

    fn certified(&mut self, enclave: usize, elect: Elect, answered: &Answered) -> Result<(), Violation> {
        let Response::Elected { certificate: signed, .. } = &answered.answer else { return Ok(()) };
        let Ok(certificate) = signed.peek() else {
            return Err(self.violated(Invariant::I7, "an enclave signed what is no certificate".into()));
        };
        let term = certificate.term;
        for known in &self.state.issued {
            let known = self.model.issued.get(*known);
            if known.certificate.term == term && known.certificate.leader != certificate.leader {
                return Err(self.violated(Invariant::I2, format!("term {term} has two leaders")));
            }
            if known.certificate.term == term && known.signed.bytes != signed.bytes {
                return Err(self.violated(Invariant::I1, format!("term {term} has two certificates")));
            }
        }
        let views: Vec<View> = elect.views.iter().filter_map(|sealed| Some(view_behind(sealed)?.0)).collect();
        let counted: Vec<&View> =
            views.iter().filter(|view| certificate.signers.contains(&view.voter)).collect();
        let leader = certificate.leader;
        let seen =
            counted.iter().filter(|view| view.voter == leader || view.active.contains(&leader)).count();
        if 2 * seen <= certificate.signers.len() || !counted.iter().any(|view| view.voter == leader) {
            let what = format!("the leader of term {term} did not sign or is not seen alive");
            return Err(self.violated(Invariant::I5, what));
        }
        // An election has started at the latest when the first of its honest signers signed.
        let signed_by = |left: &&Left| left.term == term && certificate.signers.contains(&id(left.voter));
        let before = self.state.left.iter().filter(signed_by).map(|left| left.certified).min();
        if let Some(before) = before.filter(|before| *before >= term) {
            let what = format!("term {term} was called when term {before} was certified already");
            return Err(self.violated(Invariant::I3, what));
        }
        self.keep_certificate(enclave, elect, certificate, signed.clone());
        Ok(())
    }

    fn keep_certificate(
        &mut self,
        enclave: usize,
        elect: Elect,
        certificate: nitro_elect_protocol::certificate::Certificate,
        signed: nitro_elect_protocol::certificate::SignedCertificate,
    ) {
        let print = Fold::of(&("certificate", &signed.bytes));
        let document = self.model.cluster.enclaves[enclave].document.clone();
        let number = self.model.issued.number(print, || {
            let bundle = Bundle { certificate: signed.clone(), document, promises: Vec::new() };
            let mail = Arc::new(Mail::new(PeerMessage::Certificate(Box::new(bundle))));
            Issued { enclave, elect, certificate, signed, mail }
        });
        if !self.state.issued.contains(&number) {
            self.state.issued.push(number);
            self.state.note(print);
        }
        self.model.figures.certificates += 1;
    }

    /// A view of an honest voter's own leaves its process.
    pub(super) fn view_leaves(&mut self, node: usize, sealed: &SealedView) -> Result<(), Violation> {
        let Some((view, bytes)) = view_behind(sealed).filter(|(view, _)| view.voter == id(node)) else {
            return Ok(());
        };
        let term = view.term;
        if let Some(known) = self.state.left.iter().find(|left| left.voter == node && left.term == term) {
            if known.bytes == bytes {
                return Ok(());
            }
            let what = format!("n{} signed two views for term {term}", node + 1);
            return Err(self.violated(Invariant::I6, what));
        }
        let certified =
            self.state.issued.iter().map(|issued| self.model.issued.get(*issued).certificate.term);
        let left = Left { voter: node, term, bytes, certified: certified.max().unwrap_or_default() };
        self.state.left.push(left);
        self.state.note(Fold::of(&("left", left)));
        Ok(())
    }

    /// A Byzantine caller keeps what was signed for it.
    pub(super) fn byzantine_keeps(&mut self, of: usize, to: usize, sealed: &SealedView) {
        let Some((view, _)) = view_behind(sealed).filter(|_| self.model.cluster.byzantine().contains(&to))
        else {
            return;
        };
        let Some(enclave) = self.model.cluster.enclave(&view.enclave) else { return };
        let (term, sealed) = (view.term, sealed.clone());
        self.put(Fold::of(&("view", of, to, &sealed)), || Item::View { of, to, term, enclave, sealed });
    }

    pub(super) fn adopts(
        &mut self,
        node: usize,
        term: Term,
        certificate: CertificateDigest,
    ) -> Result<(), Violation> {
        let genuine = self.state.issued.iter().any(|issued| {
            let issued = self.model.issued.get(*issued);
            issued.certificate.term == term && issued.signed.digest() == certificate
        });
        if !genuine {
            let what = format!("n{} adopts term {term}, which no enclave certified", node + 1);
            return Err(self.violated(Invariant::I7, what));
        }
        let before = std::mem::replace(&mut self.state.nodes[node].adopted, term);
        if term <= before {
            let what = format!("n{} adopts term {term} after {before}", node + 1);
            return Err(self.violated(Invariant::I3, what));
        }
        Ok(())
    }

    pub(super) fn holds(&mut self, node: usize, term: Term, until: Boot) -> Result<(), Violation> {
        let others = || (0..self.state.nodes.len()).filter(|other| *other != node);
        if let Some(other) = others().find(|other| self.model.holds(&self.state, *other)) {
            let what = format!("n{} holds the lease of term {term} while n{} holds one", node + 1, other + 1);
            return Err(self.violated(Invariant::I4, what));
        }
        if let Some(other) = others().find(|other| self.state.nodes[*other].led > term) {
            let what = format!(
                "n{} leads in term {term}, after n{} did in term {}",
                node + 1,
                other + 1,
                self.state.nodes[other].led
            );
            return Err(self.violated(Invariant::I4, what));
        }
        let own = &mut self.state.nodes[node];
        own.belief = Some((term, until));
        own.led = own.led.max(term);
        self.model.figures.leases += 1;
        Ok(())
    }

    pub(super) fn accused(&mut self, voter: &NodeId) -> Result<(), Violation> {
        let honest = self
            .model
            .cluster
            .number(voter)
            .is_some_and(|voter| self.model.cluster.honest().contains(&voter));
        if honest {
            let what = format!("the honest voter {} is shown to have signed twice", voter.short());
            return Err(self.violated(Invariant::I6, what));
        }
        Ok(())
    }

    /// The digest of the certificate of this term, as a node has it.
    pub(super) fn certificate_of(&self, node: usize, term: Term) -> Option<CertificateDigest> {
        let adopted = self.state.nodes[node].adopted;
        let all = self.state.issued.iter().map(|issued| self.model.issued.get(*issued));
        all.into_iter()
            .find(|issued| issued.certificate.term == term && term == adopted)
            .map(|issued| issued.signed.digest())
    }
}

impl Model {
    fn ask_service(&self, enclave: usize, remembered: &[u32], elect: &Elect) -> Response {
        let identity = self.cluster.enclaves[enclave].clone();
        let attestor = SimulatedAttestor::new(identity, Primitives::StandIn, Dice::new(0));
        let service = Service::new(attestor, Arc::new(StandIn));
        for issued in remembered {
            let again = Request::Elect(Box::new(self.issued.get(*issued).elect.clone()));
            let answer = service.answer(again);
            assert!(matches!(answer, Response::Elected { .. }), "what was certified once is certified again");
        }
        service.answer(Request::Elect(Box::new(elect.clone())))
    }
}
