//! What a Byzantine voter passes off as something else: views as those of another election, certificates that no
//! enclave signed, and an enclave that nobody measured.

use nitro_elect_protocol::certificate::{Certificate, DOMAIN, SignedCertificate};
use nitro_elect_protocol::codec;
use nitro_elect_protocol::enclave_api::Elect;
use nitro_elect_protocol::peer::PeerMessage;
use nitro_elect_protocol::proof::Bundle;
use nitro_elect_protocol::statement::signing_input;

use crate::sim::fault::Fault;
use crate::sim::identities::Shared;
use crate::sim::world::World;

impl World {
    /// Makes another election of one: of somebody else's call, of a later term, over other voters' rules, or with
    /// every view twice.
    pub(super) fn disguise(&mut self, mut elect: Elect) -> Elect {
        match self.dice.below(6) {
            0 => elect.coordinator = self.dice.pick(&self.electorate.voters).key,
            1 => elect.term = elect.term.next(),
            2 => elect.electorate.f = 0,
            3 => elect.views.extend(elect.views.clone()),
            _ => {}
        }
        elect
    }

    /// Publishes a certificate of its own making, with the document of a true enclave or of a counterfeit.
    pub(super) fn forge_certificate(&mut self, adversary: usize) {
        let Some(known) = self.adversaries[adversary].heard.bundles.back().cloned() else { return };
        let Ok(mut certificate) = known.certificate.peek() else { return };
        self.tally.count(Fault::Forgery);
        self.elect_itself(adversary, &mut certificate);
        let bundle = if self.dice.chance(500) {
            let certificate =
                SignedCertificate { bytes: codec::encode(&certificate), ..known.certificate.clone() };
            Bundle { certificate, promises: Vec::new(), ..known }
        } else {
            let counterfeit = Shared::get().counterfeit();
            certificate.enclave = counterfeit.keys.enclave();
            let bytes = codec::encode(&certificate);
            let signature = counterfeit.sign(self.scenario.primitives, &signing_input(DOMAIN, &bytes));
            let Ok(signature) = signature else { return };
            let certificate = SignedCertificate { bytes, signature };
            Bundle { certificate, document: counterfeit.document.clone(), promises: Vec::new() }
        };
        self.tell_some(adversary, &PeerMessage::Certificate(Box::new(bundle)));
    }

    /// A result in which everybody voted for it.
    fn elect_itself(&self, adversary: usize, certificate: &mut Certificate) {
        let machine = self.adversaries[adversary].machine;
        let (own, generation) = (self.machines[machine].id, self.machines[machine].disk.record.generation);
        let all: Vec<_> = self.electorate.voters.iter().map(|voter| voter.key).collect();
        certificate.term = certificate.term.next();
        (certificate.leader, certificate.leader_generation) = (own, generation);
        (certificate.active, certificate.candidates, certificate.signers) = (all.clone(), all.clone(), all);
    }
}
