//! Writing a manifest: every field with its value, defaults too, so that a later default changes nobody's digest.

use std::fmt::Write;
use std::time::Duration;

use nitro_elect_protocol::trust::Trust;

use super::Manifest;
use super::words::{OFF, PREFERENCES, RULES, word_for};
use crate::core::config::Observers;
use crate::duration;
use crate::trust_file;

/// The text of a manifest, as its reader takes it.
pub(super) fn to_text(manifest: &Manifest) -> String {
    let electorate = &manifest.electorate;
    let mut text = String::from(
        "# The manifest of a nitro-elect cluster: who votes, and what every node must agree on.\n\
         # `nitro-elect manifest digest` prints the digest that every vote names. The order of voters and these\n\
         # comments are not in it, nor are the observers.\n",
    );
    let mut line = |key: &str, value: String| {
        writeln!(text, "{key} = {value}").expect("writing to memory");
    };
    line("version", electorate.version.to_string());
    line("cluster", quoted(&electorate.cluster.to_string()));
    line("name", quoted(&electorate.name));
    line("epoch", electorate.epoch.to_string());
    if let Some(previous) = electorate.previous {
        line("previous", quoted(&previous.to_string()));
    }
    line("f", electorate.f.to_string());
    line("policy", quoted(word_for(&RULES, &electorate.policy.rule)));
    line("sticky", electorate.policy.sticky.to_string());
    line("prefer", quoted(word_for(&PREFERENCES, &electorate.policy.prefer)));
    line("lease", quoted(&duration::format(electorate.lease())));
    line("observers", observers(&manifest.observers));
    text.push_str(&trust(&electorate.trust));
    // By number where names are numbered; which order it is means nothing.
    let mut voters: Vec<_> = electorate.voters.iter().collect();
    voters.sort_by_key(|voter| (voter.name.len(), &voter.name));
    for voter in voters {
        let (name, address) = (quoted(&voter.name), quoted(&voter.address));
        write!(text, "\n[[voter]]\nname = {name}\naddress = {address}\n").expect("writing to memory");
        writeln!(text, "key = \"{}\"\nweight = {}", voter.key, voter.weight).expect("writing to memory");
    }
    text
}

fn trust(trust: &Trust) -> String {
    let root = match trust_file::root_text(&trust.root) {
        pem if pem.contains('\n') => format!("'''\n{pem}'''"),
        word => quoted(&word),
    };
    let max_age = duration::format(Duration::from_secs(trust.max_age().as_secs()));
    let mut text = format!(
        "\n# Which enclaves are accepted: a root, and measurements of images.\n[trust]\nroot = {root}\n\
         simulated = {}\nallow_debug = {}\nmax_age = \"{max_age}\"\n",
        !trust.root.is_aws(),
        trust.allow_debug
    );
    for set in &trust.accepted {
        text.push_str("\n[[trust.accepted]]\n");
        for (index, pcr) in set.pcrs() {
            writeln!(text, "PCR{index} = \"{pcr}\"").expect("writing to memory");
        }
    }
    text
}

fn observers(observers: &Observers) -> String {
    match observers {
        Observers::Off => quoted(OFF),
        Observers::Open(most) => most.to_string(),
        Observers::Listed(keys) => {
            let keys: Vec<String> = keys.iter().map(|key| format!("\n    \"{key}\",")).collect();
            format!("[{}\n]", keys.concat())
        }
    }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.into()).to_string()
}
