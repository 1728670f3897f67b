//! The second half of every error that reaches a person: what to do next.
//!
//! `Display` says what was wrong and where; [`Help::help`] says what to do. The command line prints the two as
//! `error: ...` and `help: ...`.

/// An error that knows what its reader should do next.
pub trait Help: std::error::Error {
    /// One sentence in the imperative, with the command to run where there is one.
    fn help(&self) -> String;
}
