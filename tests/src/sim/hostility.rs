//! Hostile proxies: they read nothing of what they carry, but carry it late, again, or not at all.

use nitro_elect::core::event::RequestId;
use nitro_elect_protocol::enclave_api::Request;
use std::collections::VecDeque;
use std::time::Duration;

use super::fault::Fault;
use super::world::{Happening, World};

/// Elections that a proxy keeps.
const KEPT: usize = 8;

/// What a hostile proxy does, in thousandths, and what it has at hand.
#[derive(Clone, Debug)]
pub struct Hostility {
    /// Answers for the enclave's health, and loses the election.
    drops: u64,
    /// Lets a question wait, so that others overtake it.
    delays: u64,
    /// Submits an old election again.
    replays: u64,
    kept: VecDeque<Request>,
}

impl World {
    pub(super) fn draw_hostility(&mut self) -> Option<Hostility> {
        if !self.dice.chance(self.scenario.hostile_proxies) {
            return None;
        }
        let mut rate = || *self.dice.pick(&[0, 100, 500]);
        Some(Hostility { drops: rate(), delays: rate(), replays: rate(), kept: VecDeque::new() })
    }

    /// When the storm is over, proxies are loyal; or those stay hostile whose machines all have another that is not:
    /// liveness is promised to whoever can reach an enclave.
    pub(super) fn reform_proxies(&mut self) {
        if !self.is_attacked() {
            return self.proxies.iter_mut().for_each(|proxy| proxy.hostility = None);
        }
        for machine in 0..self.machines.len() {
            let own = self.machines[machine].proxies.clone();
            if let Some(last) = own.last().filter(|_| self.hostile_proxies_of(machine) == own.len()) {
                self.proxies[*last].hostility = None;
            }
        }
    }

    /// How many of the proxies that a machine asks are hostile.
    pub(super) fn hostile_proxies_of(&self, machine: usize) -> usize {
        let own = self.machines[machine].proxies.iter();
        own.filter(|proxy| self.proxies[**proxy].hostility.is_some()).count()
    }

    /// Whether the proxy keeps a question from its enclave now.
    pub(super) fn hinders(
        &mut self,
        machine: usize,
        life: u64,
        proxy: usize,
        request: RequestId,
        message: &Request,
    ) -> bool {
        let Some(mut hostility) = self.proxies[proxy].hostility.take() else { return false };
        let elects = matches!(message, Request::Elect(_));
        if self.dice.chance(hostility.replays) {
            self.submit_again(proxy, &hostility);
        }
        if elects {
            hostility.kept.push_back(message.clone());
            hostility.kept.truncate(KEPT);
        }
        let hinders = if elects && self.dice.chance(hostility.drops) {
            self.tally.count(Fault::ProxyDropped);
            self.plan_answer(machine, life, request, None, self.scenario.lease / 4);
            true
        } else if self.dice.chance(hostility.delays) {
            self.tally.count(Fault::ProxyDelayed);
            let at = self.at + self.dice.span(Duration::ZERO, self.scenario.lease / 2);
            let message = Box::new(message.clone());
            self.queue.plan(at, Happening::Asked { machine, life, proxy, request, message });
            true
        } else {
            false
        };
        self.proxies[proxy].hostility = Some(hostility);
        hinders
    }

    fn submit_again(&mut self, proxy: usize, hostility: &Hostility) {
        let Some(last) = hostility.kept.len().checked_sub(1) else { return };
        let old = hostility.kept[self.dice.between(0, last as u64) as usize].clone();
        self.tally.count(Fault::ProxyReplayed);
        self.enclave_answers(self.proxies[proxy].host, old);
    }
}
