//! `nitro-elect watch --manifest`: who holds the lease, by proofs that this program verifies itself.

use hyper::StatusCode;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use super::super::Failure;
use super::super::failure::{FAILED, of_verdict};
use super::super::flags::admin::{AdminFlags, unanswered};
use super::super::output::{Format, Stream, paint, print};
use crate::clock;
use crate::core::timing::Timing;
use crate::http::client::{Answer, AskError, Client};
use crate::manifest::Manifest;
use crate::node::happening::worth;
use crate::signals::NoProcess;
use crate::verify::vigil::{Change, Leads, Vigil};
use crate::verify::{Accept, Verdict};
use nitro_elect_protocol::electorate::Electorate;
use nitro_elect_protocol::hash;
use nitro_elect_protocol::ids::{NodeId, Nonce};
use nitro_elect_protocol::time::{Boot, Wall};

/// Who is watched, and how it is told.
struct Watch {
    electorate: Electorate,
    vigil: Vigil,
    /// The node that is asked, by the only name that is known for sure.
    node: SocketAddr,
    format: Format,
}

/// Watches until interrupted, or until a proof is worth less than was asked for.
pub async fn run(
    manifest: &Path,
    admin: &AdminFlags,
    accept: Accept,
    format: Format,
) -> Result<ExitCode, Failure> {
    let electorate = Manifest::load(manifest).map_err(Failure::unreadable)?.electorate;
    let vigil = Vigil::new(electorate.clone(), accept);
    let (node, token) = admin.resolve().await?;
    let mut client = Client::new(node, vigil.usable()).with_token(token);
    let pause = Timing { lease: electorate.lease() }.renewal();
    let mut watch = Watch { electorate, vigil, node, format };
    let mut first = true;
    loop {
        let (nonce, drawn) = (draw()?, clock::boot());
        let path = format!("/v1/proof?nonce={}", hash::to_hex(&nonce.0));
        let answer = watch.while_waiting(client.get(&path)).await?;
        if first && let Err(error @ AskError::Connect { .. }) = answer {
            return Err(unanswered(error));
        }
        first = false;
        let changes = watch.take(answer, &nonce, drawn)?;
        if watch.tell(changes)? {
            return Ok(of_verdict(Verdict::LessAssurance));
        }
        watch.while_waiting(tokio::time::sleep(pause)).await?;
    }
}

impl Watch {
    /// Waits for something, and tells when the lease ends meanwhile.
    async fn while_waiting<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Failure> {
        let mut work = std::pin::pin!(work);
        loop {
            let left = self.vigil.until().map_or(Duration::MAX, clock::until);
            match tokio::time::timeout(left, &mut work).await {
                Ok(done) => return Ok(done),
                Err(_) => {
                    let over = self.vigil.ended(clock::boot());
                    self.tell(over.into_iter().collect())?;
                }
            }
        }
    }

    /// What an answer changes. Nothing of it that was not verified is shown.
    fn take(
        &mut self,
        answer: Result<Answer, AskError>,
        nonce: &Nonce,
        drawn: Boot,
    ) -> Result<Vec<Change>, Failure> {
        let now = clock::now();
        let answer = match answer {
            Ok(answer) => answer,
            Err(AskError::Late { .. }) => {
                return Ok(self.vigil.silent("it does not answer in time", now.boot));
            }
            Err(AskError::Connect { source, .. }) => {
                return Ok(self.vigil.silent(format!("it cannot be reached: {source}"), now.boot));
            }
            Err(_) => {
                return Ok(self
                    .vigil
                    .silent("its answer breaks off, or is longer than any node's", now.boot));
            }
        };
        match answer.code {
            StatusCode::OK => {
                Ok(self.vigil.answered(&String::from_utf8_lossy(&answer.body), nonce, drawn, now))
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(Failure::new(
                FAILED,
                format!("{} answers only to its token", self.node),
                "give --token-file with the file that the node was started with",
            )),
            code => Ok(self.vigil.silent(format!("it shows none ({})", code.as_u16()), now.boot)),
        }
    }

    /// Prints changes; whether the watch is over because a proof is worth too little.
    fn tell(&mut self, changes: Vec<Change>) -> Result<bool, Failure> {
        for change in changes {
            let at = clock::wall();
            let text = self.text(&change);
            match self.format.json {
                true => print(&self.object(&change, at, &text).to_string())?,
                false => print(&format!("{at}  {}", paint(Stream::Out, style(&change), &text)))?,
            }
            if let Change::LessAssurance(_) = change {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn name(&self, key: &NodeId) -> String {
        self.electorate.voter(key).map_or_else(|| key.short(), |voter| voter.name.clone())
    }

    fn text(&self, change: &Change) -> String {
        let node = self.node;
        match change {
            Change::Leads(Leads { leader, term, assurance, .. }) => {
                let (leader, worth) = (self.name(leader), worth(*assurance));
                format!("{leader} holds the lease of term {term}, verified ({worth})")
            }
            Change::Over(Leads { leader, term, .. }) => {
                format!(
                    "the lease of {} in term {term} is over, and nobody is known to hold one",
                    self.name(leader)
                )
            }
            Change::NoProof { why } => match self.vigil.proven() {
                Some(since) => format!("no proof since {since} from {node}: {why}"),
                None => format!("no proof yet from {node}: {why}"),
            },
            Change::Lied(lie) => format!("{node} LIES: {lie}"),
            Change::LessAssurance(assurance) => format!(
                "{node} shows a proof that is right, but worth only {}: --allow-{assurance} accepts it",
                worth(*assurance)
            ),
        }
    }

    fn object(&self, change: &Change, at: Wall, text: &str) -> Value {
        let event = match change {
            Change::Leads(_) => "leads",
            Change::Over(_) => "over",
            Change::NoProof { .. } => "no_proof",
            Change::Lied(_) => "lie",
            Change::LessAssurance(_) => "less_assurance",
        };
        let lease = match change {
            Change::Leads(leads) | Change::Over(leads) => Some(leads),
            _ => None,
        };
        let leader =
            lease.map(|lease| json!({ "name": self.name(&lease.leader), "key": lease.leader.to_string() }));
        json!({
            "at": at.to_string(),
            "event": event,
            "node": self.node.to_string(),
            "term": lease.map(|lease| lease.term),
            "leader": leader,
            "assurance": lease.map(|lease| lease.assurance),
            "text": text,
        })
    }
}

fn style(change: &Change) -> &'static str {
    match change {
        Change::Leads(_) => "32",
        Change::Over(_) | Change::NoProof { .. } | Change::LessAssurance(_) => "33",
        Change::Lied(_) => "31;1",
    }
}

fn draw() -> Result<Nonce, Failure> {
    let mut bytes = [0; 32];
    let drawn = SystemRandom::new().fill(&mut bytes);
    drawn.map_err(|_| NoProcess(std::io::Error::other("the system has no random bytes")))?;
    Ok(Nonce(bytes))
}
