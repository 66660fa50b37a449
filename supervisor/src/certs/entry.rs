//! kubeadm's certificates: what each is called, what it is for and who signs it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{InvalidName, Name, Settings};

/// One certificate with its private key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entry {
    /// The cluster's authority.
    Ca,
    /// etcd's authority.
    EtcdCa,
    /// The authority of what speaks to aggregated API servers.
    FrontProxyCa,
    /// The API server towards its clients.
    ApiServer,
    /// The API server towards kubelets.
    ApiServerKubeletClient,
    /// The API server towards etcd.
    ApiServerEtcdClient,
    /// The API server towards aggregated API servers.
    FrontProxyClient,
    /// etcd towards its clients.
    EtcdServer,
    /// etcd towards its peers.
    EtcdPeer,
    /// mainstay, or a probe, towards etcd.
    EtcdHealthcheckClient,
}

/// Whether something breaks without a name in a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Members or clients are refused without it.
    Essential,
    /// Only some clients use it.
    Useful,
}

impl Entry {
    /// All of them, authorities first.
    pub const ALL: [Self; 10] = [
        Self::Ca,
        Self::EtcdCa,
        Self::FrontProxyCa,
        Self::ApiServer,
        Self::ApiServerKubeletClient,
        Self::ApiServerEtcdClient,
        Self::FrontProxyClient,
        Self::EtcdServer,
        Self::EtcdPeer,
        Self::EtcdHealthcheckClient,
    ];

    /// The names of its files, without `.crt` and `.key`, in the folder.
    pub fn stem(self) -> &'static str {
        match self {
            Self::Ca => "ca",
            Self::EtcdCa => "etcd/ca",
            Self::FrontProxyCa => "front-proxy-ca",
            Self::ApiServer => "apiserver",
            Self::ApiServerKubeletClient => "apiserver-kubelet-client",
            Self::ApiServerEtcdClient => "apiserver-etcd-client",
            Self::FrontProxyClient => "front-proxy-client",
            Self::EtcdServer => "etcd/server",
            Self::EtcdPeer => "etcd/peer",
            Self::EtcdHealthcheckClient => "etcd/healthcheck-client",
        }
    }

    /// Who signs it; an authority signs itself.
    pub fn authority(self) -> Option<Self> {
        match self {
            Self::Ca | Self::EtcdCa | Self::FrontProxyCa => None,
            Self::ApiServer | Self::ApiServerKubeletClient => Some(Self::Ca),
            Self::FrontProxyClient => Some(Self::FrontProxyCa),
            Self::ApiServerEtcdClient
            | Self::EtcdServer
            | Self::EtcdPeer
            | Self::EtcdHealthcheckClient => Some(Self::EtcdCa),
        }
    }

    pub(super) fn common_name(self, settings: &Settings) -> &str {
        match self {
            Self::Ca => "kubernetes",
            Self::EtcdCa => "etcd-ca",
            Self::FrontProxyCa => "front-proxy-ca",
            Self::ApiServer => "kube-apiserver",
            Self::ApiServerKubeletClient => "kube-apiserver-kubelet-client",
            Self::ApiServerEtcdClient => "kube-apiserver-etcd-client",
            Self::FrontProxyClient => "front-proxy-client",
            Self::EtcdServer | Self::EtcdPeer => &settings.node,
            Self::EtcdHealthcheckClient => "kube-etcd-healthcheck-client",
        }
    }

    /// The group that RBAC takes its holder for.
    pub(super) fn organization(self) -> Option<&'static str> {
        matches!(self, Self::ApiServerKubeletClient).then_some("system:masters")
    }

    /// Whether it is shown to those who connect. An etcd member's peers and clients may both be either side.
    pub(super) fn serves(self) -> bool {
        matches!(self, Self::ApiServer | Self::EtcdServer | Self::EtcdPeer)
    }

    /// Whether it is shown to what is connected to. etcd shows its server's certificate to itself, by its gateway.
    pub(super) fn connects(self) -> bool {
        self.authority().is_some() && self != Self::ApiServer
    }

    /// What its holder is called, without duplicates.
    pub(super) fn names(self, settings: &Settings) -> Result<Vec<(Name, Need)>, InvalidName> {
        use Need::{Essential, Useful};
        let mut names = Vec::new();
        let mut add = |name: Name, need| {
            if names.iter().all(|(it, _)| *it != name) {
                names.push((name, need));
            }
        };
        if !self.serves() {
            return Ok(names);
        }
        for address in &settings.addresses {
            add(Name::Ip(*address), Essential);
        }
        if self == Self::ApiServer {
            for name in &settings.api_names {
                add(name.clone(), Essential);
            }
            let service = format!("kubernetes.default.svc.{}", settings.service_domain);
            for name in ["kubernetes", "kubernetes.default", "kubernetes.default.svc", &service] {
                add(name.parse()?, Useful);
            }
        }
        add(settings.node.parse()?, Useful);
        // A master's own components ask its own API server and etcd, not the virtual address.
        add(Name::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST)), Essential);
        add(Name::Ip(IpAddr::V6(Ipv6Addr::LOCALHOST)), Useful);
        add(Name::Dns("localhost".into()), Useful);
        Ok(names)
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.stem())
    }
}
