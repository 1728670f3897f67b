//! The flags that describe an electorate, shared by `manifest new` and `init`.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::core::config::Observers;
use crate::duration;
use crate::manifest::{self, Manifest, NewError, Plan};
use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser;
use nitro_elect_protocol::electorate::Voter;
use nitro_elect_protocol::ids::NodeId;
use nitro_elect_protocol::limits::LEASE_DEFAULT;
use nitro_elect_protocol::policy::{Policy, Prefer, Rule};
use nitro_elect_protocol::trust::Trust;

use crate::cli::failure::{Failure, USAGE};

/// What the voters agree on, beside who they are.
#[derive(Debug, clap::Args)]
pub struct ElectorateFlags {
    /// The cluster's name, for people
    #[arg(long, default_value = "nitro-elect")]
    name: String,
    /// How long a leader may act on one round of support: 200ms to 60s
    #[arg(long, value_name = "SPAN", default_value_t = duration::format(LEASE_DEFAULT))]
    lease: String,
    /// Who leads: the highest weight, the highest address, each in turn, or a draw in the enclave
    #[arg(long, default_value = "priority", value_parser = rules())]
    policy: Rule,
    /// Whether a leader stays while it can [default: true for priority, else false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    sticky: Option<bool>,
    /// Whether leadership returns to a voter of higher weight
    #[arg(long, default_value = "stay", value_parser = preferences())]
    prefer: Prefer,
    /// Byzantine voters to tolerate [default: a third of the voters, (n - 1) / 3]
    #[arg(long, value_name = "NUMBER")]
    f: Option<u32>,
    /// Who may follow without voting: off, a number, or public keys with commas
    #[arg(long, value_name = "WHO", default_value = "off", value_parser = observers)]
    observers: Observers,
}

fn rules() -> impl TypedValueParser<Value = Rule> {
    let words = manifest::RULES.map(|(word, _)| word);
    PossibleValuesParser::new(words).try_map(|word| manifest::rule_of(&word).ok_or("unknown"))
}

fn preferences() -> impl TypedValueParser<Value = Prefer> {
    let words = manifest::PREFERENCES.map(|(word, _)| word);
    PossibleValuesParser::new(words).try_map(|word| manifest::prefer_of(&word).ok_or("unknown"))
}

fn observers(text: &str) -> Result<Observers, String> {
    if text == "off" {
        return Ok(Observers::Off);
    }
    if let Ok(most) = text.parse() {
        return Ok(Observers::Open(most));
    }
    let keys: Result<BTreeSet<NodeId>, _> = text.split(',').map(NodeId::from_hex).collect();
    keys.map(Observers::Listed).map_err(|error| error.to_string())
}

impl ElectorateFlags {
    /// The lease, read.
    fn lease(&self) -> Result<Duration, Failure> {
        let help = "write it as in --lease 1s or --lease 500ms";
        duration::parse(&self.lease).map_err(|error| Failure::new(USAGE, error, help))
    }

    /// A new manifest of these voters, who accept these enclaves.
    pub fn manifest(&self, trust: Trust, voters: Vec<Voter>) -> Result<Manifest, Failure> {
        let policy = Policy {
            rule: self.policy,
            sticky: self.sticky.unwrap_or(Policy::of(self.policy).sticky),
            prefer: self.prefer,
        };
        let plan = Plan {
            name: self.name.clone(),
            f: self.f,
            policy,
            lease: self.lease()?,
            trust,
            observers: self.observers.clone(),
            voters,
        };
        Manifest::new(plan).map_err(|error: NewError| error.into())
    }
}
