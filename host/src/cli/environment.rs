//! Flags from the environment: `NITRO_ELECT_` and the flag's name in capitals, for every flag of every command but those
//! that accept less or give something up, `--allow-...` and `--danger-...`: that is said on the line, or not at all.
//!
//! One rule here, not a line at each flag, so that no flag is forgotten and the same flag has the same name in every
//! command. A flag that declares a name of its own keeps it. A flag on the line wins.

use clap::{Arg, Command};
use std::ffi::OsStr;

/// The command with a variable for each flag, and its subcommands'.
pub fn with_environment(command: Command) -> Command {
    command.mut_args(with_variable).mut_subcommands(with_environment)
}

/// Whether a flag is for the line alone.
fn is_for_the_line(flag: &str) -> bool {
    flag.starts_with("allow-") || flag.starts_with("danger-")
}

fn with_variable(arg: Arg) -> Arg {
    let wanted = |flag: &&str| arg.get_env().is_none() && !is_for_the_line(flag);
    let Some(flag) = arg.get_long().filter(wanted) else { return arg };
    let name = format!("NITRO_ELECT_{}", flag.to_ascii_uppercase().replace('-', "_"));
    // The parser wants names that live as long as the program: one for each flag, once.
    let name: &'static OsStr = OsStr::new(String::leak(name));
    arg.env(name).hide_env_values(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::line;

    fn check(command: &Command, path: &str, checked: &mut Vec<String>) {
        for arg in command.get_arguments().filter(|arg| !arg.is_positional()) {
            let (name, variable) = (arg.get_id().as_str(), arg.get_env().map(|name| name.to_string_lossy()));
            if arg.get_long().is_some_and(is_for_the_line) {
                assert_eq!(variable, None, "{path} --{name} is for the line alone");
            } else if !["help", "version"].contains(&name) {
                let variable = variable.unwrap_or_else(|| panic!("{path} --{name} has no variable"));
                assert!(variable.starts_with("NITRO_ELECT_"), "{path} --{name}: {variable}");
                checked.push(format!("{path} {variable}"));
            }
        }
        for command in command.get_subcommands().filter(|command| command.get_name() != "help") {
            check(command, &format!("{path} {}", command.get_name()), checked);
        }
    }

    #[test]
    fn every_flag_of_every_command_can_come_from_the_environment() {
        let mut line = line();
        line.build();
        let mut checked = Vec::new();
        check(&line, "nitro-elect", &mut checked);
        for known in [
            "nitro-elect node NITRO_ELECT_TOKEN_FILE",
            "nitro-elect proxy NITRO_ELECT_PROXY_LISTEN",
            "nitro-elect manifest new NITRO_ELECT_TRUST",
        ] {
            assert!(checked.iter().any(|checked| checked == known), "{known}: {checked:?}");
        }
    }
}
