//! `[api]`: where the metrics are served.

use std::net::SocketAddr;

use toml::Spanned;

use super::error::{Fault, Problems};
use super::raw::{RawApi, Section, check};
use super::virtual_router::Spec;

/// The section, its values checked by themselves.
#[derive(Default)]
pub(super) struct Api {
    pub(super) metrics: Option<Spanned<SocketAddr>>,
}

impl Api {
    /// Leaves out what is wrong; the problems then say what.
    pub(super) fn new(raw: Option<Section<RawApi>>, problems: &mut Problems) -> Self {
        let Some(RawApi { metrics, metrics_public }) = raw.map(|section| section.value) else {
            return Self::default();
        };
        let public = metrics_public.is_some_and(Spanned::into_inner);
        let metrics = metrics.map(|it| check(it, problems, |text| socket_address(&text, public)));
        Self { metrics: metrics.flatten() }
    }

    /// The metrics are each node's own, and a virtual address is not.
    pub(super) fn check_not_virtual(&self, routers: &[Spec], problems: &mut Problems) {
        let Some(metrics) = &self.metrics else {
            return;
        };
        let address = metrics.get_ref().ip().to_canonical();
        if let Some(router) = routers.iter().find(|it| it.addresses.as_slice().contains(&address)) {
            let fault = Fault::new(
                format!("{address} is an address of the virtual router {}", router.name),
                "it moves between the nodes; use 127.0.0.1, or 0.0.0.0 for all addresses",
            );
            problems.add(metrics.span(), fault);
        }
    }
}

/// An address and a port; of the loopback interface, unless the metrics are `public`.
fn socket_address(text: &str, public: bool) -> Result<SocketAddr, Fault> {
    let address: SocketAddr = text.parse().map_err(|_| {
        Fault::new(
            format!("`{text}` is not an address with a port"),
            "write it like 127.0.0.1:9112 or [::1]:9112",
        )
    })?;
    if address.port() == 0 {
        return Err(Fault::new("port 0 is no port to be found at", "9112 is usual"));
    }
    if address.ip().to_canonical().is_multicast() {
        return Err(Fault::new(
            format!("{} is a multicast address", address.ip()),
            "write it like 127.0.0.1:9112",
        ));
    }
    if !address.ip().to_canonical().is_loopback() && !public {
        return Err(Fault::new(
            format!(
                "{address} is not of the loopback interface: other hosts could read the metrics"
            ),
            "use 127.0.0.1:9112, or add `metrics_public = true` if they shall",
        ));
    }
    Ok(address)
}
