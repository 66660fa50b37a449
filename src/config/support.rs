//! What the configuration can say and this version cannot do yet. It is refused, never ignored.
//! Whoever builds one of these removes it here, and nowhere else.

use toml::de::DeTable;
use vrrp::{Family, Priority};

use super::error::{Fault, Problems};
use super::raw::{Raw, RawTransport};
use super::value;

/// Sections that later versions read.
const LATER_SECTIONS: [&str; 7] =
    ["supervisor", "docker", "etcd", "kubelet", "kube_proxy", "kubernetes", "api"];

/// Takes the sections of later versions out of the file and reports them.
pub(super) fn refuse_sections(file: &mut DeTable<'_>, problems: &mut Problems) {
    for section in LATER_SECTIONS {
        if let Some((key, _)) = file.remove_entry(section) {
            problems.add(key.span(), refusal(&format!("[{section}]"), "remove the section"));
        }
    }
}

/// Reports the values that only later versions can work with.
pub(super) fn refuse_values(file: &Raw, problems: &mut Problems) {
    let mut refuse = |span, what, help| problems.add(span, refusal(what, help));
    for check in &file.check {
        refuse(check.span.clone(), "[[check]]", "remove the section");
    }
    for router in file.virtual_router.iter().map(|router| &router.value) {
        if let Some(checks) = &router.checks {
            refuse(checks.span(), "`checks`", "remove the key");
        }
        if let Some(transport) = &router.transport
            && *transport.get_ref() == RawTransport::Unicast
        {
            refuse(transport.span(), "transport = \"unicast\"", "use \"multicast\"");
        }
        if let Some(virtual_mac) = &router.virtual_mac
            && *virtual_mac.get_ref()
        {
            refuse(virtual_mac.span(), "virtual_mac = true", "use false");
        }
        for address in router.addresses.get_ref() {
            if value::address(address.get_ref()).is_ok_and(|it| Family::of(it) == Family::Ipv6) {
                refuse(address.span(), "a virtual IPv6 address", "use IPv4 addresses");
            }
        }
        for priority in router.priority.values() {
            if *priority.get_ref() == i64::from(Priority::OWNER.get()) {
                refuse(priority.span(), "priority 255, the address owner's", "use 254 or less");
            }
        }
    }
}

fn refusal(what: &str, help: &str) -> Fault {
    Fault::new(format!("{what} is not supported by this version of mainstay"), help)
}
