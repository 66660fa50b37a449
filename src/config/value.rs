//! The rules that a single value has to obey.

use std::net::IpAddr;
use std::time::Duration;

use vrrp::config::Lease;
use vrrp::time::Centis;
use vrrp::{Priority, Vrid};

use super::NodeName;
use super::error::Fault;

/// The name of a cluster, virtual router or check.
pub(super) fn name(name: String) -> Result<String, Fault> {
    let fits = (1..=63).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if fits {
        return Ok(name);
    }
    Err(Fault::new(
        format!("`{name}` cannot be a name"),
        "use 1 to 63 letters, digits, `-`, `_` or `.`, the first a letter or digit",
    ))
}

/// Whether Kubernetes lets a node have this name (RFC 1123's subdomain).
pub(super) fn is_node_name(name: &str) -> bool {
    let end = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (1..=253).contains(&name.len())
        && name.starts_with(end)
        && name.ends_with(end)
        && name.chars().all(|c| end(c) || matches!(c, '-' | '.'))
}

pub(super) fn node_name(name: &str) -> Result<NodeName, Fault> {
    name.parse().map_err(|_| {
        Fault::new(
            format!("`{name}` cannot name a node"),
            "use lower-case letters, digits, `-` or `.`, a letter or digit at both ends",
        )
    })
}

/// The name of a network interface, by the kernel's rule.
pub(super) fn interface(name: String) -> Result<String, Fault> {
    let rule = match name.as_str() {
        "" => "it is empty",
        "." | ".." | "all" | "default" => "the kernel does not allow it",
        name if name.len() > 15 => "it is longer than 15 bytes",
        name if name.contains(['/', ':']) => "it contains `/` or `:`",
        name if name.contains(|c: char| c.is_whitespace() || c.is_control()) => {
            "it contains white space"
        }
        _ => return Ok(name),
    };
    Err(Fault::new(
        format!("`{name}` cannot name an interface: {rule}"),
        "use a name that `ip link` shows, 1 to 15 bytes long",
    ))
}

/// An address as such.
pub(super) fn address(text: &str) -> Result<IpAddr, Fault> {
    let fault = |help: &str| Fault::new(format!("`{text}` is not an IP address"), help);
    let address = text.parse().map_err(|_| {
        fault(match text {
            text if text.contains('/') => "leave out the prefix length",
            text if text.contains('%') => "leave out the interface after `%`",
            _ => "write it like 10.0.0.10 or fd00::10",
        })
    })?;
    match address {
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => Err(fault("write it as IPv4")),
        address => Ok(address),
    }
}

/// An address that one host can have towards others.
pub(super) fn unicast_address(text: &str) -> Result<IpAddr, Fault> {
    let address = address(text)?;
    let kind = match address {
        address if address.is_multicast() => "a multicast address",
        address if address.is_loopback() => "a loopback address",
        address if address.is_unspecified() => "the unspecified address",
        IpAddr::V4(v4) if v4.is_broadcast() => "the broadcast address",
        IpAddr::V4(v4) if v4.octets()[0] == 0 || v4.octets()[0] >= 240 => "a reserved address",
        address => return Ok(address),
    };
    Err(Fault::new(
        format!("{address} is {kind}; it must be one that hosts can reach"),
        "use a free unicast address of the interface's network",
    ))
}

/// Whether the address is of fe80::/10.
pub(super) fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

