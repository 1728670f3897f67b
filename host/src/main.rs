//! The program `nitro-elect`. Everything it does is in the library; see `cli`.
//!
//! Which build it is stands here alone, so that a new commit compiles this file and nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    nitro_elect::cli::run(option_env!("NITRO_ELECT_BUILD"))
}
