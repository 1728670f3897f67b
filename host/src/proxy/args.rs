//! The arguments of `nitro-elect proxy`.

use super::{AdmittedElectorate, ProxyBounds, ProxyConfig};
use crate::transport::endpoint::Endpoint;
use crate::transport::listen::Exposure;
use std::path::PathBuf;

/// Forward nodes' requests to an enclave.
///
/// The proxy runs on the machine that the enclave belongs to, since only that one reaches it. It is trusted with
/// nothing: it can read no view and forge no certificate.
#[derive(Debug, Clone, clap::Args)]
#[command(after_long_help = "\
Examples:
  The enclave with context id 16 for the voters of a manifest:
    nitro-elect proxy --listen tls://0.0.0.0:5443 --enclave vsock://16:5005 --manifest cluster.toml

  The same while a new manifest is being introduced:
    nitro-elect proxy --listen tls://0.0.0.0:5443 --enclave vsock://16:5005 \\
        --manifest cluster.toml --manifest cluster-next.toml

  A simulated enclave, for programs on this machine:
    nitro-elect proxy --listen tcp://127.0.0.1:5901 --enclave tcp://127.0.0.1:5900

  A guest of Firecracker or vhost-device-vsock, through its monitor's socket:
    nitro-elect proxy --listen tcp://127.0.0.1:5901 --enclave 'unix:///run/vm.vsock?port=5005'")]
pub struct ProxyArgs {
    /// Where nodes connect: tls://HOST:PORT (needs --manifest), tcp://HOST:PORT, unix://PATH or vsock://any:PORT
    #[arg(long, value_name = "ENDPOINT", env = "NITRO_ELECT_PROXY_LISTEN")]
    pub listen: Endpoint,

    /// The enclave: vsock://CID:PORT, tcp://HOST:PORT, unix://PATH, or unix://PATH?port=PORT for hybrid vsock
    #[arg(long, value_name = "ENDPOINT", env = "NITRO_ELECT_PROXY_ENCLAVE")]
    pub enclave: Endpoint,

    /// Serve the voters of this manifest and nobody else; may be given more than once
    #[arg(long, value_name = "FILE", env = "NITRO_ELECT_PROXY_MANIFEST", value_delimiter = ',')]
    pub manifest: Vec<PathBuf>,

    /// Let a tcp:// port be reached from other machines: anybody may then use up the enclave's memory
    #[arg(long, env = "NITRO_ELECT_DANGER_OPEN")]
    pub danger_open: bool,
}

impl ProxyArgs {
    /// The configuration that these arguments mean, given the electorates of the manifests they name.
    pub fn into_config(self, electorates: Vec<AdmittedElectorate>) -> ProxyConfig {
        let exposure = match self.danger_open {
            true => Exposure::DangerOpen,
            false => Exposure::LoopbackOnly,
        };
        let bounds = ProxyBounds::default();
        ProxyConfig { listen: self.listen, enclave: self.enclave, electorates, exposure, bounds }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        proxy: ProxyArgs,
    }

    #[test]
    fn a_command_line_is_read() {
        let words = "proxy --listen tls://0.0.0.0:5443 --enclave vsock://16:5005 --manifest a --manifest b";
        let args = Line::try_parse_from(words.split(' ')).unwrap().proxy;
        assert_eq!(args.manifest, [PathBuf::from("a"), PathBuf::from("b")]);
        let config = args.into_config(vec![]);
        assert_eq!(config.listen.to_string(), "tls://0.0.0.0:5443");
        assert_eq!(config.enclave, Endpoint::Vsock { cid: 16, port: 5005 });
        assert_eq!(config.exposure, Exposure::LoopbackOnly);
    }

    #[test]
    fn a_wrong_endpoint_is_explained() {
        let words = "proxy --listen http://a:1 --enclave vsock://16:5005";
        let error = Line::try_parse_from(words.split(' ')).unwrap_err().to_string();
        assert!(error.contains("use tcp://, tls://, vsock:// or unix://"), "{error}");
    }
}
