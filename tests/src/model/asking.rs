//! What a node asks an enclave, and when it is answered: documents and health at once, an election when its step comes.

use nitro_elect::core::event::{EnclaveIndex, Event, RequestId, Unanswered};
use nitro_elect_protocol::enclave_api::{Elect, Health, Request, Response};

use super::fold::Fold;
use super::local::Input;
use super::run::Run;
use super::soup::Item;
use crate::sim::violation::Violation;

impl Run<'_> {
    pub(super) fn ask(
        &mut self,
        node: usize,
        endpoint: EnclaveIndex,
        request: RequestId,
        message: &Request,
    ) -> Result<(), Violation> {
        let enclave = self.model.cluster.behind(node, endpoint.0);
        let identity = self.model.cluster.enclaves[enclave].clone();
        let (kind, answer) = match message {
            Request::Attest { .. } => {
                ("attested", Ok(Response::Attestation { document: identity.document.clone() }))
            }
            Request::Health => {
                let health = Health { enclave: identity.keys.enclave(), service_version: String::new() };
                ("healthy", Ok(Response::Health(health)))
            }
            Request::Latest { .. } => ("silent", Err(Unanswered)),
            Request::Elect(elect) => return self.asks_election(node, enclave, request, elect),
        };
        let print = Fold::of(&(kind, enclave, request));
        self.feed(node, Input { event: Event::EnclaveAnswered { request, answer }, print });
        Ok(())
    }

    fn asks_election(
        &mut self,
        node: usize,
        enclave: usize,
        request: RequestId,
        elect: &Elect,
    ) -> Result<(), Violation> {
        for sealed in &elect.views {
            self.view_leaves(node, sealed)?;
        }
        let generation = self.state.nodes[node].generation;
        let print = Fold::of(&("elect", node, generation, request, enclave, elect.term, &elect.views));
        let elect = Box::new(elect.clone());
        self.put(print, || Item::Elect { node, generation, request, enclave, elect });
        Ok(())
    }

    /// An election reaches its enclave, and the answer its caller.
    pub(super) fn elect(&mut self, item: u32, views: u32, heard: bool) -> Result<(), Violation> {
        let item = self.model.items.get(item);
        let Item::Elect { node, generation, request, enclave, elect } = &*item else { return Ok(()) };
        let mut elect = (**elect).clone();
        let places = 0..elect.views.len();
        let kept = places.filter(|place| views >> place & 1 == 1);
        elect.views = kept.map(|place| elect.views[place].clone()).collect();
        let response = self.count(*enclave, elect)?;
        if heard && self.state.nodes[*node].generation == *generation {
            let print = Fold::of(&("counted", enclave, request, response.print));
            let answer = Ok(response.answer.clone());
            self.feed(*node, Input { event: Event::EnclaveAnswered { request: *request, answer }, print });
        }
        Ok(())
    }
}
