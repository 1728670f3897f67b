//! Where a log is read: a state directory, beside the node that may be running there, or a node's admin address.

use std::path::PathBuf;

use super::super::Failure;
use super::super::flags::admin::{AdminFlags, patiently, read as read_answer, unanswered};
use crate::http::client::Client;
use crate::http::limits::LOG_PAGE;
use crate::http::log::End;
use crate::limits::LOG_SHOWN_MAX;
use crate::proof_file::ProofFile;
use crate::storage::{Place, read_page};

use super::super::failure::FAILED;

/// Which log is meant.
#[derive(Debug, Clone, clap::Args)]
pub struct SourceFlags {
    /// Read the log of this state directory instead of asking a node; nothing in it is changed
    #[arg(long, value_name = "DIR", env = "NITRO_ELECT_STATE", hide_env_values = true)]
    state: Option<PathBuf>,
    #[command(flatten)]
    pub admin: AdminFlags,
}

/// A log, read up to a place.
pub struct Source {
    from: From,
    next: String,
    /// What a node has shown since the log last came to its end, in bytes.
    shown: u64,
    /// How much that may be.
    most: u64,
    /// What it is called in messages.
    pub name: String,
}

enum From {
    Directory(PathBuf),
    Node(Box<Client>),
}

/// A part of a log.
pub struct Part {
    /// Proofs, in the order in which the node adopted the certificates.
    pub proofs: Vec<ProofFile>,
    /// What could not be read.
    pub damaged: Vec<String>,
    /// Whether there is nothing more for now.
    pub is_last: bool,
}

impl SourceFlags {
    /// The log, at its beginning.
    pub async fn open(&self) -> Result<Source, Failure> {
        let next = Place::default().to_string();
        if let Some(dir) = &self.state {
            let name = dir.display().to_string();
            return Ok(Source::new(From::Directory(dir.clone()), next, name));
        }
        let client = self.admin.client().await?;
        let name = client.address().to_string();
        Ok(Source::new(From::Node(Box::new(client)), next, name))
    }

    /// Whether a node is asked.
    pub fn asks(&self) -> bool {
        self.state.is_none()
    }
}

impl Source {
    fn new(from: From, next: String, name: String) -> Self {
        Source { from, next, shown: 0, most: LOG_SHOWN_MAX, name }
    }

    /// The next part.
    pub async fn part(&mut self) -> Result<Part, Failure> {
        let part = match &mut self.from {
            From::Directory(dir) => {
                let page = read_page(dir, self.next.parse().unwrap_or_default(), LOG_PAGE);
                let page = page.map_err(Failure::unreadable)?;
                self.next = page.next.to_string();
                let proof = |bundle| ProofFile { bundle, lease: None, electorate: None };
                Part {
                    proofs: page.bundles.into_iter().map(proof).collect(),
                    damaged: page.damages.iter().map(ToString::to_string).collect(),
                    is_last: page.is_last,
                }
            }
            From::Node(client) => {
                let page = format!("/v1/log?from={}", self.next);
                let answer = patiently(client.address(), client.get(&page)).await.map_err(unanswered)?;
                if !answer.code.is_success() {
                    return Err(read_answer::<End>(&answer).err().unwrap_or_else(not_a_log));
                }
                let (part, next) = part_of(&String::from_utf8_lossy(&answer.body)).ok_or_else(not_a_log)?;
                if !part.is_last && next == self.next {
                    return Err(not_a_log());
                }
                self.next = next;
                self.shown = if part.is_last { 0 } else { self.shown + answer.body.len() as u64 };
                if self.shown > self.most {
                    return Err(endless(&self.name, self.most));
                }
                part
            }
        };
        Ok(part)
    }

    /// Everything up to now.
    pub async fn all(&mut self) -> Result<(Vec<ProofFile>, Vec<String>), Failure> {
        let (mut proofs, mut damaged) = (Vec::new(), Vec::new());
        loop {
            let part = self.part().await?;
            proofs.extend(part.proofs);
            damaged.extend(part.damaged);
            if part.is_last {
                return Ok((proofs, damaged));
            }
        }
    }
}

fn part_of(text: &str) -> Option<(Part, String)> {
    let mut lines: Vec<&str> = text.lines().collect();
    let end: End = serde_json::from_str(lines.pop()?).ok()?;
    let proofs = lines.into_iter().map(|line| ProofFile::parse_line(line).ok()).collect::<Option<_>>()?;
    Some((Part { proofs, damaged: end.damaged, is_last: end.is_last }, end.next))
}

fn endless(name: &str, most: u64) -> Failure {
    let what =
        format!("the log of {name} does not end: it has shown {most} bytes, and no node keeps as many");
    Failure::new(FAILED, what, "ask a node that you trust more, or read its state directory with --state")
}

fn not_a_log() -> Failure {
    Failure::new(FAILED, "the answer is not a node's log", "run the node's version of nitro-elect")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// Answers every question with another page that is not the last.
    async fn show_without_end(listener: TcpListener) {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = [0; 4096];
        for page in 1.. {
            let end = End { next: format!("1.{page}"), is_last: false, damaged: vec!["x".repeat(1000)] };
            let body = serde_json::to_string(&end).unwrap();
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            if !matches!(stream.read(&mut asked).await, Ok(1..))
                || stream.write_all(answer.as_bytes()).await.is_err()
            {
                return;
            }
        }
    }

    #[tokio::test]
    async fn a_node_that_shows_a_log_without_end_is_left() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(show_without_end(listener));
        let client = Client::new(address, Duration::from_secs(20));
        let source = Source::new(From::Node(Box::new(client)), Place::default().to_string(), "liar".into());
        let mut source = Source { most: 100_000, ..source };
        let reading = tokio::time::timeout(Duration::from_secs(20), source.all());
        let failure = format!("{:?}", reading.await.unwrap().err().unwrap());
        assert!(failure.contains("the log of liar does not end"), "{failure}");
    }
}
