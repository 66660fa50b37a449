//! What the configuration says of etcd on this node, and the command line that follows from it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::data::DataDir;
use super::decision::Start;
use super::rpc::{Access, TlsFiles};

/// A master, as etcd's other members know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name, which is its member's name.
    pub name: String,
    /// Its address.
    pub address: IpAddr,
    /// Where clients connect: 2379.
    pub client_port: u16,
    /// Where members connect: 2380.
    pub peer_port: u16,
    /// Whether it speaks TLS.
    pub tls: bool,
}

impl Node {
    /// A master with etcd's ports and TLS.
    pub fn new(name: impl Into<String>, address: IpAddr) -> Self {
        Self { name: name.into(), address, client_port: 2379, peer_port: 2380, tls: true }
    }

    /// Where the other members find it.
    pub fn peer_url(&self) -> String {
        self.url(self.address, self.peer_port)
    }

    /// Where clients find it.
    pub fn client_url(&self) -> String {
        self.url(self.address, self.client_port)
    }

    fn url(&self, address: IpAddr, port: u16) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}", SocketAddr::new(address, port))
    }
}

/// etcd on this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The cluster's name, which is etcd's `--initial-cluster-token`.
    pub cluster: String,
    /// This node.
    pub me: Node,
    /// The other masters, in the order of the configuration.
    pub others: Vec<Node>,
    /// The data directory, on the host and in the container.
    pub data_dir: PathBuf,
    /// The folder with etcd's certificates in kubeadm's layout, `/etc/kubernetes/pki/etcd`; `None` only without TLS.
    pub pki: Option<PathBuf>,
    /// Where metrics and `/health` are to be had without TLS on 127.0.0.1: 2381; `None` for nowhere.
    pub metrics_port: Option<u16>,
    /// Size that the database may have, in bytes; `None` for etcd's own 2 GiB.
    pub quota: Option<u64>,
    /// `--heartbeat-interval`; `None` for etcd's own 100 ms.
    pub heartbeat: Option<Duration>,
    /// `--election-timeout`, five times the heartbeat at least; `None` for etcd's own 1 s.
    pub election: Option<Duration>,
    /// Further flags, which win over mainstay's.
    pub extra: Vec<String>,
}

impl Settings {
    /// How to speak to the members, with the certificate of kubeadm's health check.
    pub fn access(&self) -> Access {
        Access::new(self.pki.as_deref().map(TlsFiles::healthcheck_client))
    }

    /// The client URLs of all masters, this node's first.
    pub fn client_urls(&self) -> Vec<String> {
        std::iter::once(self.local_url()).chain(self.others.iter().map(Node::client_url)).collect()
    }

    /// Where etcd of this node is found from this node.
    pub fn local_url(&self) -> String {
        self.me.url(self.loopback(), self.me.client_port)
    }

    /// The same as an address and a port.
    pub fn local_address(&self) -> SocketAddr {
        SocketAddr::new(self.loopback(), self.me.client_port)
    }

    /// `m1=https://10.0.0.11:2380,m2=...`: all masters, for a bootstrap.
    pub fn initial_cluster(&self) -> String {
        let mut members: Vec<String> = std::iter::once(&self.me)
            .chain(&self.others)
            .map(|node| format!("{}={}", node.name, node.peer_url()))
            .collect();
        // The same on every master.
        members.sort();
        members.join(",")
    }

    /// etcd's command line, the program first: what a restart needs. Does not depend on how the member came to be, so that its
    /// hash says whether the configuration has changed.
    pub fn command(&self) -> Vec<String> {
        let mut command = vec!["etcd".to_owned()];
        let mut flag = |name: &str, value: String| command.push(format!("--{name}={value}"));
        flag("name", self.me.name.clone());
        flag("data-dir", self.data_dir.display().to_string());
        flag("listen-peer-urls", self.me.peer_url());
        flag("initial-advertise-peer-urls", self.me.peer_url());
        let mut clients = vec![self.local_url(), self.me.client_url()];
        clients.dedup();
        flag("listen-client-urls", clients.join(","));
        flag("advertise-client-urls", self.me.client_url());
        if let Some(port) = self.metrics_port {
            let address = SocketAddr::new(self.loopback(), port);
            flag("listen-metrics-urls", format!("http://{address}"));
        }
        if let Some(pki) = &self.pki {
            let file = |name: &str| pki.join(name).display().to_string();
            flag("cert-file", file("server.crt"));
            flag("key-file", file("server.key"));
            flag("trusted-ca-file", file("ca.crt"));
            flag("client-cert-auth", "true".to_owned());
            flag("peer-cert-file", file("peer.crt"));
            flag("peer-key-file", file("peer.key"));
            flag("peer-trusted-ca-file", file("ca.crt"));
            flag("peer-client-cert-auth", "true".to_owned());
        }
        // Refuses membership changes that lose quorum; also for somebody with etcdctl.
        flag("strict-reconfig-check", "true".to_owned());
        // A member that comes back from an isolation does not unseat the leader; etcd's own default since 3.5.
        flag("pre-vote", "true".to_owned());
        if let Some(bytes) = self.quota {
            flag("quota-backend-bytes", bytes.to_string());
        }
        if let Some(interval) = self.heartbeat {
            flag("heartbeat-interval", interval.as_millis().to_string());
        }
        if let Some(timeout) = self.election {
            flag("election-timeout", timeout.as_millis().to_string());
        }
        command.extend(self.extra.iter().cloned());
        command
    }

