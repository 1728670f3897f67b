//! The gate of an open cluster: refused unless its caller says so, and then it lets in one leader after the other.

use nitro_elect::gate::wire::{FromGate, Purpose, ToGate, send};
use nitro_elect::gate::{Gate, GateConfig, GateError};
use nitro_elect::help::Help;
use nitro_elect::http::{self, Admin, Bounds, client::Client};
use nitro_elect::transport::tls::TlsIdentity;
use nitro_elect::verify::{Accept, Authority};
use nitro_elect_protocol::assurance::Assurance;
use nitro_elect_protocol::limits::OPEN_MEMBERS_MAX;
use std::sync::OnceLock;
use std::time::Duration;

use crate::presenter::{Presenter, Scene, config, line, said};
use crate::resource::Resource;
use crate::world::World;

/// The members of an open cluster.
fn members() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(World::opened)
}

fn of_open_cluster(config: &mut GateConfig) {
    config.authorities = vec![Authority::Open(Box::new(members().electorate.trust.clone()))];
    config.accept = Accept { open: true, ..Accept::default() };
}

fn member(scene: &Scene, voter: usize, term: u64) -> Presenter {
    Presenter { world: members(), ..scene.leader(voter, term) }
}

#[tokio::test]
async fn an_open_cluster_is_refused_unless_the_caller_says_so() {
    let (home, resource) = (tempfile::tempdir().unwrap(), Resource::start());
    let mut config = config(&home.path().join("gate"), &resource);
    of_open_cluster(&mut config);
    config.accept = Accept { debug: true, simulated: true, open: false };
    let refused = Gate::start(config).await.err().unwrap();
    assert!(matches!(refused, GateError::OpenCluster), "{refused}");
    assert!(refused.help().contains("--allow-open") && refused.help().contains("--manifest"));
    assert!(!home.path().join("gate").exists(), "nothing was changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_clusters_leaders_come_one_after_the_other_and_are_called_open() {
    let scene = Scene::with(of_open_cluster).await;
    let mut old = member(&scene, 0, 7).data().await.unwrap();
    line(&mut old, "old").await.unwrap();
    assert_eq!(scene.gate.situation().assurance, Some(Assurance::Open));
    let twice = member(&scene, 1, 7).data().await.unwrap_err();
    assert!(twice.contains("term 7 was admitted for another leader"), "{twice}");
    let mut next = member(&scene, 1, 8).keep_proving();
    next.opened().await;
    assert!(line(&mut old, "late").await.is_err());
    line(&mut member(&scene, 1, 8).data().await.unwrap(), "new").await.unwrap();
    assert_eq!(scene.resource.text(), "old\nnew\n");
    let listener = http::bind(&Admin::Beside { port: 0 }).await.unwrap();
    let (address, routes) = (listener.local_addr().unwrap(), scene.gate.routes(Default::default()));
    tokio::spawn(async move { http::serve_routes(listener, routes, &Bounds::default()).await });
    let mut client = Client::new(address, Duration::from_secs(30));
    let status: serde_json::Value = client.get_json("/status").await.unwrap();
    assert_eq!(status["assurance"], "open", "{status}");
    let metrics = client.get("/metrics").await.unwrap().body.to_vec();
    let metrics = String::from_utf8(metrics).unwrap();
    assert!(metrics.contains("nitro_elect_gate_assurance{assurance=\"open\"} 1\n"), "{metrics}");
    assert!(metrics.contains("nitro_elect_gate_assurance{assurance=\"attested\"} 0\n"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn proofs_of_a_manifests_cluster_are_nothing_to_an_open_ones_gate() {
    let scene = Scene::with(of_open_cluster).await;
    let refused = scene.leader(0, 7).data().await.unwrap_err();
    assert!(refused.contains("of a cluster with a manifest"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_open_cluster_no_more_keys_are_served_at_once_than_it_has_members() {
    let scene = Scene::with(of_open_cluster).await;
    let mut held = Vec::new();
    for _ in 0..OPEN_MEMBERS_MAX {
        let mut stream = scene.leader(0, 7).dial(TlsIdentity::throw_away()).await;
        send(&mut stream, &ToGate::Hello(Purpose::Prove)).await.unwrap();
        assert!(matches!(said(&mut stream).await, FromGate::Nonce(_)));
        held.push(stream);
    }
    let mut late = scene.leader(0, 7).dial(TlsIdentity::throw_away()).await;
    let FromGate::Closed { why } = said(&mut late).await else { panic!("there is no room") };
    assert!(why.contains("keys are connected already"), "{why}");
    assert_eq!(scene.gate.counters().not_admitted.get(), 1);
}