/// A number with a unit: `100ms`, `1.5s`, `2m`.
pub(super) fn duration(text: &str) -> Result<Duration, Fault> {
    let fault = || {
        Fault::new(
            format!("`{text}` is not a time"),
            "write a number and its unit, such as \"100ms\", \"1.5s\" or \"2m\"",
        )
    };
    let unit = text.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(fault)?;
    let (number, unit) = text.split_at(unit);
    let unit: u128 = match unit {
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        _ => return Err(fault()),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let [whole_value, fraction_value] = [whole, fraction].map(digits);
    let whole_value = whole_value.ok_or_else(fault)?;
    let fraction_value = fraction_value.ok_or_else(fault)? * unit;
    let scale = fraction.chars().fold(1_u128, |scale, _| scale * 10);
    if !fraction_value.is_multiple_of(scale) {
        return Err(fault());
    }
    let nanos = whole_value * unit + fraction_value / scale;
    u64::try_from(nanos).map(Duration::from_nanos).map_err(|_| fault())
}

/// The value of 1 to 9 decimal digits.
fn digits(text: &str) -> Option<u128> {
    let fits = (1..=9).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if fits { text.parse().ok() } else { None }
}

/// A duration within limits.
pub(super) fn duration_within(text: &str, min: Duration, max: Duration) -> Result<Duration, Fault> {
    match duration(text)? {
        value if (min..=max).contains(&value) => Ok(value),
        _ => Err(Fault::new(
            format!("{text} is out of range"),
            format!("choose {} to {}", time(min), time(max)),
        )),
    }
}

/// A time as [`duration`] reads it.
fn time(span: Duration) -> String {
    match span.as_secs() {
        secs if secs >= 60 && secs.is_multiple_of(60) => format!("{}m", secs / 60),
        _ => format!("{span:?}"),
    }
}

/// An advertisement interval (RFC 9568, 5.2.7).
pub(super) fn advert_interval(text: &str) -> Result<Centis, Fault> {
    Centis::try_from(duration(text)?).map_err(|error| {
        Fault::new(format!("{text} is out of range: {error}"), "1s is the RFC's default")
    })
}

/// A lease, or `off`.
///
/// The kernel counts lifetimes in whole seconds, so that a refresh counts as one second at least:
/// below two, the first late refresh would cost the address. An hour is far longer than any use.
pub(super) fn lease(text: &str) -> Result<Option<Lease>, Fault> {
    const MIN: u32 = 2;
    const MAX: u32 = 3600;
    if text == "off" {
        return Ok(None);
    }
    let fault = |rule: &str| {
        Fault::new(
            format!("a lease of {text} {rule}"),
            format!("choose {MIN}s to {MAX}s in whole seconds, or \"off\""),
        )
    };
    let lease = duration(text)?;
    if lease.subsec_nanos() != 0 {
        return Err(fault("is not a whole number of seconds, in which the kernel counts it"));
    }
    match u32::try_from(lease.as_secs()).unwrap_or(u32::MAX) {
        0..MIN => Err(fault("is shorter than twice its refresh, which counts as a second")),
        secs @ MIN..=MAX => Lease::from_secs(secs).map(Some).map_err(|_| fault("is too short")),
        _ => Err(fault("is longer than an hour")),
    }
}

/// A VRID (RFC 9568, 5.2.3).
pub(super) fn vrid(number: i64) -> Result<Vrid, Fault> {
    u8::try_from(number).ok().and_then(Vrid::new).ok_or_else(|| {
        Fault::new(
            format!("vrid {number} is out of range: RFC 9568 has 1 to 255"),
            "choose one that no other virtual router on this network uses",
        )
    })
}

/// A configured priority; 0 is the wire's "I am giving up" (RFC 9568, 5.2.4).
pub(super) fn priority(number: i64) -> Result<Priority, Fault> {
    u8::try_from(number).ok().and_then(Priority::new).ok_or_else(|| {
        Fault::new(
            format!(
                "priority {number} is out of range: RFC 9568 has 1 to 254, and 255 for an owner"
            ),
            "the highest healthy priority becomes Active",
        )
    })
}

/// A TCP port.
pub(super) fn port(number: i64) -> Result<u16, Fault> {
    u16::try_from(number).ok().filter(|&port| port != 0).ok_or_else(|| {
        Fault::new(format!("port {number} is out of range"), "choose 1 to 65535; 6443 is usual")
    })
}
