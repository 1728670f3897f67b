//! The pass of a term: until when its connections may act, looked at before every byte that goes to the resource.
//!
//! It is a time on `CLOCK_BOOTTIME` and no flag, so that a gate that was frozen and thawed forwards nothing before it has
//! looked again. Whatever slips in between the look and the write goes down a connection of the old term, whose end is
//! waited for before the next term begins.

use std::time::Duration;
use tokio::sync::watch;

use nitro_elect_protocol::ids::Term;
use nitro_elect_protocol::time::Boot;

use super::door::{ConnectionId, Ending};
use super::keeper::{Entry, Gatehouse};
use crate::clock;

/// Until when a term may act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    /// The end of its newest proof; the past when it was taken back.
    pub until: Boot,
    /// Whether its connections need not be waited for any more: a fence command or an operator saw to their end.
    pub abandoned: bool,
}

impl Pass {
    /// A pass that allows nothing.
    pub const NONE: Pass = Pass { until: Boot(0), abandoned: false };
}

/// One connection's leave to act. It is given back when dropped, with the ending that is known by then.
#[derive(Debug)]
pub struct Ticket {
    id: ConnectionId,
    term: Term,
    pass: watch::Receiver<Pass>,
    gatehouse: Gatehouse,
    ending: Ending,
}

impl Ticket {
    /// The ticket of whom the keeper let in.
    pub fn new(entry: Entry, gatehouse: Gatehouse) -> Self {
        let Entry { id, term, pass } = entry;
        Ticket { id, term, pass, gatehouse, ending: Ending::Unused }
    }

    /// The term it is for.
    pub fn term(&self) -> Term {
        self.term
    }

    /// Whether it allows a write at this moment.
    pub fn is_valid(&self) -> bool {
        !self.left().is_zero()
    }

    fn left(&self) -> Duration {
        clock::until(self.pass.borrow().until)
    }

    /// Another look at the same pass.
    pub fn watch(&self) -> watch::Receiver<Pass> {
        self.pass.clone()
    }

    /// The connection reaches the resource from now on: what is not seen to end has broken.
    pub fn opened(&mut self) {
        self.ending = Ending::Broken;
    }

    /// The resource ended it.
    pub fn at_end(&mut self) {
        self.ending = Ending::Eof;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.gatehouse.now().ended(self.id, self.ending);
    }
}

/// Waits until a pass allows nothing any more.
pub async fn over(mut pass: watch::Receiver<Pass>) {
    loop {
        let left = clock::until(pass.borrow_and_update().until);
        if left.is_zero() {
            return;
        }
        if let Ok(Err(_)) = tokio::time::timeout(left, pass.changed()).await {
            return; // nobody is left who could prolong it
        }
    }
}

/// Waits until its connections need not be waited for.
pub async fn abandoned(mut pass: watch::Receiver<Pass>) {
    if pass.wait_for(|pass| pass.abandoned).await.is_err() {
        std::future::pending().await
    }
}
