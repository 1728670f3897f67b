//! Scenes for people: when, a word for what it is about, and a sentence; aligned, and short enough for a terminal.

use std::time::Duration;

use super::scene::{Check, Place, Scene, Sight};
use crate::cli::output::{Stream, paint};
use crate::node::happening::worth;

/// Where sentences begin.
const MARGIN: usize = 22;
/// The widest line of checks, its margin apart.
const CHECK_MAX: usize = 96;

const BOLD: &str = "1";
const DIM: &str = "2";
const GREEN: &str = "32";
const GREEN_BOLD: &str = "32;1";
const RED_BOLD: &str = "31;1";
const YELLOW_BOLD: &str = "33;1";

/// The lines of a scene that is shown `at` so long after the beginning.
pub fn of(scene: &Scene, at: Duration) -> String {
    let (word, style, lines) = told(scene);
    let time = paint(Stream::Out, DIM, &format!("{:>7.2} s", at.as_secs_f64()));
    let word = paint(Stream::Out, style, &format!("{word:<10}"));
    let margin = format!("\n{}", " ".repeat(MARGIN));
    let text = format!("{time}  {word} {}", lines.join(&margin));
    match scene {
        Scene::Begins { .. } => format!("{}\n\n{text}", title()),
        Scene::Sight { .. } | Scene::Proof { in_full: true, .. } => format!("{text}\n"),
        Scene::Done { .. } => format!("\n{text}"),
        _ => text,
    }
}

fn title() -> String {
    let name = paint(Stream::Out, BOLD, "nitro-elect demo");
    let simulated = paint(Stream::Out, YELLOW_BOLD, "SIMULATED");
    format!("{name}   the enclave is {simulated}: everything is checked, and nothing here is attested by AWS")
}

fn told(scene: &Scene) -> (&'static str, &'static str, Vec<String>) {
    match scene {
        Scene::Begins { n, f, quorum, directory, .. } => {
            let line = format!(
                "{n} nodes, of which {f} may lie; an election takes {quorum}; all files in {directory}"
            );
            ("cluster", BOLD, vec![line])
        }
        Scene::Enclave { endpoint } => {
            ("enclave", BOLD, vec![format!("{}, at {endpoint}, named by trust.json", simulated())])
        }
        Scene::Proxy { endpoint, admits } => (
            "proxy",
            BOLD,
            vec![format!("at {endpoint}, admits the {admits} keys of cluster.toml, reads no view")],
        ),
        Scene::Nodes { nodes } => ("nodes", BOLD, nodes.iter().map(place).collect()),
        Scene::Sight { sight } => ("sight", BOLD, matrix(sight)),
        Scene::Elected { leader, term, agree, took_ms, since } => {
            let leader = paint(Stream::Out, GREEN_BOLD, leader);
            let took = seconds(*took_ms);
            (
                "leader",
                GREEN_BOLD,
                vec![format!("{leader} leads term {term}, {took} after {since}; {agree} nodes agree")],
            )
        }
        Scene::Proof { .. } => ("proof", BOLD, proof(scene)),
        Scene::Killed { node, process } => {
            let line = format!("{node}, the leader (process {process}); its supervisor sends its last will");
            ("kill -9", RED_BOLD, vec![line])
        }
        Scene::StartedAgain { node, process } => {
            ("return", BOLD, vec![format!("{node} starts again from its own disk (process {process})")])
        }
        Scene::Returned { node, leader, term, took_ms } => {
            let took = seconds(*took_ms);
            ("return", BOLD, vec![format!("{node} follows {leader} in term {term}, ready after {took}")])
        }
        Scene::GoesOn { nodes } => ("go on", BOLD, invitation(nodes)),
        Scene::Ended { name, how } => ("process", RED_BOLD, vec![format!("{name} {how}")]),
        Scene::Leads { leader, term, after_ms } => {
            let leader = paint(Stream::Out, GREEN_BOLD, leader);
            let after =
                after_ms.map(|ms| format!(", after {} without a leader", seconds(ms))).unwrap_or_default();
            ("leader", GREEN_BOLD, vec![format!("{leader} leads term {term}{after}")])
        }
        Scene::NobodyLeads { because } => ("no leader", YELLOW_BOLD, vec![because.clone()]),
        Scene::Sees { node, alive: true } => ("sight", BOLD, vec![format!("{node} is seen alive again")]),
        Scene::Sees { node, alive: false } => {
            ("sight", YELLOW_BOLD, vec![format!("{node} has fallen silent")])
        }
        Scene::Done { took_ms } => {
            ("done", GREEN_BOLD, vec![format!("everything went as it must, in {}", seconds(*took_ms))])
        }
        Scene::Failed { why } => ("FAILED", RED_BOLD, why.lines().map(str::to_owned).collect()),
    }
}

