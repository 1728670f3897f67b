//! `nitro-elect proxy`: forwards nodes' requests to an enclave until it is told to stop.

use std::process::ExitCode;

use crate::help::Help;
use crate::logging::{self, LogFormat};
use crate::manifest::Manifest;
use crate::proxy::{AdmittedElectorate, ProxyArgs, ProxyConfig, ProxyError, run_proxy};
use crate::signals::{NoProcess, Signals};
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
    let served = runtime.block_on(serve(config));
    runtime.shutdown_background();
    served
}

async fn serve(config: ProxyConfig) -> Result<ExitCode, Failure> {
    let mut signals = Signals::take().map_err(NoProcess)?;
    tokio::select! {
        served = run_proxy(config) => served?,
        _ = signals.next() => tracing::info!("stopped"),
    }
    Ok(ExitCode::SUCCESS)
}
