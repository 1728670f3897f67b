//! A proxy between real sockets: nodes before it, a scripted enclave on a Unix socket behind it.

mod abuse;
mod admin;
mod crowd;
mod enclave;
mod forwarding;

use super::*;
use crate::enclave_client::{EnclaveCallError, EnclaveClient};
use crate::transport::counters::Counter;
use crate::transport::tls::TlsIdentity;
use enclave::Enclave;
use nitro_elect_protocol::crypto::NodeKey;
use nitro_elect_protocol::electorate::{Electorate, VERSION, Voter};
use nitro_elect_protocol::enclave_api::{Elect, EnclaveRefusal, Request, Response};
use nitro_elect_protocol::ids::{ClusterId, ElectorateDigest, Generation, NodeId, Pcr, Term};
use nitro_elect_protocol::policy::{Policy, Rule};
use nitro_elect_protocol::seal::SealedView;
use nitro_elect_protocol::trust::{PcrSet, Root, Trust};

const LATE: Duration = Duration::from_secs(30);

fn identity(seed: u8) -> TlsIdentity {
    TlsIdentity::of(&NodeKey::from_seed([seed; 32]))
}

fn id(seed: u8) -> NodeId {
    identity(seed).id()
}

/// The cluster of this number, with voters of these seeds.
fn electorate(cluster: u8, seeds: &[u8]) -> Electorate {
    let pcr = || Pcr([cluster; 48]);
    let accepted = vec![PcrSet { pcr0: pcr(), pcr1: pcr(), pcr2: pcr(), pcr8: None }];
    let voters = seeds.iter().map(|seed| Voter {
        key: id(*seed),
        name: format!("node-{seed}"),
        address: format!("127.0.0.1:50{seed:02}"),
        weight: 1,
    });
    Electorate {
        version: VERSION,
        cluster: ClusterId([cluster; 16]),
        name: "test".into(),
        epoch: 0,
        previous: None,
        f: 0,
        policy: Policy::of(Rule::Priority),
        lease_ms: 1000,
        trust: Trust { root: Root::Aws, accepted, allow_debug: false, max_age_ms: 3_600_000 },
        voters: voters.collect(),
    }
}

/// The cluster that the proxy serves, of nodes 1 to 3.
fn ours() -> Electorate {
    electorate(1, &[1, 2, 3])
}

fn elect(electorate: Electorate, views: Vec<SealedView>) -> Request {
    let (term, generation, coordinator) = (Term(1), Generation(1), electorate.voters[0].key);
    Request::Elect(Box::new(Elect { electorate, term, coordinator, generation, views }))
}

fn latest(digest: ElectorateDigest) -> Request {
    Request::Latest { electorate: digest }
}

/// A large request: an election with views of half a megabyte.
fn large() -> Request {
    elect(ours(), vec![SealedView(vec![7; 5_000]); 100])
}

fn config(listen: &str, enclave: &Enclave, electorates: &[Electorate]) -> ProxyConfig {
    ProxyConfig {
        listen: listen.parse().unwrap(),
        enclave: enclave.endpoint(),
        electorates: electorates.iter().map(AdmittedElectorate::of).collect(),
        exposure: Exposure::LoopbackOnly,
        bounds: ProxyBounds { retry: Duration::from_millis(10), ..ProxyBounds::default() },
    }
}

const TLS: &str = "tls://127.0.0.1:0";
const PLAIN: &str = "tcp://127.0.0.1:0";

/// A proxy that has seen its enclave.
async fn proxy(config: ProxyConfig) -> Proxy {
    let proxy = Proxy::start(config).await.unwrap();
    wait_until(&proxy, |state| matches!(state, EnclaveState::Up(_))).await;
    proxy
}

async fn wait_until(proxy: &Proxy, is_reached: impl Fn(&EnclaveState) -> bool) {
    let reached = async {
        let mut state = proxy.enclave();
        while !is_reached(&state) {
            state = proxy.enclave_changed(&state).await;
        }
    };
    tokio::time::timeout(LATE, reached).await.expect("the state is reached");
}

fn node(seed: u8, proxy: &Proxy) -> EnclaveClient {
    EnclaveClient::new(proxy.endpoint().clone(), Some(identity(seed)))
}

async fn ask(client: &EnclaveClient, request: &Request) -> Response {
    client.ask(request, LATE).await.unwrap()
}

async fn counted(counter: &Counter, number: u64) {
    let reached = async {
        while counter.get() < number {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let counted = tokio::time::timeout(LATE, reached).await;
    counted.unwrap_or_else(|_| panic!("counted only {}", counter.get()));
}
