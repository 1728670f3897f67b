//! Why an election was needed, with the names of those it is about.

use serde::Serialize;
use std::fmt;

use super::names::Names;
use crate::core::occasion::Occasion;

/// An [`Occasion`] as people and programs are told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ToldOccasion {
    /// The name that programs know it by.
    pub name: &'static str,
    /// The sentence.
    pub text: String,
}

impl ToldOccasion {
    /// The occasion, told with these names.
    pub fn of(occasion: Occasion, names: &Names) -> Self {
        ToldOccasion { name: occasion.name(), text: text(occasion, names) }
    }
}

impl fmt::Display for ToldOccasion {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

fn text(occasion: Occasion, names: &Names) -> String {
    match occasion {
        Occasion::First => "the first election".into(),
        Occasion::LeaderSilent(leader) => {
            format!("{} fell silent and its lease ran out", names.of(&leader))
        }
        Occasion::NotRenewed(leader) => format!("the lease of {} was not renewed in time", names.of(&leader)),
        Occasion::LeaderDied(leader) => {
            format!("the process of {} ended, says its last will", names.of(&leader))
        }
        Occasion::LeaderRestarted(leader) => format!("{} was started again", names.of(&leader)),
        Occasion::LeaderDrained(leader) => {
            format!("{} resigned: it was drained or stopped", names.of(&leader))
        }
        Occasion::LeaderUnhealthy(leader) => {
            format!("{} resigned: what it runs is unhealthy", names.of(&leader))
        }
        Occasion::HandedOver { from, to } => {
            format!("{} resigned in favour of {}", names.of(&from), names.of(&to))
        }
        Occasion::LeaderResigned(leader) => format!("{} resigned", names.of(&leader)),
        Occasion::CalledEarly(leader) => {
            format!("{} could not count on the renewal of its lease", names.of(&leader))
        }
        Occasion::ListChanged => "the list of the open cluster changed".into(),
        Occasion::NotSeen => "why it was needed was not seen by this node".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nitro_elect_protocol::ids::NodeId;

    #[test]
    fn an_occasion_names_everybody_that_it_is_about() {
        let (from, to) = (NodeId([0xab; 32]), NodeId([0xcd; 32]));
        let told = ToldOccasion::of(Occasion::HandedOver { from, to }, &Names::default());
        assert_eq!(
            (told.name, told.text.as_str()),
            ("handed_over", "abababab resigned in favour of cdcdcdcd")
        );
        assert_eq!(Occasion::HandedOver { from, to }.nodes(), [from, to]);
    }
}
