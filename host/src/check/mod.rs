//! The health of what a node stands for: a command or a URL that is tried again and again. While it fails, the node is
//! not eligible, and hands over if it leads.
//!
//! It is tried on every node, leading or not: it should say whether this machine could do the leader's work, not whether
//! it does. Whether the work that runs makes progress is the watchdog's question.

pub mod limits;
pub mod rules;
pub mod target;

use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};

use crate::core::event::Command;
use crate::node::Handle;
use rules::Health;
use target::Target;

/// What is tried, and how often.
#[derive(Clone, Debug)]
pub struct Check {
    /// What.
    pub target: Target,
    /// From the beginning of one try to the next.
    pub interval: Duration,
    /// How long a try may take.
    pub timeout: Duration,
    /// Failures in a row that make the node unhealthy; one success makes it healthy again.
    pub threshold: u32,
}

impl Check {
    /// Tries until the returned future is dropped, and tells the node what changes.
    pub async fn run(self, node: Handle) {
        let mut health = Health::new(self.threshold);
        let mut told = true;
        loop {
            let next = Instant::now() + self.interval;
            let tried = timeout(self.timeout, self.target.try_once()).await;
            let failure = match tried {
                Ok(Ok(())) => None,
                Ok(Err(why)) => Some(why),
                Err(_) => Some(format!("no answer within {} ms", self.timeout.as_millis())),
            };
            if let Some(change) = health.tried(failure.is_none()) {
                told = false;
                match &failure {
                    None => tracing::info!(event = "healthy", "the check passes: this node may lead"),
                    Some(why) => {
                        tracing::warn!(event = "unhealthy", "the check fails: this node may not lead: {why}");
                    }
                }
                debug_assert_eq!(change, failure.is_none());
            } else if let Some(why) = &failure {
                tracing::debug!("the check fails: {why}");
            }
            if !told {
                // A node that is asked too much at once is told with the next try.
                told = node.command(Command::Unhealthy(!health.is_healthy())).is_ok();
            }
            sleep_until(next).await;
        }
    }
}
