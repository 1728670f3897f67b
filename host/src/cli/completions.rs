//! `nitro-elect completions`: a script by which a shell completes this program's line.

use clap_complete::Shell;
use std::process::ExitCode;

use super::Failure;
use super::output::print;

const AFTER_HELP: &str = "\
Examples:
  nitro-elect completions bash > /etc/bash_completion.d/nitro-elect
  nitro-elect completions fish > ~/.config/fish/completions/nitro-elect.fish

  For this shell alone:
    source <(nitro-elect completions bash)

Exit codes:
  0  printed
  2  wrong usage";

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The shell
    shell: Shell,
}

/// Prints the script for the whole line, but for the commands that are not for people.
pub fn run(args: &Args, line: &clap::Command) -> Result<ExitCode, Failure> {
    let shown = line.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    let mut line = clap::Command::new("nitro-elect").version(env!("CARGO_PKG_VERSION")).subcommands(shown);
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut line, "nitro-elect", &mut script);
    // clap_complete 4.6 spells the hyphen of this program's name in two ways in one bash script, and then completes no
    // flag of any command.
    let script = String::from_utf8_lossy(&script).replace("nitro__subcmd__elect", "nitro__elect");
    print(script.trim_end())?;
    Ok(ExitCode::SUCCESS)
}
