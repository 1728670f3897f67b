//! Counters: numbers that only rise, each with the sentence that explains it, so that code, documentation and
//! `/metrics` say the same.

use std::sync::atomic::{AtomicU64, Ordering};

/// One number that only rises.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn up(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, more: usize) {
        self.0.fetch_add(more as u64, Ordering::Relaxed);
    }

    /// The number now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A counter's name, meaning and number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// The name, in snake case.
    pub name: &'static str,
    /// What it counts.
    pub help: &'static str,
    /// The number.
    pub value: u64,
}

/// Defines a struct of counters whose documentation and help texts are the same.
macro_rules! counters {
    ($(#[$doc:meta])* $name:ident { $($counter:ident: $help:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub struct $name {
            $(#[doc = $help] pub $counter: $crate::transport::counters::Counter,)*
        }

        impl $name {
            /// All counters as they are now.
            pub fn snapshot(&self) -> Vec<$crate::transport::counters::Count> {
                vec![$($crate::transport::counters::Count {
                    name: stringify!($counter), help: $help, value: self.$counter.get(),
                },)*]
            }
        }
    };
}

pub(crate) use counters;

#[cfg(test)]
mod tests {
    counters!(
        /// Two counters.
        Two { first: "The first.", second: "The second.", }
    );

    #[test]
    fn a_snapshot_names_and_explains_every_counter() {
        let two = Two::default();
        two.first.up();
        two.second.add(3);
        let found: Vec<_> =
            two.snapshot().iter().map(|count| (count.name, count.help, count.value)).collect();
        assert_eq!(found, [("first", "The first.", 1), ("second", "The second.", 3)]);
    }
}
