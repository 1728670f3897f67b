//! Leader-only work: a command that runs only while a node leads (DESIGN §3.4, §7).
//!
//! A process of its own, the [`runner`], starts the command, ends it before the lease can end, and sees that nothing of
//! it is left. It knows the lease's end and needs nobody to tell it the time: a node, or an `exec` beside it, that hangs
//! or is frozen prolongs nothing. Everything that the command starts stays below the runner, however often it forks.
//!
//! ```text
//! node (or exec) -- orders: lease, end --> runner -- starts, signals, kills --> CMD and all that it starts
//!                <-- asked, gone, clear --
//! ```

pub mod command;
pub mod ending;
pub mod led;
pub mod limits;
pub mod message;
pub mod owner;
pub mod proof;
pub mod rules;
pub mod runner;

mod cgroup;
mod children;
mod due;
mod wakeups;
mod watchdog;
