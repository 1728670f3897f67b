//! Asking enclaves aside: each question is a task of its own, and is answered exactly once, in bounded time.

use nitro_elect_protocol::enclave_api::{EnclaveRefusal, Request, Response};
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
            let silent_because = silent_because(&answer);
            let event = Event::EnclaveAnswered { request, answer: answer.map_err(|_| Unanswered) };
            let _node_has_ended = to.send(Answered { event, enclave, silent_because }).await;
        });
    }
}

/// Why no enclave has answered, if none has: a proxy's word that it reaches none is no answer of an enclave.
fn silent_because(answer: &Result<Response, String>) -> Option<String> {
    match answer {
        Err(why) => Some(why.clone()),
        Ok(Response::Refused(away @ EnclaveRefusal::Unreachable)) => Some(away.to_string()),
        Ok(_) => None,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_without_its_enclave_is_told_as_an_enclave_that_does_not_answer() {
        let refused = |refusal| silent_because(&Ok(Response::Refused(refusal)));
        assert_eq!(refused(EnclaveRefusal::Unreachable), Some("the proxy cannot reach its enclave".into()));
        assert_eq!(refused(EnclaveRefusal::Busy), None);
        assert_eq!(silent_because(&Err("connection refused".into())), Some("connection refused".into()));
    }
}
