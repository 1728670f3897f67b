//! The program `nitro-elect`. Everything it does is in the library; see `cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    nitro_elect::cli::run()
}
