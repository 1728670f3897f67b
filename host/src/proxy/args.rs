//! The arguments of `nitro-elect proxy`.

use super::{AdmittedElectorate, ProxyBounds, ProxyConfig};
use crate::http::Admin;
use crate::transport::endpoint::{Endpoint, HostPort};
use crate::transport::listen::Exposure;
use std::path::PathBuf;

const AFTER_HELP: &str = "\
Examples:
  nitro-elect proxy --listen tls://0.0.0.0:5443 --enclave vsock://16:5005 --manifest cluster.toml

  The same while a new manifest is being introduced:
    nitro-elect proxy --listen tls://0.0.0.0:5443 --enclave vsock://16:5005 \\
        --manifest cluster.toml --manifest cluster-next.toml

  A simulated enclave, for programs on this machine:
    nitro-elect proxy --listen tcp://127.0.0.1:5901 --enclave tcp://127.0.0.1:5900

  A guest of Firecracker or vhost-device-vsock, through its monitor's socket:
    nitro-elect proxy --listen tcp://127.0.0.1:5901 --enclave 'unix:///run/vm.vsock?port=5005'

  Is its enclave there, and what was counted:
    curl --fail http://127.0.0.1:15901/readyz
    curl http://127.0.0.1:15901/metrics

Exit codes:
  0        stopped as told
  1        could not start or run
  2        wrong usage, or a file could not be read
  128 + n  ended at once by a second signal n

Environment:
  NITRO_ELECT_LOG  what to log: error, warn, info, debug or trace";

/// Forward nodes' requests to an enclave.
///
/// The proxy runs on the machine that the enclave belongs to, since only that one reaches it. It is trusted with
/// nothing: it can read no view and forge no certificate.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = AFTER_HELP)]
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

    /// Where to serve /healthz, /readyz and /metrics [default: 127.0.0.1, the port of --listen + 10000, or any free port]
    #[arg(long, value_name = "HOST:PORT", env = "NITRO_ELECT_PROXY_ADMIN", hide_env_values = true)]
    pub admin: Option<HostPort>,

    /// Let other machines reach a tcp:// port (anybody may then use up the enclave's memory) or the admin address
    #[arg(long)]
    pub danger_open: bool,
}

impl ProxyArgs {
    /// Where these arguments put the admin address.
    pub fn admin(&self) -> Admin {
        match (&self.admin, &self.listen) {
            (Some(address), _) => Admin::At { address: address.clone(), may_expose: self.danger_open },
            (None, Endpoint::Tcp(listen) | Endpoint::Tls(listen)) => Admin::Beside { port: listen.port() },
            (None, Endpoint::Vsock { .. } | Endpoint::Unix(_) | Endpoint::HybridVsock { .. }) => {
                Admin::Beside { port: 0 }
            }
        }
    }

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
    fn the_admin_address_is_beside_a_tcp_port_and_anywhere_beside_another() {
        let admin = |line: &str| {
            let words = format!("proxy --enclave vsock://16:5005 --listen {line}");
            Line::try_parse_from(words.split(' ')).unwrap().proxy.admin()
        };
        assert_eq!(admin("tls://0.0.0.0:5443"), Admin::Beside { port: 5443 });
        assert_eq!(admin("unix:///run/proxy.sock"), Admin::Beside { port: 0 });
        let at = Admin::At { address: "127.0.0.1:9000".parse().unwrap(), may_expose: true };
        assert_eq!(admin("tcp://127.0.0.1:1 --admin 127.0.0.1:9000 --danger-open"), at);
    }

    #[test]
    fn a_wrong_endpoint_is_explained() {
        let words = "proxy --listen http://a:1 --enclave vsock://16:5005";
        let error = Line::try_parse_from(words.split(' ')).unwrap_err().to_string();
        assert!(error.contains("use tcp://, tls://, vsock:// or unix://"), "{error}");
    }
}
