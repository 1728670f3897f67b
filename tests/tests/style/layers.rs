//! Which crate may know what: dependencies point one way, rules ask nobody for the time, and the enclave holds no
//! simulation.
//!
//! The manifests are read as they are, so a renamed dependency is seen by the package behind it.

use crate::code::{Code, has_word};
use crate::source::{Finding, Source};

/// The workspace crates that each crate may depend on.
const EDGES: [(&str, &[&str]); 4] = [
    ("protocol/Cargo.toml", &[]),
    ("enclave/Cargo.toml", &["nitro-elect-protocol"]),
    ("host/Cargo.toml", &["nitro-elect-protocol", "nitro-elect-enclave"]),
    ("tests/Cargo.toml", &["nitro-elect-protocol", "nitro-elect-enclave", "nitro-elect"]),
];

/// Packages that would give the pure crate sockets, clocks, threads or the system's randomness.
const IMPURE_PACKAGES: [&str; 6] = ["tokio", "mio", "socket2", "libc", "nix", "getrandom"];

/// What rules may not touch, and what they take instead.
const IMPURE_WORDS: [(&str, &str); 17] = [
    ("HashMap", "its order is random: use a `BTreeMap`"),
    ("HashSet", "its order is random: use a `BTreeSet`"),
    ("Instant", "time is an input"),
    ("SystemTime", "time is an input"),
    ("tokio", "sockets and timers belong to the shell"),
    ("TcpStream", "sockets belong to the shell"),
    ("TcpListener", "sockets belong to the shell"),
    ("UdpSocket", "sockets belong to the shell"),
    ("UnixStream", "sockets belong to the shell"),
    ("UnixListener", "sockets belong to the shell"),
    ("ToSocketAddrs", "names are resolved by the shell"),
    ("thread", "threads belong to the shell"),
    ("fs", "files belong to the shell"),
    ("OsRng", "randomness is an input"),
    ("SysRng", "randomness is an input"),
    ("SystemRandom", "randomness is an input"),
    ("getrandom", "randomness is an input"),
];

/// Where the rules live that must run the same under the simulator.
const PURE_FOLDERS: [&str; 2] = ["protocol/src/", "host/src/core/"];

/// Dependencies on workspace crates against the direction, and impure ones of the pure crate.
pub fn edges(file: &Source) -> Vec<Finding> {
    let Some((_, allowed)) = EDGES.iter().find(|(path, _)| *path == file.path) else { return Vec::new() };
    let pure = file.path.starts_with("protocol/");
    let against = dependencies(&file.text).into_iter().filter(|dependency| {
        let package = dependency.package.as_str();
        let wrong_way = package.starts_with("nitro-elect") && !allowed.contains(&package);
        wrong_way || (pure && dependency.shipped && IMPURE_PACKAGES.contains(&package))
    });
    against
        .map(|Dependency { package, .. }| {
            let line = file.text.lines().position(|line| line.contains(&package)).map_or(1, |at| at + 1);
            file.finding(line, format!("a dependency on `{package}`, against the direction: move the code"))
        })
        .collect()
}

/// Clocks, sockets, threads, files, randomness and random order in a sans-I/O folder.
pub fn impure_rules(file: &Source) -> Vec<Finding> {
    if !file.is_rust() || !PURE_FOLDERS.iter().any(|folder| file.path.starts_with(folder)) {
        return Vec::new();
    }
    let code = Code::of(file);
    let hits = code.shipped().flat_map(|(line, text)| {
        let words = IMPURE_WORDS.iter().filter(move |(word, _)| has_word(text, word));
        words
            .map(move |(word, instead)| file.finding(line, format!("`{word}` in a sans-I/O rule: {instead}")))
    });
    hits.collect()
}

/// Any word of simulation in the enclave's code, test code apart, or in the names of its files.
pub fn simulation_in_enclave(file: &Source) -> Vec<Finding> {
    if !file.path.starts_with("enclave/") {
        return Vec::new();
    }
    let fault = "simulation in the enclave crate: it belongs to `host`";
    let simulates = |text: &str| text.to_lowercase().contains("simulat");
    let by_name = simulates(&file.path).then(|| file.finding(1, fault));
    let code = if file.is_rust() { Code::of(file).shipped().map(own).collect() } else { Vec::new() };
    let by_word =
        code.into_iter().filter(|(_, line)| simulates(line)).map(|(line, _)| file.finding(line, fault));
    by_name.into_iter().chain(by_word).collect()
}

