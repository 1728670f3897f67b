//! One state of the whole.

use nitro_elect::core::durable::Record;
use nitro_elect_protocol::ids::{Generation, Term};
use nitro_elect_protocol::proof::Bundle;
use nitro_elect_protocol::time::Boot;
use std::hash::Hash;
use std::sync::Arc;

use super::fold::{Fold, Print};
use super::local::Local;

/// An honest node: its core, its disk, and what it is known to believe.
#[derive(Clone)]
pub struct Node {
    /// Its core.
    pub local: Arc<Local>,
    /// The record on its disk.
    pub record: Record,
    /// Its life.
    pub generation: Generation,
    /// The newest certificate of its log, and its term.
    pub newest: Option<(Arc<Bundle>, Term)>,
    /// The lease that it believes to hold.
    pub belief: Option<(Term, Boot)>,
    /// The highest term in which it held a lease.
    pub led: Term,
    /// The highest term that it adopted.
    pub adopted: Term,
    /// Whether it was there when time went on, and heard the heartbeats.
    pub beaten: bool,
}

/// A view of an honest voter's that left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Left {
    /// Whose.
    pub voter: usize,
    /// For which term.
    pub term: Term,
    /// The signed bytes.
    pub bytes: Print,
    /// The highest term that was certified when it left.
    pub certified: Term,
}

/// Everything that there is.
#[derive(Clone)]
pub struct State {
    /// True time, and that of all clocks.
    pub tick: u32,
    /// The honest nodes.
    pub nodes: Vec<Node>,
    /// Whatever was sent, by number: anything of it may arrive at any time, any number of times.
    pub soup: Vec<u32>,
    /// The certificates there are, by number: anybody may get any of them at any time.
    pub issued: Vec<u32>,
    /// The honest views that left.
    pub left: Vec<Left>,
    /// Restarts that may still happen.
    pub restarts: u32,
    /// Calls of Byzantine voters that were heard, by number.
    pub heard: Vec<u32>,
    /// Ticks that voters may still be late for.
    pub sleeps: u32,
    /// Steps down that may still happen.
    pub step_downs: u32,
    /// The fingerprint of what was sent, issued and signed, whatever its order.
    pub past: Print,
}

impl State {
    /// Notes something that will not be undone.
    pub fn note(&mut self, what: Print) {
        self.past = self.past.wrapping_add(what);
    }

    /// The fingerprint.
    pub fn print(&self) -> Print {
        let nodes: Vec<_> = self
            .nodes
            .iter()
            .map(|node| {
                let newest = node.newest.as_ref().map(|(_, term)| *term);
                let belief = node.belief;
                (node.local.print, node.record, newest, belief, node.led, node.adopted, node.beaten)
            })
            .collect();
        Fold::of(&(self.tick, nodes, self.past, (&self.heard, self.restarts, self.sleeps, self.step_downs)))
    }
}
