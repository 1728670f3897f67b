//! What a gate tells at its admin address, and that the page for operators explains all of it.

use nitro_elect::http::{self, Admin, Bounds, client::Client};
use nitro_elect::verify::Accept;
use std::collections::BTreeSet;
use std::io::{ErrorKind, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::presenter::{Scene, line};
use crate::skip::skip;

const FENCING: &str = include_str!("../../../docs/FENCING.md");

async fn probes(scene: &Scene) -> Client {
    let listener = http::bind(&Admin::Beside { port: 0 }).await.unwrap();
    let (address, routes) = (listener.local_addr().unwrap(), scene.gate.routes(Default::default()));
    tokio::spawn(async move { http::serve_routes(listener, routes, &Bounds::default()).await });
    Client::new(address, Duration::from_secs(30))
}

async fn metrics(client: &mut Client) -> String {
    let answer = client.get("/metrics").await.unwrap();
    assert_eq!(answer.code, 200);
    String::from_utf8(answer.body.to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn ready_is_open_and_the_numbers_say_so_too() {
    let scene = Scene::set().await;
    let mut client = probes(&scene).await;
    assert_eq!(client.get("/healthz").await.unwrap().code, 200);
    assert_eq!(client.get("/readyz").await.unwrap().code, 503);
    let closed = metrics(&mut client).await;
    assert!(closed.contains("nitro_elect_gate_open 0\n"), "{closed}");
    assert!(closed.contains("nitro_elect_gate_closed{reason=\"no_proof\"} 1\n"), "{closed}");
    let mut proving = scene.leader(0, 7).keep_proving();
    proving.opened().await;
    line(&mut scene.leader(0, 7).data().await.unwrap(), "one").await.unwrap();
    assert_eq!(client.get("/readyz").await.unwrap().code, 200);
    let open = metrics(&mut client).await;
    for told in ["open 1", "term 7", "forwarded_total 1", "closed{reason=\"no_proof\"} 0"] {
        assert!(open.contains(&format!("nitro_elect_gate_{told}\n")), "{told}: {open}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_that_refuses_what_it_is_shown_says_whose_it_was_and_why() {
    let scene = Scene::with(|config| config.accept = Accept::default()).await;
    scene.leader(0, 7).data().await.unwrap_err();
    let ready = probes(&scene).await.get("/readyz").await.unwrap();
    let told = String::from_utf8(ready.body.to_vec()).unwrap();
    assert!(ready.code == 503 && told.contains("refused was that of node-1"), "{told}");
    assert!(told.contains("the proof is worth simulated"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_for_operators_explains_every_number_and_promtool_finds_no_fault() {
    let scene = Scene::set().await;
    let text = metrics(&mut probes(&scene).await).await;
    let told: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let rows = FENCING.lines().filter_map(|line| line.strip_prefix("| `")?.split(['`', '{']).next());
    let explained: BTreeSet<&str> =
        rows.filter(|name| name.contains("_gate_") || name.starts_with("process_")).collect();
    assert_eq!(told, explained);

    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut judge = match promtool.spawn() {
        Err(error) if error.kind() == ErrorKind::NotFound => return skip("promtool", "make deps"),
        judge => judge.unwrap(),
    };
    judge.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let judged = judge.wait_with_output().unwrap();
    let said = [judged.stdout, judged.stderr].concat();
    assert!(judged.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}
