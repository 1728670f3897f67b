//! Where a log is read: a state directory, beside the node that may be running there, or a node's admin address.

use std::path::PathBuf;

use super::super::Failure;
use super::super::admin_flags::{AdminFlags, patiently, read as read_answer, unanswered};
use crate::http::client::Client;
use crate::http::limits::LOG_PAGE;
use crate::http::log::End;
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
            return Ok(Source { from: From::Directory(dir.clone()), next, name });
        }
        let client = self.admin.client().await?;
        let name = client.address().to_string();
        Ok(Source { from: From::Node(Box::new(client)), next, name })
    }

    /// Whether a node is asked.
    pub fn asks(&self) -> bool {
        self.state.is_none()
    }
}

impl Source {
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

fn not_a_log() -> Failure {
    Failure::new(FAILED, "the answer is not a node's log", "run the node's version of nitro-elect")
}