fn simulated() -> String {
    paint(Stream::Out, YELLOW_BOLD, "SIMULATED")
}

fn place(node: &Place) -> String {
    let Place { node, address, admin, process } = node;
    format!("{node}  for nodes {address}  page http://{admin}/  process {process}")
}

/// Rows see columns.
fn matrix(sight: &[Sight]) -> Vec<String> {
    let width = sight.iter().map(|seer| seer.node.len()).max().unwrap_or(0);
    let mark = |seer: &Sight, other: &Sight| match () {
        () if seer.node == other.node => paint(Stream::Out, DIM, "  ·"),
        () if seer.sees.contains(&other.node) => paint(Stream::Out, GREEN, "  ●"),
        () => paint(Stream::Out, RED_BOLD, "  ○"),
    };
    let row = |seer: &Sight| {
        let marks: String = sight.iter().map(|other| mark(seer, other)).collect();
        format!("{:<width$} sees{marks}", seer.node)
    };
    let numbers: String = (1..=sight.len()).map(|number| format!("{number:>3}")).collect();
    let head = format!("{:<width$}     {numbers}", "");
    let sentence = "every node sees every other one alive".to_owned();
    [sentence, head].into_iter().chain(sight.iter().map(row)).collect()
}

fn proof(scene: &Scene) -> Vec<String> {
    let Scene::Proof { from, valid, assurance, leader, term, checks, in_full } = scene else { return vec![] };
    let made = checks.iter().filter(|check| check.passed.is_some()).count();
    let verdict = match valid {
        true => paint(Stream::Out, GREEN_BOLD, "VALID"),
        false => paint(Stream::Out, RED_BOLD, "INVALID"),
    };
    let worth = assurance.map_or_else(String::new, worth);
    let worth = paint(Stream::Out, YELLOW_BOLD, &worth);
    if !in_full {
        let text =
            format!("the certificate of term {term}, as {from} serves it: {made} checks, {verdict}, {worth}");
        return vec![text];
    }
    let head = format!("the certificate as {from} serves it, checked against cluster.toml alone:");
    let last = format!("{verdict}, {worth}: {leader} was elected in term {term}");
    std::iter::once(head).chain(checks.iter().map(check)).chain([last]).collect()
}

fn check(check: &Check) -> String {
    let mark = match check.passed {
        Some(true) => paint(Stream::Out, GREEN, "✓"),
        Some(false) => paint(Stream::Out, RED_BOLD, "✗"),
        None => paint(Stream::Out, DIM, "-"),
    };
    let made = format!("{:>4}  {}", check.number, check.title);
    let room = CHECK_MAX.saturating_sub(made.chars().count());
    let found = match check.found.is_empty() {
        true => String::new(),
        false => paint(Stream::Out, DIM, &format!("  {}", cut(&check.found, room))),
    };
    format!("{mark} {made}{found}")
}

fn invitation(nodes: &[Place]) -> Vec<String> {
    let mut lines = vec!["until Ctrl-C; in another terminal, try:".to_owned()];
    if let Some(node) = nodes.first() {
        let Place { node: name, process, .. } = node;
        lines.push(format!(
            "  pkill -9 -P {process:<9}    {name} alone: its last will is sent, the next leads at once"
        ));
        lines.push(format!(
            "  kill -9 {process:<9}        its supervisor too: the lease decides; both come back"
        ));
        lines
            .push(format!("  http://{}/     in a browser: the cluster as {} sees it", node.admin, node.node));
        lines.push(format!("  curl -s http://{}/v1/leader", node.admin));
        lines.push(format!("  curl -sN http://{}/v1/watch", node.admin));
    }
    lines
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

fn seconds(ms: u64) -> String {
    match ms {
        0..100 => format!("{ms} ms"),
        _ => format!("{}.{:02} s", ms / 1000, ms % 1000 / 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_sight_show_who_is_not_seen() {
        let sight = |node: &str, sees: &[&str]| Sight {
            node: node.into(),
            sees: sees.iter().map(|node| (*node).to_owned()).collect(),
        };
        let lines = matrix(&[sight("a", &["b"]), sight("b", &[])]);
        assert_eq!(lines[1..], ["        1  2", "a sees  ·  ●", "b sees  ○  ·"]);
    }

    #[test]
    fn what_a_check_found_is_cut_between_characters() {
        assert_eq!(cut("short", 5), "short");
        assert_eq!(cut(&"ä".repeat(60), 8), format!("{}…", "ä".repeat(8)));
    }

    #[test]
    fn seconds_have_two_places_and_what_is_less_than_a_tenth_is_told_in_milliseconds() {
        assert_eq!([7, 99, 100, 1_239].map(seconds), ["7 ms", "99 ms", "0.10 s", "1.23 s"]);
    }
}
