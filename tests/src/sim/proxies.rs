//! Enclaves with the product's own service in them, and the proxies in front of them.

use nitro_elect::core::event::{EnclaveIndex, Event, RequestId, Unanswered};
use nitro_elect_enclave::service::Service;
use nitro_elect_protocol::enclave_api::{EnclaveRefusal, Request, Response};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::fault::Fault;
use super::hostility::Hostility;
use super::identities::{BOOTS_MAX, Identity, Shared, SimulatedAttestor};
use super::violation::Invariant;
use super::world::{Happening, World};

/// A place where enclaves run, one after the other.
pub struct Host {
    /// The enclave's service, while one runs.
    pub service: Option<Service<SimulatedAttestor>>,
    /// Its keys and documents.
    pub identity: Option<Arc<Identity>>,
    /// What the log calls it: the number of its boot among all.
    pub name: String,
}

/// A proxy in front of one host.
#[derive(Debug)]
pub struct Proxy {
    /// Whose enclave it reaches.
    pub host: usize,
    /// Whether it runs.
    pub is_up: bool,
    /// What it does to those it serves, if it is hostile.
    pub(super) hostility: Option<Hostility>,
}

impl World {
    /// Boots all enclaves and puts proxies before them: one each, or one for each machine. Byzantine voters have
    /// an enclave to themselves.
    pub(super) fn build_enclaves(&mut self) {
        let shared = self.dice.chance(500);
        let private = usize::from(self.scenario.byzantine > 0);
        for host in 0..self.scenario.enclaves + private {
            self.hosts.push(Host { service: None, identity: None, name: String::new() });
            self.boot(host);
            if host >= self.scenario.enclaves {
                continue;
            }
            for machine in 0..self.machines.len() {
                if !shared || machine == 0 {
                    let hostility = self.draw_hostility();
                    self.proxies.push(Proxy { host, is_up: true, hostility });
                }
                self.machines[machine].proxies.push(self.proxies.len() - 1);
            }
        }
    }

    /// An enclave starts, with keys of its own and nothing in memory.
    pub(super) fn boot(&mut self, host: usize) {
        if self.boots >= BOOTS_MAX || self.hosts[host].service.is_some() {
            return;
        }
        let identity = Shared::get().identity(self.boots);
        self.boots += 1;
        let name = format!("E{}", self.boots);
        self.run_enclave(host, identity, name);
    }

    /// An enclave runs at a host from now on.
    fn run_enclave(&mut self, host: usize, identity: Arc<Identity>, name: String) {
        let (primitives, renewal) = (self.scenario.primitives, self.scenario.max_age / 6);
        let (dice, clock) = (self.dice.fork(), self.crypto.clone());
        let attestor = SimulatedAttestor::new(identity.clone(), primitives, dice).renewing(renewal, clock);
        let crypto = Shared::get().crypto(primitives);
        self.trace.note(self.at, &name, || format!("boots at host {}", host + 1));
        let service = Some(Service::new(attestor, crypto));
        self.hosts[host] = Host { service, identity: Some(identity), name };
    }

    /// A host runs a second enclave with the keys of another, as it was when that one booted. Nitro offers no way
    /// to do so: what such a pair certifies twice is exempt from I1, and everything else must hold.
    pub(super) fn clone_enclave(&mut self) -> bool {
        let (from, to) = (self.dice.below(self.hosts.len() as u64), self.dice.below(self.hosts.len() as u64));
        let Host { service, identity, name } = &self.hosts[from as usize];
        let Some(identity) = identity.clone().filter(|_| service.is_some() && from != to) else {
            return false;
        };
        let name = format!("{name}'");
        self.observer.is_cloned(identity.keys.enclave());
        self.run_enclave(to as usize, identity, name);
        true
    }

    /// Whether enclaves can still be restarted without using an identity twice.
    pub(super) fn can_boot(&self) -> bool {
        self.boots + self.hosts.len() < BOOTS_MAX
    }

    pub(super) fn ask(&mut self, machine: usize, slot: EnclaveIndex, request: RequestId, message: Request) {
        let proxy = self.machines[machine].proxies[slot.0];
        let life = self.machines[machine].life;
        let at = self.at + self.dice.span(self.scenario.enclave_latency.0, self.scenario.enclave_latency.1);
        let message = Box::new(message);
        self.queue.plan(at, Happening::Asked { machine, life, proxy, request, message });
    }