/// Uses of the enclave's library in `host` outside the simulation mode.
pub fn enclave_in_host(file: &Source) -> Vec<Finding> {
    if !file.is_rust() || !file.path.starts_with("host/src/") || file.path.contains("simulat") {
        return Vec::new();
    }
    let fault = "the enclave's library outside the simulation mode: talk to it over the wire";
    let code = Code::of(file);
    let hits = code.shipped().filter(|(_, line)| has_word(line, "nitro_elect_enclave"));
    hits.map(|(line, _)| file.finding(line, fault)).collect()
}

fn own((line, text): (usize, &str)) -> (usize, String) {
    (line, text.to_owned())
}

struct Dependency {
    package: String,
    /// Whether it is more than a dependency of tests.
    shipped: bool,
}

/// Everything that a manifest depends on, for every target.
fn dependencies(manifest: &str) -> Vec<Dependency> {
    let manifest: toml::Table = manifest.parse().expect("cargo read this manifest before us");
    let mut found = Vec::new();
    collect(&manifest, &mut found);
    found
}

fn collect(table: &toml::Table, found: &mut Vec<Dependency>) {
    for (key, value) in table {
        let Some(inner) = value.as_table() else { continue };
        if key.ends_with("dependencies") {
            let shipped = key != "dev-dependencies";
            let renamed = |given: &toml::Value| Some(given.get("package")?.as_str()?.to_owned());
            let package =
                |(name, given): (&String, &toml::Value)| renamed(given).unwrap_or_else(|| name.clone());
            found.extend(inner.iter().map(|entry| Dependency { package: package(entry), shipped }));
        } else {
            collect(inner, found);
        }
    }
}

mod tests {
    use super::*;

    fn manifest(path: &str, text: &str) -> Vec<Finding> {
        edges(&Source::new(path, text))
    }

    #[test]
    fn a_dependency_against_the_direction_is_found() {
        let ours = "[dependencies]\nring = \"1\"\nnitro-elect-protocol.workspace = true\n";
        assert_eq!(manifest("protocol/Cargo.toml", ours)[0].line, 3);
        assert!(manifest("enclave/Cargo.toml", ours).is_empty());
        let host = "[dev-dependencies]\nnitro-elect = { workspace = true }\n";
        assert_eq!(manifest("enclave/Cargo.toml", host).len(), 1);
        assert_eq!(
            manifest("protocol/Cargo.toml", "[target.'cfg(unix)'.dependencies]\nlibc = \"1\"\n").len(),
            1
        );
        assert!(manifest("protocol/Cargo.toml", "[dev-dependencies]\nlibc = \"1\"\n").is_empty());
    }

    #[test]
    fn a_renamed_dependency_is_found_by_its_package() {
        let renamed = "[dependencies]\nshell = { package = \"nitro-elect\", path = \"../host\" }\n";
        assert_eq!(manifest("enclave/Cargo.toml", renamed)[0].line, 2);
    }

    #[test]
    fn each_impure_word_in_a_rule_is_found() {
        for (word, _) in IMPURE_WORDS {
            for path in ["protocol/src/view.rs", "host/src/core/lease.rs"] {
                let found = impure_rules(&Source::new(path, &format!("//! {word}\nuse a::{word}::b;\n")));
                assert_eq!(found.len(), 1, "{word} in {path}");
                assert_eq!(found[0].line, 2);
            }
        }
        let addresses = "use std::net::{IpAddr, SocketAddr};\n#[cfg(test)]\nuse std::time::Instant;\n";
        assert!(impure_rules(&Source::new("protocol/src/a.rs", addresses)).is_empty());
        assert!(impure_rules(&Source::new("host/src/shell.rs", "use tokio::net;\n")).is_empty());
    }

    #[test]
    fn simulation_in_the_enclave_is_found() {
        let found = |path: &str, text: &str| simulation_in_enclave(&Source::new(path, text)).len();
        assert_eq!(found("enclave/src/a.rs", "fn f() {\n    simulated();\n}\n"), 1);
        assert_eq!(found("enclave/src/simulated.rs", "//! A.\n"), 1);
        assert_eq!(found("enclave/src/a.rs", "//! No simulation here.\nfn f() {}\n"), 0);
        assert_eq!(found("host/src/simulated.rs", "fn simulated() {}\n"), 0);
    }

    #[test]
    fn the_enclave_library_outside_simulation_is_found() {
        let found =
            |path: &str| enclave_in_host(&Source::new(path, "//! A.\nuse nitro_elect_enclave::Service;\n"));
        assert_eq!(found("host/src/node.rs")[0].line, 2);
        assert!(found("host/src/simulated/nsm.rs").is_empty());
    }
}
