//! Settings of the kernel that the VRRP process relies on but, without a file system, cannot make.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use vrrp::Family;
use vrrp::proto::RouterSpec;

/// The settings of all interfaces together; which of both counts differs from key to key.
const ALL: &str = "all";
const IPV6_ROUTES: &str = "/proc/thread-self/net/ipv6_route";
/// `RTF_DEFAULT`: a default route that was learned from a router.
const LEARNED_DEFAULT: u32 = 0x0001_0000;

/// A setting of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Such as `ipv4/arp_ignore`.
    pub key: &'static str,
    /// Its value.
    pub value: i32,
}

const fn setting(key: &'static str, value: i32) -> Setting {
    Setting { key, value }
}

/// What the interface below needs at least, so that nobody learns its own Ethernet address for a virtual
/// address that lives above it: it neither answers for one (`arp_ignore`) nor asks in the name of
/// one (`arp_announce`).
pub const PARENT: [Setting; 2] = [setting("ipv4/arp_ignore", 1), setting("ipv4/arp_announce", 2)];

/// What the macvlan of an IPv4 virtual router needs beside [`reverse_path`]: silence in IPv6;
/// answers for its own addresses alone; and packets from hosts that are reached through the
/// interface below, or are this one.
const IPV4: [Setting; 4] = [
    setting("ipv6/disable_ipv6", 1),
    setting("ipv4/arp_ignore", 1),
    setting("ipv4/arp_filter", 0),
    setting("ipv4/accept_local", 1),
];

/// What the macvlan of an IPv6 virtual router needs beside [`ROUTER`]: no addresses but the
/// virtual ones, at once, and no answers in IPv4.
const IPV6: [Setting; 6] = [
    setting("ipv6/addr_gen_mode", 1),
    setting("ipv6/accept_ra", 0),
    setting("ipv6/autoconf", 0),
    setting("ipv6/dad_transmits", 0),
    setting("ipv6/disable_ipv6", 0),
    setting("ipv4/arp_ignore", 1),
];

/// Neighbour advertisements of the kernel carry the router flag (RFC 9568, 8.2.2). No packet is
/// forwarded for it: that takes the setting of all interfaces.
const ROUTER: Setting = setting("ipv6/forwarding", 1);

/// A setting that could not be made.
#[derive(Debug, thiserror::Error)]
#[error("{} could not be set to {value} ({error}): set it by hand", dotted(interface, key))]
pub struct SysctlError {
    interface: String,
    key: String,
    value: i32,
    error: io::Error,
}

/// The value of a setting.
///
/// # Errors
/// If there is no such interface, or the kernel does not have the family.
pub fn read(interface: &str, key: &str) -> io::Result<i32> {
    let text = std::fs::read_to_string(path(interface, key))?;
    text.trim().parse().map_err(io::Error::other)
}

/// Gives a setting a value.
///
/// # Errors
/// [`SysctlError`].
pub fn write(interface: &str, key: &str, value: i32) -> Result<(), SysctlError> {
    std::fs::write(path(interface, key), format!("{value}\n")).map_err(|error| SysctlError {
        interface: interface.to_owned(),
        key: key.to_owned(),
        value,
        error,
    })
}

/// The name of a setting as `sysctl` has it.
pub fn dotted(interface: &str, key: &str) -> String {
    let (family, name) = key.split_once('/').unwrap_or(("ipv4", key));
    format!("net.{family}.conf.{interface}.{name}")
}

/// Makes the settings of a virtual router's macvlan. Returns what is not as it should be.
pub fn prepare(macvlan: &str, family: Family) -> Vec<String> {
    let mut problems = Vec::new();
    let settings = match family {
        Family::Ipv4 => [&IPV4[..], &[reverse_path()]].concat(),
        Family::Ipv6 => IPV6.to_vec(),
    };
    for setting in settings {
        let is_optional = family == Family::Ipv4 && setting.key.starts_with("ipv6/");
        problems.extend(ensure(macvlan, setting, is_optional));
    }
    if family == Family::Ipv6 && !read(macvlan, ROUTER.key).is_ok_and(|it| it == ROUTER.value) {
        match learned_route() {
            Some(interface) => problems.push(format!(
                "the answers of {macvlan} to neighbour solicitations carry no router flag: {} \
                 would cost the default route that {interface} has learned, unless {} is 2",
                dotted(macvlan, ROUTER.key),
                dotted(&interface, "ipv6/accept_ra"),
            )),
            None => problems.extend(ensure(macvlan, ROUTER, false)),
        }
    }
    problems
}

