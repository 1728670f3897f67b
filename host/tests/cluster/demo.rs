//! The demo, from outside.

use crate::operator::{Operator, is_running, nitro_elect, signal, until};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

fn events(output: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(output).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Every process that the demo told of.
fn processes(events: &[Value]) -> Vec<u32> {
    let nodes = events.iter().filter_map(|event| event["nodes"].as_array()).flatten();
    let numbers = nodes.chain(events).filter_map(|place| place["process"].as_u64());
    numbers.map(|number| u32::try_from(number).unwrap()).collect()
}

fn is_empty(directory: &Path) -> bool {
    std::fs::read_dir(directory).unwrap().next().is_none()
}

#[test]
fn a_demo_run_ends_well_and_leaves_nothing_behind() {
    let home = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let output = nitro_elect(home.path(), &["demo", "--once", "--json"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(began.elapsed().as_secs() < 60);
    let events = events(&output.stdout);
    let names: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    let expected = [
        "begins",
        "enclave",
        "proxy",
        "nodes",
        "sight",
        "elected",
        "proof",
        "killed",
        "elected",
        "proof",
        "started_again",
        "returned",
        "done",
    ];
    assert_eq!(names, expected);
    let elected: Vec<&Value> = events.iter().filter(|event| event["event"] == "elected").collect();
    assert!(elected[1]["term"].as_u64() > elected[0]["term"].as_u64());
    assert_ne!(elected[0]["leader"], elected[1]["leader"]);
    let took = elected[1]["took_ms"].as_u64().unwrap();
    assert!(
        took < 600,
        "its voters are bound for two thirds of a lease, and a last will frees them: {took} ms"
    );
    let processes = processes(&events);
    assert_eq!(processes.len(), 6, "four nodes, the one that was killed, and the one that returned");
    assert_eq!(processes.into_iter().filter(|process| is_running(*process)).count(), 0);
    assert!(is_empty(home.path()), "all files were in its temporary directory");
}

/// Starts a demo, and returns it with the processes of its nodes once they run.
async fn running(operator: &mut Operator, once: &[&str]) -> (std::process::Child, Vec<u32>) {
    let told = operator.directory.path().join("told");
    let home = operator.directory.path().join("home");
    std::fs::create_dir(&home).unwrap();
    let mut command: Command = nitro_elect(&home, &[&["demo", "--json"], once].concat());
    let child = command.stdout(std::fs::File::create(&told).unwrap()).stderr(Stdio::null()).spawn().unwrap();
    let nodes = until("the start of the nodes", async || {
        let text = std::fs::read_to_string(&told).unwrap();
        let whole = &text[..text.rfind('\n')? + 1];
        let nodes = processes(&events(whole.as_bytes()));
        (nodes.len() >= 4).then_some(nodes)
    });
    (child, nodes.await)
}

#[tokio::test]
async fn a_demo_that_is_killed_takes_its_processes_along() {
    let mut operator = Operator::new();
    let (mut demo, nodes) = running(&mut operator, &[]).await;
    demo.kill().unwrap();
    demo.wait().unwrap();
    until("the end of the nodes", async || (!nodes.iter().any(|node| is_running(*node))).then_some(())).await;
}

#[tokio::test]
async fn a_demo_that_is_told_to_end_clears_everything_away() {
    let mut operator = Operator::new();
    let (mut demo, nodes) = running(&mut operator, &["--once"]).await;
    signal(demo.id(), libc::SIGTERM);
    let status = until("the end of the demo", async || demo.try_wait().unwrap()).await;
    assert_eq!(status.code(), Some(143));
    assert!(!nodes.iter().any(|node| is_running(*node)));
    assert!(is_empty(&operator.directory.path().join("home")));
}

#[test]
fn people_see_that_it_is_simulated_and_what_was_checked() {
    let home = tempfile::tempdir().unwrap();
    let output = nitro_elect(home.path(), &["demo", "--once", "--nodes", "5"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    for word in ["SIMULATED", "VALID", "node-5", "kill -9", "everything went as it must", "4.13", "quorum"] {
        assert!(text.contains(word), "{word} is missing in {text}");
    }
    assert!(!text.contains('\u{1b}'), "no colours outside a terminal");
    let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
    assert!(widest <= 125, "{widest} columns");
}
