//! What the suites of this crate share. The suites themselves are in `tests/tests/`, one file or folder each.
//!
//! Everything here and there is test code: nothing of it is linked into what the project ships.

pub mod browser;
pub mod live;
pub mod model;
pub mod sim;
pub mod skip;