/// Settings of all interfaces that keep virtual IPv4 addresses on macvlans from being answered for.
pub fn obstacles() -> Vec<String> {
    let is = |key, wrong: fn(i32) -> bool| read(ALL, key).is_ok_and(wrong);
    let obstacles = [
        ("ipv4/arp_filter", is("ipv4/arp_filter", |it| it != 0), "0"),
        ("ipv4/arp_ignore", is("ipv4/arp_ignore", |it| it > 1), "0 or 1"),
    ];
    let found = obstacles.into_iter().filter(|&(_, is_there, _)| is_there);
    found
        .map(|(key, _, right)| {
            format!(
                "the kernel does not answer for virtual addresses with a virtual MAC: set {} to \
                 {right}",
                dotted(ALL, key)
            )
        })
        .collect()
}

/// Of `all` and the interface the greater counts, 1 is strict and 2 is loose: packets come in by
/// the macvlan from hosts to which the way leads out by the interface below.
fn reverse_path() -> Setting {
    let is_strict = read(ALL, "ipv4/rp_filter").is_ok_and(|it| it == 1);
    setting("ipv4/rp_filter", if is_strict { 2 } else { 0 })
}

fn ensure(interface: &str, setting: Setting, is_optional: bool) -> Option<String> {
    match read(interface, setting.key) {
        Ok(value) if value == setting.value => None,
        Err(error) if is_optional && error.kind() == ErrorKind::NotFound => None,
        _ => write(interface, setting.key, setting.value).err().map(|error| error.to_string()),
    }
}

/// An interface with a default route that a router advertised, if the kernel would drop the route
/// once any interface forwards: it does unless `accept_ra` is 2.
fn learned_route() -> Option<String> {
    let routes = std::fs::read_to_string(IPV6_ROUTES).unwrap_or_default();
    learned_routes(&routes)
        .find(|interface| !read(interface, "ipv6/accept_ra").is_ok_and(|it| it == 2))
        .map(str::to_owned)
}

/// The interfaces of learned default routes, from the kernel's list of routes.
fn learned_routes(routes: &str) -> impl Iterator<Item = &str> {
    routes.lines().filter_map(|line| {
        let mut fields = line.split_whitespace();
        let flags = u32::from_str_radix(fields.nth(8)?, 16).ok()?;
        (flags & LEARNED_DEFAULT != 0).then(|| fields.next()).flatten()
    })
}

/// Interface names have no slash: the configuration and the kernel see to that.
fn path(interface: &str, key: &str) -> PathBuf {
    let (family, name) = key.split_once('/').unwrap_or(("ipv4", key));
    Path::new("/proc/sys/net").join(family).join("conf").join(interface).join(name)
}

/// Lets an interface keep its own addresses when a stale virtual address is removed that is the
/// first of their subnet, as another program may have left it: without this the kernel would
/// remove them all.
pub fn promote_secondaries(routers: &[RouterSpec]) {
    let interfaces: BTreeSet<&str> =
        routers.iter().map(|router| router.interface.as_str()).collect();
    for interface in interfaces {
        match write(interface, "ipv4/promote_secondaries", 1) {
            Ok(()) => {}
            // It may appear later; then there is no stale address on it.
            Err(SysctlError { error, .. }) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => tracing::warn!("{error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_named_as_sysctl_names_it() {
        assert_eq!(dotted("eth0", "ipv4/arp_ignore"), "net.ipv4.conf.eth0.arp_ignore");
        let path = path("eth0.100", "ipv6/accept_ra");
        assert_eq!(path, Path::new("/proc/sys/net/ipv6/conf/eth0.100/accept_ra"));
    }

    #[test]
    fn default_routes_that_were_learned_are_found() {
        let zero = "0".repeat(32);
        let route = |flags, interface| {
            format!("{zero} 00 {zero} 00 {zero} 00000400 00000001 00000000 {flags} {interface}\n")
        };
        let routes = [route("00000001", "eth0"), route("00450003", "eth1"), "x\n".to_owned()];
        assert_eq!(learned_routes(&routes.concat()).collect::<Vec<_>>(), ["eth1"]);
        assert_eq!(learned_routes(&route("00000003", "eth0")).count(), 0);
    }
}
