//! `[[virtual_router]]`: each value by itself.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use toml::Spanned;
use vrrp::config::{Addresses, AddressesError, Checksum, Lease, OnDegraded, Preempt};
use vrrp::time::Centis;
use vrrp::{Family, Priority, Vrid};

use super::error::{Fault, Problems};
use super::raw::{PerName, RawVirtualRouter, Section, Text, Texts, check, check_each};
use super::transport::TransportSpec;
use super::value;

const DEFAULT_LEASE_SECS: u32 = 3;
const DEFAULT_DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
pub(super) const MAX_DRAIN_TIMEOUT: Duration = Duration::from_secs(600);
/// As many as Ethernet's 1500 bytes carry: advertisements are never fragmented.
const MAX_IPV6_ADDRESSES: usize = (1500 - 40 - 8) / 16;

/// A virtual router of the cluster, each of its values checked by itself.
pub(super) struct Spec {
    pub(super) name: Spanned<String>,
    pub(super) vrid: Spanned<Vrid>,
    pub(super) interface: Spanned<String>,
    pub(super) addresses: Addresses,
    /// Where each of the addresses stands.
    pub(super) address_spans: Vec<Spanned<IpAddr>>,
    pub(super) interval: Centis,
    /// By node.
    pub(super) priority: BTreeMap<Text, Spanned<Priority>>,
    pub(super) preempt: Preempt,
    pub(super) degraded_priority: Option<PerName<Priority>>,
    pub(super) on_degraded: OnDegraded,
    pub(super) drain_timeout: Duration,
    pub(super) virtual_mac: bool,
    pub(super) transport: TransportSpec,
    pub(super) checksum: Checksum,
    pub(super) lease: Option<Lease>,
    pub(super) checks: Vec<Text>,
}

impl Spec {
    /// `None` if something is wrong; the problems then say what.
    pub(super) fn new(raw: Section<RawVirtualRouter>, problems: &mut Problems) -> Option<Self> {
        let raw = raw.value;
        let name = check(raw.name, problems, value::name);
        let vrid = check(raw.vrid, problems, value::vrid);
        let interface = check(raw.interface, problems, value::interface);
        let addresses = addresses(raw.addresses, problems);
        let interval =
            raw.advert_interval.map(|it| check(it, problems, |text| value::advert_interval(&text)));
        let priority = check_each(raw.priority, problems, value::priority);
        let degraded_priority = raw.degraded_priority.map(|it| it.check(problems, value::priority));
        let drain_timeout = raw.drain_timeout.map(|it| {
            check(it, problems, |text| {
                value::duration_within(&text, Duration::ZERO, MAX_DRAIN_TIMEOUT)
            })
        });
        let lease = raw.lease.map(|it| check(it, problems, |text| value::lease(&text)));
        let lease = match lease.flatten() {
            Some(lease) => lease.into_inner(),
            None => Lease::from_secs(DEFAULT_LEASE_SECS).ok(),
        };
        let transport = TransportSpec::new(raw.transport, raw.peers, problems);
        let preempt = raw.preempt.map_or_else(Preempt::default, Spanned::into_inner);
        let on_degraded = raw.on_degraded.as_ref().map(|it| *it.get_ref()).unwrap_or_default();
        let checks = raw.checks.map(|checks| (checks.span(), checks.into_inner()));
        if let Some((span, checks)) = &checks
            && !checks.is_empty()
            && preempt == Preempt::Never
            && on_degraded != OnDegraded::Release
        {
            let fault = Fault::new(
                "with preempt = \"never\" nobody would take over from an Active whose checks fail",
                "add on_degraded = \"release\", or choose another preempt",
            );
            problems.add(span.clone(), fault);
        }
        let (addresses, address_spans) = addresses?;
        transport.check(&addresses, problems);
        if let Some(checksum) = &raw.checksum
            && addresses.family() == Family::Ipv6
            && *checksum.get_ref() != Checksum::Auto
        {
            let fault = Fault::new(
                "checksum is a choice of IPv4; IPv6 has only one form",
                "leave the key out",
            );
            problems.add(checksum.span(), fault);
        }
        Some(Self {
            name: name?,
            vrid: vrid?,
            interface: interface?,
            addresses,
            address_spans,
            interval: interval.flatten().map_or(Centis::DEFAULT, Spanned::into_inner),
            priority,
            preempt,
            degraded_priority: degraded_priority.flatten(),
            on_degraded,
            drain_timeout: drain_timeout
                .flatten()
                .map_or(DEFAULT_DRAIN_TIMEOUT, Spanned::into_inner),
            virtual_mac: raw.virtual_mac.is_some_and(Spanned::into_inner),
            transport,
            checksum: raw.checksum.map_or_else(Checksum::default, Spanned::into_inner),
            lease,
            checks: checks.map(|(_, checks)| checks).unwrap_or_default(),
        })
    }
}

fn addresses(texts: Texts, problems: &mut Problems) -> Option<(Addresses, Vec<Spanned<IpAddr>>)> {
    let whole = texts.span();
    let mut right = true;
    let mut addresses = Vec::new();
    for text in texts.into_inner() {
        match check(text, problems, |text| value::unicast_address(&text)) {
            Some(address) => addresses.push(address),
            None => right = false,
        }
    }
    if !right {
        return None;
    }
    let list = addresses.iter().map(|address| *address.get_ref()).collect();
    let list = match Addresses::new(list) {
        Ok(list) => list,
        Err(error) => {
            let (culprit, help) = match &error {
                AddressesError::Empty => (None, "add the virtual address"),
                AddressesError::TooMany(_) => (None, "spread them over several virtual routers"),
                AddressesError::MixedFamilies(_, culprit) => {
                    (Some(culprit), "give each family a [[virtual_router]] of its own")
                }
                AddressesError::Duplicate(culprit) => (Some(culprit), "leave one out"),
            };
            let culprit = addresses.iter().rfind(|it| Some(it.get_ref()) == culprit);
            let span = culprit.map_or(whole, Spanned::span);
            problems.add(span, Fault::new(error.to_string(), help));
            return None;
        }
    };
    if let Some(first) = addresses.first()
        && first.get_ref().is_ipv6()
        && !value::is_link_local(*first.get_ref())
    {
        let fault = Fault::new(
            "the first address of an IPv6 virtual router is link-local (RFC 9568, 5.2.9)",
            "put one of fe80::/10 before it, such as fe80::a",
        );
        problems.add(first.span(), fault);
    }
    if list.family() == Family::Ipv6 && addresses.len() > MAX_IPV6_ADDRESSES {
        let fault = Fault::new(
            format!(
                "an advertisement of {} IPv6 addresses does not fit into 1500 bytes; of \
                 {MAX_IPV6_ADDRESSES} it does",
                addresses.len()
            ),
            "spread them over several virtual routers",
        );
        problems.add(whole, fault);
    }
    Some((list, addresses))
}
