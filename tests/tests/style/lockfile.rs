//! What may be linked at all: `Cargo.lock` names every crate of every build, so it is checked on any machine, without
//! network and without cargo-deny, which checks licences and advisories besides.

use crate::source::{Finding, Source};

/// Second providers of cryptography, each with C code or a system library behind it: `ring` is the only one.
const BANNED: [&str; 6] = ["aws-lc-sys", "aws-lc-rs", "openssl-sys", "openssl", "native-tls", "boring-sys"];
/// The one place that crates come from, by the name that cargo gives it.
const SOURCE: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Banned crates and foreign sources in the lock file.
pub fn locked(file: &Source) -> Vec<Finding> {
    if file.path != "Cargo.lock" {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (at, line) in file.text.lines().enumerate() {
        let Some((key, value)) = line.split_once(" = ") else { continue };
        let value = value.trim_matches('"');
        if key == "name" && BANNED.contains(&value) {
            let fault =
                format!("`{value}` is banned: find who brings it (`cargo tree -i {value}`) and turn it off");
            found.push(file.finding(at + 1, fault));
        }
        if key == "source" && value != SOURCE {
            found.push(file.finding(at + 1, format!("a crate from `{value}`: only crates.io is a source")));
        }
    }
    found
}

mod tests {
    use super::*;

    #[test]
    fn banned_crates_and_foreign_sources_are_found() {
        for name in BANNED {
            let lock = format!("[[package]]\nname = \"{name}\"\nsource = \"{SOURCE}\"\n");
            assert_eq!(locked(&Source::new("Cargo.lock", &lock)).len(), 1, "{name}");
        }
        let foreign = "[[package]]\nname = \"ring\"\nsource = \"git+https://example.org/ring\"\n";
        assert_eq!(locked(&Source::new("Cargo.lock", foreign))[0].line, 3);
    }

    #[test]
    fn crates_of_the_one_source_pass() {
        let lock = format!("[[package]]\nname = \"ring\"\nversion = \"0.17.14\"\nsource = \"{SOURCE}\"\n");
        assert!(locked(&Source::new("Cargo.lock", &lock)).is_empty());
    }
}
