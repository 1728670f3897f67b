//! What the links count. Each counter only rises; [`Counters::snapshot`] is what `/metrics` shows.

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
#[macro_export]
macro_rules! counters {
    ($(#[$doc:meta])* $name:ident { $($counter:ident: $help:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub struct $name {
            $(#[doc = $help] pub $counter: $crate::transport::links::counters::Counter,)*
        }

        impl $name {
            /// All counters as they are now.
            pub fn snapshot(&self) -> Vec<$crate::transport::links::counters::Count> {
                vec![$($crate::transport::links::counters::Count {
                    name: stringify!($counter), help: $help, value: self.$counter.get(),
                },)*]
            }
        }
    };
}

counters!(
    /// What the links did, and every reason for which something was dropped.
    Counters {
        frames_sent: "Frames written to peers.",
        frames_received: "Frames read from peers.",
        bytes_sent: "Bytes of frames written to peers.",
        bytes_received: "Bytes of frames read from peers.",
        dropped_no_link: "Frames not sent since there was no connection to the peer.",
        dropped_queue_full: "Frames not sent since the peer read too slowly.",
        dropped_too_long: "Frames not sent since they were empty or over the largest size.",
        dropped_link_ended: "Frames not sent since the connection ended before their turn.",
        pauses_rate: "Pauses in reading a peer that sent more frames a second than allowed.",
        pauses_inbox: "Pauses in reading a peer whose received bytes still waited for the node.",
        dials: "Dials begun.",
        dials_failed: "Dials that led to no link.",
        dials_wrong_key: "Dials that found another node's key.",
        dials_turned_away: "Dials whose peer did not let this node in.",
        links_dialled: "Links that came up by this node's dial.",
        links_accepted: "Links that came up by a peer's dial.",
        links_closed: "Links that the peer closed or its system reset.",
        links_silent: "Links closed since nothing passed for too long.",
        links_stalled: "Links closed since a frame did not pass in time.",
        links_bad_frame: "Links closed since the peer broke the framing.",
        links_replaced: "Accepted links closed since their peer connected anew.",
        links_other_end: "Links that ended for another reason.",
        strangers: "Connections accepted before anybody authenticated on them.",
        strangers_pushed_out: "Connections dropped before they authenticated, to make room for newer ones.",
        refused_not_admitted: "Connections refused since their key is not in the policy.",
        refused_full: "Connections refused since all places for nodes that do not vote were taken.",
        refused_same_key: "Connections refused since they came with this node's own key.",
        refused_too_slow: "Connections dropped since their handshake took too long.",
        refused_left: "Connections whose other side left within the handshake.",
        refused_not_a_node: "Connections dropped since what they said was no handshake of a node.",
        accept_failed: "Failures to accept a connection, for want of descriptors or memory.",
        events_skipped: "Reports of refused connections that the node was too busy to take.",
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_names_and_explains_every_counter() {
        let counters = Counters::default();
        counters.frames_sent.up();
        counters.accept_failed.add(3);
        let snapshot = counters.snapshot();
        let value = |name| snapshot.iter().find(|count| count.name == name).map(|count| count.value);
        assert_eq!(
            (value("frames_sent"), value("accept_failed"), value("dials")),
            (Some(1), Some(3), Some(0))
        );
        assert!(snapshot.iter().all(|count| count.help.ends_with('.')));
    }
}
