//! Any bytes through the codec, read the same way by pnet, etherparse and plain arithmetic, as in
//! `tests/core_wire`.
#![no_main]

#[path = "../../tests/core_wire/oracle.rs"]
mod oracle;
#[path = "../../tests/core_wire/repair.rs"]
mod repair;

use core::net::IpAddr;

use libfuzzer_sys::fuzz_target;
use vrrp::Family;
use vrrp::wire::ChecksumForm;

// The first byte chooses the family and what is repaired, so that a checksum stands in nobody's
// way; the rest is a packet from its IP header on.
fuzz_target!(|input: &[u8]| {
    let Some((&choice, packet)) = input.split_first() else {
        return;
    };
    let family = if choice & 1 == 0 { Family::Ipv4 } else { Family::Ipv6 };
    let mut packet = packet.to_vec();
    if choice & 2 != 0 {
        repair::total_length(family, &mut packet);
    }
    match choice >> 2 & 3 {
        0 => repair::checksum(family, ChecksumForm::Rfc9568, &mut packet),
        1 => repair::checksum(family, ChecksumForm::PseudoHeader, &mut packet),
        _ => {}
    }
    match family {
        Family::Ipv4 => {
            let _ = oracle::check_ipv4(&packet);
        }
        Family::Ipv6 => {
            if let Some((IpAddr::V6(source), IpAddr::V6(destination), message)) =
                repair::parts(family, &packet)
            {
                let _ = oracle::check_ipv6(source, destination, packet[7], message);
            }
        }
    }
});
