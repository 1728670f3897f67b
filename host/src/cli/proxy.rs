//! `nitro-elect proxy`: forwards nodes' requests to an enclave until it is told to stop.

use std::process::ExitCode;

use crate::descriptors;
use crate::help::Help;
use crate::http::guard::Hosts;
use crate::http::{self, Bounds};
use crate::logging::{self, LogFormat};
use crate::manifest::Manifest;
use crate::proxy::{AdmittedElectorate, Proxy, ProxyArgs, ProxyConfig, ProxyError};
use crate::signals::{NoProcess, Signals};
use crate::transport::endpoint::Endpoint;
use crate::transport::listen::BindError;

use super::Failure;

/// Forward nodes' requests to an enclave
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    proxy: ProxyArgs,
    /// How log lines look [default: human on a terminal, json otherwise]
    #[arg(long, value_enum, env = "NITRO_ELECT_LOG_FORMAT", hide_env_values = true)]
    log_format: Option<LogFormat>,
}

impl Help for ProxyError {
    fn help(&self) -> String {
        match self {
            ProxyError::NobodyToAdmit { .. } => "name the manifest whose voters it serves".into(),
            ProxyError::BehindAProxy { .. } => "name the enclave with --enclave, as vsock://CID:PORT".into(),
            ProxyError::Bind(BindError::InUse { .. }) => {
                "stop that process, or choose another place with --listen".into()
            }
            ProxyError::Bind(_) => "check the place given with --listen".into(),
        }
    }
}

/// Serves until it is told to stop.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    logging::start(args.log_format);
    let manifests = args.proxy.manifest.iter().map(|path| Manifest::load(path).map_err(Failure::unreadable));
    let admitted = manifests.map(|manifest| Ok(AdmittedElectorate::of(&manifest?.electorate)));
    let config = args.proxy.clone().into_config(admitted.collect::<Result<_, Failure>>()?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(NoProcess)?;
    let served = runtime.block_on(serve(&args.proxy, config));
    runtime.shutdown_background();
    served
}

async fn serve(args: &ProxyArgs, config: ProxyConfig) -> Result<ExitCode, Failure> {
    let mut signals = Signals::take().map_err(NoProcess)?;
    let admin = http::bind(&args.admin()).await?;
    let admin_address = admin.local_addr().map_err(NoProcess)?;
    descriptors::allow_or_warn(config.descriptors_max());
    let proxy = Proxy::start(config.clone()).await?;
    introduce(&config);
    tracing::info!("listening at {} for nodes, at http://{admin_address} for probes", proxy.endpoint());
    let hosts = args.admin.as_ref().map(|admin| Hosts::of(admin.host())).unwrap_or_default();
    let routes = proxy.routes(hosts);
    let probes = tokio::spawn(async move { http::serve_routes(admin, routes, &Bounds::default()).await });
    signals.next().await;
    tracing::info!("stopping; once more ends at once");
    tokio::select! {
        () = proxy.shutdown() => (),
        signal = signals.next() => return Ok(ExitCode::from(signal.exit_code())),
    }
    probes.abort();
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Says what kind of proxy begins.
fn introduce(config: &ProxyConfig) {
    let version = super::VERSION.as_str();
    tracing::info!("nitro-elect {version}: proxy before the enclave at {}", config.enclave);
    match (config.electorates.len(), &config.listen) {
        (0, listen) => {
            tracing::warn!(
                "no --manifest: whoever reaches {listen} may use the enclave, and fill its memory"
            );
        }
        (number, Endpoint::Tls(_)) => {
            tracing::info!("admits the voters of {}, by their keys", manifests(number));
        }
        (number, _) => tracing::info!("serves the cluster of {} to whoever reaches it", manifests(number)),
    }
}

fn manifests(number: usize) -> String {
    if number == 1 { "one manifest".into() } else { format!("{number} manifests") }
}
