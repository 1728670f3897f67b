//! What the flags of `nitro-elect node` say of the node, its admin address, and who may ask there.

use std::net::SocketAddr;
use std::path::Path;

use super::super::Failure;
use super::super::never_leads;
use super::Args;
use crate::change_file::Shown;
use crate::help::Help;
use crate::http::Admin;
use crate::http::guard::{Access, Hosts};
use crate::http::token::{DrawnToken, Token};
use crate::manifest::Manifest;
use crate::node::{ConfigError, Listed, NodeConfig, OpenNode};
use crate::state_home::state_home;
use crate::transport::connect::{ConnectError, resolve};
use crate::transport::endpoint::HostPort;
use crate::trust_file;

/// The address to listen at is not known.
#[derive(Debug, thiserror::Error)]
#[error("the address to listen at: {0}")]
struct ListenAddress(ConnectError);

impl Help for ListenAddress {
    fn help(&self) -> String {
        "give -p as PORT, or as IP:PORT with an address of this machine".into()
    }
}

/// The node that the flags describe.
pub(super) async fn config(args: &Args) -> Result<NodeConfig, Failure> {
    let mut config = match (&args.manifest, &args.port) {
        (Some(manifest), _) => listed(args, manifest)?,
        (None, Some(place)) => open(args, place).await?,
        (None, None) => unreachable!("the parser asks for one of the two"),
    };
    config.danger_forget_votes = args.danger_forget_votes;
    Ok(config)
}

fn listed(args: &Args, path: &Path) -> Result<NodeConfig, Failure> {
    let manifest = Manifest::load(path).map_err(Failure::unreadable)?;
    let state = args.state.as_deref().expect("the parser asks for --state beside --manifest");
    let said = Listed { listen: args.listen.clone(), name: args.name.clone() };
    let configure = if args.observe { NodeConfig::observing } else { NodeConfig::listed };
    let mut config = configure(&manifest, state, args.enclaves.clone(), said).map_err(not_configured)?;
    match args.asked_of_a_leader() {
        Some(asked) if !config.votes() => return Err(never_leads::refuse(asked, state)),
        _ => {}
    }
    config.shown = shown(args, path)?;
    Ok(config)
}

/// A key that cannot be read is an input that cannot be read: to start again does not help.
fn not_configured(error: ConfigError) -> Failure {
    match error {
        ConfigError::Key(error) => Failure::unreadable(error),
        error => error.into(),
    }
}

/// What the node is shown about changes of voters. A file that merely lies beside the manifest, and that a node may not
/// need, keeps nobody from starting.
fn shown(args: &Args, manifest: &Path) -> Result<Shown, Failure> {
    if !args.approvals.is_empty() {
        return Shown::load(&args.approvals).map_err(Failure::unreadable);
    }
    let beside = manifest.with_extension("approvals");
    if !beside.exists() {
        return Ok(Shown::default());
    }
    Ok(Shown::load(&[beside]).unwrap_or_else(|error| {
        tracing::warn!("{error}; {}", error.help());
        Shown::default()
    }))
}

async fn open(args: &Args, place: &HostPort) -> Result<NodeConfig, Failure> {
    let address = resolve(place).await.map_err(ListenAddress)?[0];
    let state = match &args.state {
        Some(state) => state.clone(),
        None => state_home()?.join(format!("open-{}", address.port())),
    };
    let trust = match &args.trust {
        Some(file) => trust_file::load(file),
        None => trust_file::load(&trust_file::default_trust_file().map_err(Failure::unreadable)?),
    };
    let trust = trust.map_err(Failure::unreadable)?;
    let peers = args.neighbours.clone();
    let said = OpenNode { address, peers, name: args.name.clone(), trust, alone: args.alone };
    NodeConfig::open(&state, args.enclaves.clone(), said).map_err(not_configured)
}

/// Where it serves.
pub(super) fn admin(args: &Args, config: &NodeConfig) -> Admin {
    match &args.admin {
        Some(address) => {
            let may_expose = args.danger_open || args.token_file.is_some();
            Admin::At { address: address.clone(), may_expose }
        }
        None => Admin::Beside { port: config.reach.bind.port() },
    }
}

/// Who may ask what of the admin address. A token that was drawn lives as long as what holds it.
pub(super) fn access(args: &Args, at: SocketAddr) -> Result<(Access, Option<DrawnToken>), Failure> {
    let hosts = args.admin.as_ref().map(|admin| Hosts::of(admin.host())).unwrap_or_default();
    let exposed = !at.ip().is_loopback() && !args.danger_open;
    if let Some(file) = &args.token_file {
        let token = Some(Token::read(file).map_err(Failure::unreadable)?);
        return Ok((Access { hosts, token, exposed }, None));
    }
    let drawn = DrawnToken::leave(at);
    if let Err(why) = &drawn {
        tracing::warn!("{why}; resign and drain are refused: {}", why.help());
    }
    let drawn = drawn.ok();
    let token = drawn.as_ref().map(|drawn| drawn.token.clone());
    Ok((Access { hosts, token, exposed }, drawn))
}