    /// What is added to [`Self::command`] for this one start.
    pub fn first_flags(&self, start: &Start) -> Vec<String> {
        let (state, cluster) = match start {
            Start::Bootstrap => ("new", self.initial_cluster()),
            Start::Join(joining) => ("existing", joining.initial_cluster.clone()),
            Start::Restart { .. } => return Vec::new(),
        };
        vec![
            format!("--initial-cluster={cluster}"),
            format!("--initial-cluster-state={state}"),
            format!("--initial-cluster-token={}", self.cluster),
        ]
    }

    /// Host paths that a container needs at the same place, and whether it may only read them.
    pub fn mounts(&self) -> Vec<(PathBuf, bool)> {
        let data = (self.data_dir.clone(), false);
        std::iter::once(data).chain(self.pki.clone().map(|pki| (pki, true))).collect()
    }

    /// What the data directory looks like now. Reads the disk.
    pub fn data(&self) -> DataDir {
        DataDir::observe(&self.data_dir)
    }

    /// The loopback of the node's family: an IPv6-only node has no need for IPv4.
    fn loopback(&self) -> IpAddr {
        match self.me.address {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::etcd::record::Joining;
    use crate::etcd::{ClusterId, MemberId};

    fn settings() -> Settings {
        Settings {
            cluster: "prod-a".into(),
            me: Node::new("m2", "10.0.0.12".parse().unwrap()),
            others: vec![
                Node::new("m1", "10.0.0.11".parse().unwrap()),
                Node::new("m3", "10.0.0.13".parse().unwrap()),
            ],
            data_dir: "/var/lib/etcd".into(),
            pki: Some("/etc/kubernetes/pki/etcd".into()),
            metrics_port: Some(2381),
            quota: None,
            heartbeat: None,
            election: None,
            extra: vec!["--snapshot-count=10000".into()],
        }
    }

    #[test]
    fn the_command_line_is_that_of_a_kubeadm_master() {
        let expected = "\
            etcd --name=m2 --data-dir=/var/lib/etcd --listen-peer-urls=https://10.0.0.12:2380 \
            --initial-advertise-peer-urls=https://10.0.0.12:2380 \
            --listen-client-urls=https://127.0.0.1:2379,https://10.0.0.12:2379 \
            --advertise-client-urls=https://10.0.0.12:2379 --listen-metrics-urls=http://127.0.0.1:2381 \
            --cert-file=/etc/kubernetes/pki/etcd/server.crt --key-file=/etc/kubernetes/pki/etcd/server.key \
            --trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt --client-cert-auth=true \
            --peer-cert-file=/etc/kubernetes/pki/etcd/peer.crt --peer-key-file=/etc/kubernetes/pki/etcd/peer.key \
            --peer-trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt --peer-client-cert-auth=true \
            --strict-reconfig-check=true --pre-vote=true --snapshot-count=10000";
        assert_eq!(settings().command().join(" "), expected);
    }

    #[test]
    fn the_initial_cluster_is_the_same_text_on_every_master() {
        let mut other = settings();
        std::mem::swap(&mut other.me, &mut other.others[0]);
        assert_eq!(settings().initial_cluster(), other.initial_cluster());
        assert!(settings().initial_cluster().starts_with("m1=https://10.0.0.11:2380,m2="));
    }

    #[test]
    fn only_a_first_start_says_how_the_cluster_came_to_be() {
        let settings = settings();
        assert!(settings.first_flags(&Start::Restart { note: None }).is_empty());
        let bootstrap = settings.first_flags(&Start::Bootstrap);
        assert!(bootstrap.contains(&"--initial-cluster-state=new".to_owned()));
        let joining = Joining {
            cluster: ClusterId(1),
            member: MemberId(2),
            initial_cluster: "m1=https://10.0.0.11:2380,m2=https://10.0.0.12:2380".into(),
        };
        let join = settings.first_flags(&Start::Join(joining));
        assert!(join.contains(&"--initial-cluster-state=existing".to_owned()));
        assert!(!join.iter().any(|flag| flag.contains("m3")));
    }

    #[test]
    fn an_ipv6_node_listens_on_ipv6() {
        let mut settings = settings();
        settings.me = Node::new("m2", "2001:db8::2".parse().unwrap());
        assert_eq!(settings.me.peer_url(), "https://[2001:db8::2]:2380");
        assert_eq!(settings.local_url(), "https://[::1]:2379");
    }
}
