//! What may happen next in a state.

use nitro_elect::core::durable::Support;
use nitro_elect_protocol::ids::Term;
use std::fmt;

use super::Model;
use super::cluster::{TICK, id};
use super::soup::Item;
use super::state::State;

/// One thing that may happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A node that was late hears the heartbeats of this tick, and looks at the time.
    Beat { node: usize },
    /// A message arrives; its answer arrives with it, or never.
    Arrive { item: u32, to: usize, heard: bool },
    /// A node gets a certificate.
    Learn { certificate: u32, to: usize },
    /// An election reaches its enclave with the views at these places; its answer arrives with it, or never.
    Elect { item: u32, views: u32, heard: bool },
    /// A Byzantine voter has an enclave count the views for its call that these honest voters signed.
    Count { by: usize, term: Term, enclave: usize, voters: u32 },
    /// A leader steps down of its own accord.
    GiveUp { node: usize },
    /// A node's process ends, and the next one starts.
    Restart { node: usize },
    /// The same, in the middle of something: its write has reached the disk, and nothing that follows has left.
    Torn { node: usize, by: Box<Step> },
    /// Time goes on, and these nodes hear heartbeats and look at it, in this order.
    Tick { awake: Vec<usize> },
}

impl Model {
    /// All that may happen in this state. Some of it may change nothing.
    pub fn steps(&self, state: &State) -> Vec<Step> {
        let honest = self.cluster.honest();
        let mut steps: Vec<Step> = honest
            .clone()
            .filter(|node| !state.nodes[*node].beaten)
            .map(|node| Step::Beat { node })
            .collect();
        for item in state.soup.iter().chain(&self.always).copied() {
            self.arrivals(state, item, &mut steps);
        }
        for certificate in state.issued.iter().copied() {
            let term = self.issued.get(certificate).certificate.term;
            let lacking = honest.clone().filter(|node| state.nodes[*node].adopted < term);
            steps.extend(lacking.map(|to| Step::Learn { certificate, to }));
        }
        self.counts(state, &mut steps);
        if state.step_downs > 0 {
            let holders = honest.clone().filter(|node| self.holds(state, *node));
            steps.extend(holders.map(|node| Step::GiveUp { node }));
        }
        if state.tick < self.cluster.bounds.ticks {
            self.ticks(state, &mut steps);
        }
        if state.restarts > 0 {
            steps.extend(honest.map(|node| Step::Restart { node }));
        }
        steps
    }

    /// Every order of the nodes that are there, of all but as many as may still sleep.
    fn ticks(&self, state: &State, steps: &mut Vec<Step>) {
        let nodes = self.cluster.honest().len();
        let mut orders = vec![Vec::new()];
        while let Some(awake) = orders.pop() {
            if nodes - awake.len() <= state.sleeps as usize {
                steps.push(Step::Tick { awake: awake.clone() });
            }
            let others = self.cluster.honest().filter(|node| !awake.contains(node));
            orders.extend(others.map(|node| [&awake[..], &[node]].concat()));
        }
    }

    fn arrivals(&self, state: &State, item: u32, steps: &mut Vec<Step>) {
        let honest = self.cluster.honest();
        let heard = if self.cluster.bounds.losses { &[true, false][..] } else { &[true][..] };
        match &*self.items.get(item) {
            Item::Call { from, .. } if self.is_one_too_many(state, item, *from) => {}
            Item::Call { from, .. } | Item::Renew { from, .. } => {
                let others = honest.filter(|to| to != from);
                steps.extend(others.flat_map(|to| {
                    // A Byzantine caller hears whatever it wants to hear.
                    let byzantine = self.cluster.byzantine().contains(from);
                    let heard = if byzantine { &[true][..] } else { heard };
                    heard.iter().map(move |heard| Step::Arrive { item, to, heard: *heard })
                }));
            }
            Item::Resign { of, up_to, .. } => {
                let others = honest.filter(|to| to != of && self.frees_or_tells(state, *of, *up_to, *to));
                steps.extend(others.map(|to| Step::Arrive { item, to, heard: true }));
            }
            Item::Elect { enclave, elect, .. } => {
                if !self.remembers(state, *enclave, elect.term) {
                    let all = (1u32 << elect.views.len()) - 1;
                    steps.push(Step::Elect { item, views: all, heard: true });
                    steps.push(Step::Elect { item, views: all, heard: false });
                    if self.cluster.bounds.dropped_views
                        && elect.views.len() > self.cluster.electorate.quorum()
                    {
                        let fewer = (0..elect.views.len()).map(|view| all & !(1 << view));
                        steps.extend(fewer.map(|views| Step::Elect { item, views, heard: true }));
                    }
                } else {
                    steps.push(Step::Elect { item, views: u32::MAX, heard: true });
                }
            }
            Item::View { .. } => {}
        }
    }