    /// A question arrives at the proxy, and at its enclave if both are there.
    pub(super) fn asked(
        &mut self,
        machine: usize,
        life: u64,
        proxy: usize,
        request: RequestId,
        message: Request,
    ) {
        let host = self.proxies[proxy].host;
        let reachable = self.proxies[proxy].is_up && self.hosts[host].service.is_some();
        if !reachable {
            let patience = self.dice.span(Duration::from_millis(1), self.scenario.lease / 4);
            return self.plan_answer(machine, life, request, None, patience);
        }
        if self.hinders(machine, life, proxy, request, &message) {
            return;
        }
        if self.ambush && matches!(message, Request::Elect(_)) && self.can_boot() {
            self.strike_down(host, message);
            return self.plan_answer(machine, life, request, None, self.scenario.lease / 20);
        }
        let answer = self.enclave_answers(host, message);
        let delay = self.dice.span(self.scenario.enclave_latency.0, self.scenario.enclave_latency.1);
        if !self.calm && self.dice.chance(self.scenario.weather.lost) {
            self.tally.count(Fault::AnswerLost);
            return self.plan_answer(machine, life, request, None, self.scenario.lease / 4);
        }
        self.plan_answer(machine, life, request, answer.map(Box::new), delay);
    }

    /// The enclave ends in the midst of an election: before it counted, or before its answer was out.
    fn strike_down(&mut self, host: usize, message: Request) {
        self.ambush = false;
        self.tally.count(Fault::EnclaveStruck);
        if self.dice.chance(500) {
            self.enclave_answers(host, message);
        }
        let name = self.hosts[host].name.clone();
        self.trace.note(self.at, &name, || "ends in the midst of an election".into());
        self.hosts[host].service = None;
        let down = self.dice.span(Duration::from_millis(1), self.scenario.lease);
        self.queue.plan(self.at + down, Happening::Boot { host });
    }

    pub(super) fn plan_answer(
        &mut self,
        machine: usize,
        life: u64,
        request: RequestId,
        answer: Option<Box<Response>>,
        delay: Duration,
    ) {
        self.queue.plan(self.at + delay, Happening::Answered { machine, life, request, answer });
    }

    /// The service answers; certificates are seen by the observer the moment they exist.
    pub(super) fn enclave_answers(&mut self, host: usize, message: Request) -> Option<Response> {
        let Host { service, name, .. } = &self.hosts[host];
        let service = service.as_ref()?;
        let elect = match &message {
            Request::Elect(elect) => Some(elect.clone()),
            _ => None,
        };
        let answer = catch_unwind(AssertUnwindSafe(|| service.answer(message)));
        let Ok(answer) = answer else {
            let what = format!("enclave {name} panics");
            self.observer.violation = Some(self.violated(Invariant::I11, what));
            return None;
        };
        match (&answer, elect) {
            (Response::Elected { certificate, .. }, Some(elect)) => {
                self.trace.note(self.at, name, || {
                    format!("certifies term {} for {} views", elect.term, elect.views.len())
                });
                self.observer.certified(self.at, certificate, &elect, &self.crypto);
            }
            (Response::Refused(refusal), Some(elect)) => {
                let told = refusal_text(refusal);
                self.trace.note(self.at, name, || format!("refuses term {}: {told}", elect.term));
            }
            _ => {}
        }
        Some(answer)
    }

    pub(super) fn answered(
        &mut self,
        machine: usize,
        life: u64,
        request: RequestId,
        answer: Option<Box<Response>>,
    ) {
        if self.lives(machine, life) {
            let answer = answer.map(|answer| *answer).ok_or(Unanswered);
            self.feed(machine, Event::EnclaveAnswered { request, answer });
        }
    }
}

fn refusal_text(refusal: &EnclaveRefusal) -> String {
    match refusal {
        EnclaveRefusal::TooFewViews { skipped, .. } => format!("{refusal}; skipped {skipped:?}"),
        _ => refusal.to_string(),
    }
}
