//! What is going to happen, by true time; what is due at one time happens in the order it was planned.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::clock::At;

/// A priority queue that moves small keys only.
#[derive(Debug)]
pub struct Queue<T> {
    order: BinaryHeap<Reverse<(At, u64, usize)>>,
    slots: Vec<Option<T>>,
    free: Vec<usize>,
    planned: u64,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Queue { order: BinaryHeap::new(), slots: Vec::new(), free: Vec::new(), planned: 0 }
    }
}

impl<T> Queue<T> {
    /// Plans something.
    pub fn plan(&mut self, at: At, happening: T) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[slot] = Some(happening);
        self.order.push(Reverse((at, self.planned, slot)));
        self.planned += 1;
    }

    /// Takes out what happens next, if that is not after `end`.
    pub fn next(&mut self, end: At) -> Option<(At, T)> {
        let Reverse((at, _, _)) = self.order.peek().filter(|Reverse((at, _, _))| *at <= end)?;
        let at = *at;
        let Reverse((_, _, slot)) = self.order.pop()?;
        self.free.push(slot);
        self.slots[slot].take().map(|happening| (at, happening))
    }

    /// How much is planned.
    pub fn len(&self) -> usize {
        self.order.len()
    }
}
