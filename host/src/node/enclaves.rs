//! Asking enclaves aside: each question is a task of its own, and is answered exactly once, in bounded time.

use nitro_elect_protocol::enclave_api::Request;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle as Runtime;
use tokio::sync::{Semaphore, mpsc};

use super::limits::{ATTEST_DEADLINE_MIN, ENCLAVE_DEADLINE_MIN, ENCLAVE_QUESTIONS};
use crate::core::event::{EnclaveIndex, Event, RequestId, Unanswered};
use crate::core::timing::Timing;
use crate::enclave_client::EnclaveClient;
use crate::transport::endpoint::Endpoint;
use crate::transport::tls::TlsIdentity;

/// What came of a question.
#[derive(Debug)]
pub struct Answered {
    /// The event for the core.
    pub event: Event,
    /// Which enclave was asked.
    pub enclave: EnclaveIndex,
    /// Why it did not answer, if it did not.
    pub silent_because: Option<String>,
}

/// Asks the node's enclaves.
pub struct Asker {
    enclaves: Vec<One>,
    timing: Timing,
    runtime: Runtime,
    to: mpsc::Sender<Answered>,
}

struct One {
    client: Arc<EnclaveClient>,
    places: Arc<Semaphore>,
}

impl Asker {
    /// Asks on `runtime`; answers go to `to`.
    pub fn new(
        endpoints: &[Endpoint],
        identity: &TlsIdentity,
        timing: Timing,
        runtime: Runtime,
        to: mpsc::Sender<Answered>,
    ) -> Self {
        let one = |endpoint: &Endpoint| One {
            client: Arc::new(EnclaveClient::new(endpoint.clone(), Some(identity.clone()))),
            places: Arc::new(Semaphore::new(ENCLAVE_QUESTIONS)),
        };
        Asker { enclaves: endpoints.iter().map(one).collect(), timing, runtime, to }
    }

    /// Puts a question. Beyond the bound of questions at once it is answered at once: not.
    pub fn ask(&self, enclave: EnclaveIndex, request: RequestId, message: Request) {
        let one = self.enclaves.get(enclave.0);
        let free =
            one.and_then(|one| Some((one.client.clone(), one.places.clone().try_acquire_owned().ok()?)));
        let deadline = deadline(&message, self.timing);
        let to = self.to.clone();
        self.runtime.spawn(async move {
            let answer = match free {
                Some((client, _place)) => client.ask(&message, deadline).await.map_err(|why| why.to_string()),
                None => Err("too many questions at once".into()),
            };
            let silent_because = answer.as_ref().err().cloned();
            let event = Event::EnclaveAnswered { request, answer: answer.map_err(|_| Unanswered) };
            let _node_has_ended = to.send(Answered { event, enclave, silent_because }).await;
        });
    }
}

/// How long an enclave has for an answer: an election has a step for it, and a question that is repeated in vain
/// for much longer would hold up the turn to another enclave. A document takes the security module's time.
fn deadline(message: &Request, timing: Timing) -> Duration {
    let least = match message {
        Request::Attest { .. } => ATTEST_DEADLINE_MIN,
        Request::Elect(_) | Request::Latest { .. } | Request::Health => ENCLAVE_DEADLINE_MIN,
    };
    (timing.step() * 2).max(least)
}
