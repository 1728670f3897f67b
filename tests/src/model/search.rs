//! Depth first through all states, each once.

use std::collections::HashSet;
use std::fmt;
use std::time::{Duration, Instant};

use super::Model;
use super::bounds::Bounds;
use super::cluster::Parts;
use super::fold::{ByPrint, Print};
use super::run::Outcome;
use super::state::State;
use super::step::{Step, Told};
use crate::sim::violation::Violation;

/// What a search saw.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// States.
    pub states: u64,
    /// Steps taken, those included that led to a state known before.
    pub transitions: u64,
    /// The longest way to a state.
    pub depth: usize,
    /// States beyond the bounds, which were not entered.
    pub beyond: u64,
    /// Steps in which an enclave certified.
    pub certificates: u64,
    /// Steps in which a lease was gained or prolonged.
    pub leases: u64,
    /// States of single nodes.
    pub locals: usize,
    /// Whether every state within the bounds was seen.
    pub complete: bool,
    /// How long it took.
    pub took: Duration,
}

impl fmt::Display for Figures {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { states, transitions, depth, beyond, certificates, leases, locals, complete, took } =
            self;
        writeln!(
            out,
            "{states} states, {transitions} transitions, depth {depth}, {:.1} s",
            took.as_secs_f64()
        )?;
        writeln!(out, "{certificates} steps certified, {leases} gained or prolonged a lease")?;
        writeln!(out, "{locals} states of single nodes; {beyond} steps led beyond the bounds")?;
        write!(out, "{}", if *complete { "complete" } else { "not complete" })
    }
}

/// A violation, and the way to it.
#[derive(Clone, Debug)]
pub struct Found {
    /// What broke.
    pub violation: Violation,
    /// The steps, the last of which broke it.
    pub way: Vec<String>,
    /// What was seen until then.
    pub figures: Figures,
}

impl fmt::Display for Found {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.way.iter().enumerate().try_for_each(|(place, step)| writeln!(out, "{:4}  {step}", place + 1))?;
        write!(out, "{}", self.violation)
    }
}

/// A state whose steps are being taken.
struct Open {
    state: State,
    steps: Vec<Step>,
    next: usize,
}

/// A search under way.
struct Search {
    model: Model,
    seen: HashSet<Print, ByPrint>,
    way: Vec<Open>,
}

/// Looks at every state within the bounds, or up to the first violation.
pub fn search(bounds: Bounds, parts: Parts) -> Result<Figures, Box<Found>> {
    let started = Instant::now();
    let mut search = Search { model: Model::new(bounds, parts), seen: HashSet::default(), way: Vec::new() };
    let outcome = search.run();
    let mut figures = search.model.figures.clone();
    figures.took = started.elapsed();
    figures.locals = search.model.locals.count();
    match outcome {
        Ok(complete) => Ok(Figures { complete, ..figures }),
        Err(violation) => {
            let told = |open: &Open| Told(&search.model, &open.steps[open.next - 1]).to_string();
            let way = search.way.iter().map(told).collect();
            Err(Box::new(Found { violation, way, figures }))
        }
    }
}

impl Search {
    /// Says whether every state was seen.
    fn run(&mut self) -> Result<bool, Violation> {
        let beginning = self.model.beginning()?;
        self.enter(beginning);
        while let Some(open) = self.way.last_mut() {
            let Some(step) = open.steps.get(open.next).cloned() else {
                self.way.pop();
                continue;
            };
            open.next += 1;
            self.model.figures.transitions += 1;
            match self.model.take(&open.state, &step)? {
                Outcome::Beyond => self.model.figures.beyond += 1,
                Outcome::Next(next) => {
                    open.steps.extend(torn(&open.state, &next, step));
                    self.enter(*next);
                }
            }
            if self.model.figures.states >= self.model.cluster.bounds.states {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn enter(&mut self, state: State) {
        if self.seen.insert(state.print()) {
            let steps = self.model.steps(&state);
            self.way.push(Open { state, steps, next: 0 });
            self.model.figures.states += 1;
            self.model.figures.depth = self.model.figures.depth.max(self.way.len());
        }
    }
}

/// The same step, torn after the write that it brought.
fn torn(before: &State, after: &State, step: Step) -> Option<Step> {
    let node = step.writer().filter(|_| before.restarts > 0)?;
    let wrote = before.nodes[node].record != after.nodes[node].record;
    wrote.then(|| Step::Torn { node, by: Box::new(step) })
}