    /// Whether this is a Byzantine call beyond the bounds.
    fn is_one_too_many(&self, state: &State, item: u32, from: usize) -> bool {
        let spent = state.heard.len() >= self.cluster.bounds.calls as usize && !state.heard.contains(&item);
        self.cluster.byzantine().contains(&from) && spent
    }

    /// A Byzantine resignation that frees nobody would only have the voter refuse more of its calls.
    fn frees_or_tells(&self, state: &State, of: usize, up_to: Term, to: usize) -> bool {
        let supports = |support: &Support| support.holder == id(of) && support.term <= up_to;
        !self.cluster.byzantine().contains(&of)
            || state.nodes[to].record.support.as_ref().is_some_and(supports)
    }

    /// Elections of Byzantine callers: as many honest views as are needed, in every choice, and all there are.
    fn counts(&self, state: &State, steps: &mut Vec<Step>) {
        let needed = self.cluster.electorate.quorum().saturating_sub(self.cluster.byzantine().len());
        for by in self.cluster.byzantine() {
            for (term, enclave) in self.cluster.calls() {
                if self.remembers(state, enclave, term) {
                    continue;
                }
                let voters =
                    self.views_for(state, by, term, enclave).fold(0, |all, (of, _)| all | 1u32 << of);
                let subsets = (1..=voters).filter(|subset| subset & !voters == 0);
                let enough = subsets.filter(|subset| {
                    let count = subset.count_ones() as usize;
                    count == needed || (count > needed && *subset == voters)
                });
                steps.extend(enough.map(|voters| Step::Count { by, term, enclave, voters }));
            }
        }
    }

    /// Whether an enclave remembers that it has certified this term or a higher one.
    pub(super) fn remembers(&self, state: &State, enclave: usize, term: Term) -> bool {
        self.elections_of(state, enclave)
            .iter()
            .any(|issued| self.issued.get(*issued).certificate.term >= term)
    }
}

impl Step {
    /// The node that may write because of it.
    pub fn writer(&self) -> Option<usize> {
        match self {
            Step::Beat { node } => Some(*node),
            Step::Arrive { to, heard: true, .. } | Step::Learn { to, .. } => Some(*to),
            _ => None,
        }
    }
}

/// A step with the model that knows what its numbers stand for.
pub struct Told<'a>(pub &'a Model, pub &'a Step);

impl fmt::Display for Told<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Told(model, step) = self;
        match step {
            Step::Beat { node } => write!(out, "n{} hears heartbeats", node + 1),
            Step::Arrive { item, to, heard } => {
                let (to, heard) = (to + 1, if *heard { "" } else { "; its answer is lost" });
                match &*model.items.get(*item) {
                    Item::Call { from, term, .. } => {
                        write!(out, "n{}'s call of term {term} arrives at n{to}{heard}", from + 1)
                    }
                    Item::Renew { from, term, .. } => {
                        write!(out, "n{}'s renewal of term {term} arrives at n{to}{heard}", from + 1)
                    }
                    Item::Resign { of, up_to, .. } => {
                        write!(out, "n{}'s resignation up to term {up_to} arrives at n{to}", of + 1)
                    }
                    Item::Elect { .. } | Item::View { .. } => write!(out, "nothing arrives at n{to}"),
                }
            }
            Step::Learn { certificate, to } => {
                let certificate = model.issued.get(*certificate);
                write!(out, "n{} gets the certificate of term {}", to + 1, certificate.certificate.term)
            }
            Step::Elect { item, views, heard } => {
                let heard = if *heard { "" } else { "; its answer is lost" };
                match &*model.items.get(*item) {
                    Item::Elect { node, enclave, elect, .. } => write!(
                        out,
                        "enclave {} counts views {views:b} for n{}'s call of term {}{heard}",
                        enclave + 1,
                        node + 1,
                        elect.term
                    ),
                    _ => write!(out, "no election"),
                }
            }
            Step::Count { by, term, enclave, voters } => write!(
                out,
                "enclave {} counts the views of honest voters {voters:b} for n{}'s call of term {term}",
                enclave + 1,
                by + 1
            ),
            Step::GiveUp { node } => write!(out, "n{} steps down", node + 1),
            Step::Restart { node } => write!(out, "n{} restarts", node + 1),
            Step::Torn { node, by } => {
                write!(out, "n{} restarts after its write, when {}", node + 1, Told(model, by))
            }
            Step::Tick { awake } => {
                let awake: Vec<String> = awake.iter().map(|node| format!("n{}", node + 1)).collect();
                write!(out, "time goes on by {} ms; in time are {}", TICK.as_millis(), awake.join(", "))
            }
        }
    }
}
