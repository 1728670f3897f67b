//! What no fail-over can do without: one connection between two nodes, and one decision of an enclave.

use anyhow::{Context, Result, bail};
use nitro_elect::clock;
use nitro_elect::enclave_client::EnclaveClient;
use nitro_elect::simulated::SimulatedPki;
use nitro_elect::simulated::enclave::SimulatedEnclave;
use nitro_elect::transport::endpoint::Endpoint;
use nitro_elect::transport::listen::{Exposure, Listener};
use nitro_elect::transport::tls::{ExpectedKey, Service, TlsClient, TlsIdentity, TlsServer};
use nitro_elect_protocol::attestation::{VerifiedEnclave, When};
use nitro_elect_protocol::codec;
use nitro_elect_protocol::crypto::{Crypto, NodeKey, Ring, Signer};
use nitro_elect_protocol::electorate::{Electorate, VERSION, Voter};
use nitro_elect_protocol::enclave_api::{Elect, Request, Response};
use nitro_elect_protocol::ids::{ClusterId, Generation, Term};
use nitro_elect_protocol::policy::{Policy, Rule};
use nitro_elect_protocol::seal::{self, SealedView};
use nitro_elect_protocol::statement::Verified;
use nitro_elect_protocol::view::View;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::figures::Figures;

const LATE: Duration = Duration::from_secs(10);
const VOTERS: u8 = 4;
/// The quorum of four.
const QUORUM: u8 = 3;

/// The floor's two parts.
pub struct Floor {
    pub connection: Figures,
    pub decision: Figures,
}

impl Floor {
    pub fn sum(&self) -> Duration {
        self.connection.median() + self.decision.median()
    }
}

/// Measures each part so many times.
pub async fn measure(times: usize) -> Result<Floor> {
    let connection = connections(times).await?;
    let decision = decisions(times).await?;
    Ok(Floor { connection, decision })
}

/// A connection with both keys shown, one byte there and one back.
async fn connections(times: usize) -> Result<Figures> {
    let (ours, theirs) = (NodeKey::from_seed([1; 32]), NodeKey::from_seed([2; 32]));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let place = listener.local_addr()?;
    let server = TlsServer::of_node(&TlsIdentity::of(&theirs));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok((mut stream, ..)) = server.accept(stream, LATE).await {
                let byte = stream.read_u8().await.unwrap_or_default();
                let _gone = stream.write_u8(byte).await;
                let _gone = stream.flush().await;
            }
        }
    });
    let client = TlsClient::new(Service::Will, TlsIdentity::of(&ours));
    let mut measured = Vec::new();
    for _ in 0..times {
        let began = Instant::now();
        let stream = TcpStream::connect(place).await?;
        stream.set_nodelay(true)?;
        let (mut stream, _) = client.connect(stream, ExpectedKey::Exactly(theirs.id()), LATE).await?;
        stream.write_u8(7).await?;
        stream.flush().await?;
        stream.read_u8().await?;
        measured.push(began.elapsed());
    }
    Ok(Figures::of(measured))
}

/// An election among a quorum, from the request to the signed certificate, over a socket.
async fn decisions(times: usize) -> Result<Figures> {
    let directory = tempfile::tempdir()?;
    let endpoint: Endpoint = format!("unix://{}", directory.path().join("enclave").display()).parse()?;
    let enclave = SimulatedEnclave::boot(SimulatedPki::generate()?, clock::wall)?;
    let listener = Listener::bind(&endpoint, Exposure::LoopbackOnly).await?;
    let serving = enclave.clone();
    tokio::spawn(async move { serving.serve(listener).await });
    let client = EnclaveClient::new(endpoint, None);
    let Response::Attestation { document } = client.ask(&Request::Attest { nonce: None }, LATE).await? else {
        bail!("the enclave does not attest itself");
    };
    let live = When::Live { now: clock::wall() };
    let verified = Ring.verify_enclave(&document, enclave.trust(), None, live)?;
    let electorate = electorate(&enclave);
    let mut measured = Vec::new();
    for term in 1..=u64::try_from(times)? {
        let election = Request::Elect(Box::new(election(&electorate, &verified, Term(term))?));
        let began = Instant::now();
        let answer = client.ask(&election, LATE).await?;
        measured.push(began.elapsed());
        if !matches!(answer, Response::Elected { .. }) {
            bail!("the enclave does not elect: {answer:?}");
        }
    }
    Ok(Figures::of(measured))
}

fn key(number: u8) -> NodeKey {
    NodeKey::from_seed([number + 1; 32])
}

fn electorate(enclave: &SimulatedEnclave) -> Electorate {
    let voter = |number: u8| Voter {
        key: key(number).id(),
        name: format!("node-{number}"),
        address: format!("127.0.0.1:{}", 5000 + u16::from(number)),
        weight: 1,
    };
    let mut electorate = Electorate {
        version: VERSION,
        cluster: ClusterId([9; 16]),
        name: "floor".into(),
        epoch: 1,
        previous: None,
        f: 1,
        policy: Policy::of(Rule::Priority),
        lease_ms: 1000,
        trust: enclave.trust().clone(),
        voters: (0..VOTERS).map(voter).collect(),
    };
    electorate.sort();
    electorate
}

fn election(electorate: &Electorate, enclave: &VerifiedEnclave, term: Term) -> Result<Elect> {
    let mut random = StdRng::seed_from_u64(term.0);
    let views = (0..QUORUM).map(|number| view(electorate, enclave, term, number, &mut random));
    let views = views.collect::<Result<Vec<SealedView>>>()?;
    let (coordinator, generation) = (key(0).id(), Generation(1));
    Ok(Elect { electorate: electorate.clone(), term, coordinator, generation, views })
}

fn view(
    electorate: &Electorate,
    enclave: &VerifiedEnclave,
    term: Term,
    number: u8,
    random: &mut StdRng,
) -> Result<SealedView> {
    let key = key(number);
    let view = View {
        cluster: electorate.cluster,
        electorate: electorate.digest(),
        enclave: enclave.id(),
        term,
        coordinator: self::key(0).id(),
        coordinator_generation: Generation(1),
        voter: key.id(),
        voter_generation: Generation(1),
        active: electorate.voters.iter().map(|voter| voter.key).collect(),
        eligible: true,
        preferred: None,
        accepted: None,
        signed_at: clock::wall(),
    };
    let signed = codec::encode(&Verified::sign(view, &key).into_signed());
    let context = seal::context(&electorate.digest(), &enclave.id(), term);
    Ring.seal(&enclave.hpke_key(), &context, &signed, random).context("a view could not be sealed")
}
