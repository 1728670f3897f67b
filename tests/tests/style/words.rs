//! Words that no tracked file may hold: unfinished work, places on somebody's machine, hosts of a registry.
//!
//! The words themselves are written in two halves here, so that this file passes its own check.

use crate::code::has_word;
use crate::source::{Finding, Source};

/// Work that is not done does not go in.
const UNFINISHED: [&str; 5] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("X", "XX"),
    concat!("to", "do!"),
    concat!("unimplemented", "!"),
];

/// Where paths of one machine begin.
const MACHINE_PATHS: [&str; 4] =
    [concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/wo", "rk/"), concat!("/Us", "ers/")];

/// Hosts that serve packages or images, and endings of hosts that only one network knows.
const REGISTRY_HOSTS: [&str; 12] = [
    concat!("index.", "crates.io"),
    concat!("static.", "crates.io"),
    concat!("deb.", "debian.org"),
    concat!("docker", ".io"),
    concat!("quay", ".io"),
    concat!("ghcr", ".io"),
    concat!("public.", "ecr.aws"),
    concat!("pypi", ".org"),
    concat!("sparse", "+http"),
    concat!(".inter", "nal:"),
    concat!(".inter", "nal/"),
    concat!(".lo", "cal:"),
];

/// Unfinished work.
pub fn unfinished(file: &Source) -> Vec<Finding> {
    let unfinished = |line: &str| UNFINISHED.into_iter().find(|word| has_word(line, word));
    each_line(file, unfinished, |word| format!("`{word}`: finish it, or take it out"))
}

/// Paths that exist on one machine only.
pub fn machine_paths(file: &Source) -> Vec<Finding> {
    each_line(file, machine_path, |path| format!("`{path}...` is a path of one machine: find it at run time"))
}

/// Hosts of registries and of private networks.
pub fn registry_hosts(file: &Source) -> Vec<Finding> {
    let named = |line: &str| REGISTRY_HOSTS.into_iter().find(|host| line.contains(host));
    each_line(file, named, |host| {
        format!("`{host}` names a registry: leave that to the machine's configuration")
    })
}

/// A path that starts here: not the middle of a longer one or of a URL.
fn machine_path(line: &str) -> Option<&'static str> {
    let longer = |c: char| c.is_alphanumeric() || "._-~}*".contains(c);
    let starts = |path: &str| {
        line.match_indices(path).any(|(at, _)| !line[..at].chars().next_back().is_some_and(longer))
    };
    MACHINE_PATHS.into_iter().find(|path| starts(path))
}

fn each_line(
    file: &Source,
    search: impl Fn(&str) -> Option<&'static str>,
    fault: impl Fn(&str) -> String,
) -> Vec<Finding> {
    let hit = |(at, line)| Some(file.finding(at + 1, fault(search(line)?)));
    file.text.lines().enumerate().filter_map(hit).collect()
}

mod tests {
    use super::*;

    fn page(text: impl Into<String>) -> Source {
        Source { path: "docs/A.md".to_owned(), text: text.into() }
    }

    #[test]
    fn each_mark_of_unfinished_work_is_found() {
        for word in UNFINISHED {
            let found = unfinished(&page(format!("fine\n// {word}: later\n")));
            assert_eq!(found.len(), 1, "{word}");
            assert_eq!(found[0].line, 2);
        }
        assert!(unfinished(&page("TODOS, fixme and mktemp.XXXXXX are other words")).is_empty());
    }

    #[test]
    fn each_machine_path_is_found() {
        for path in MACHINE_PATHS {
            assert_eq!(machine_paths(&page(format!("see `{path}a/b`"))).len(), 1, "{path}");
            let within = format!("https://example.org{path}a and src{path}b and $DIR{path}c");
            assert!(machine_paths(&page(within)).is_empty(), "{path}");
        }
    }

    #[test]
    fn each_registry_host_is_found() {
        for host in REGISTRY_HOSTS {
            assert_eq!(registry_hosts(&page(format!("from {host}/x"))).len(), 1, "{host}");
        }
        assert!(registry_hosts(&page("https://github.com/rust-lang/crates.io-index")).is_empty());
    }
}
