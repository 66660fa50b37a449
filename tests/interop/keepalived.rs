//! What keepalived makes of us in particular, over IPv4.

use crate::support::{M1, M2, Net, keepalived, preempting};
use lab::{Checksum, Daemon, Interval, Part, Stamp};

const FAST: Interval = Interval::from_millis(200);
/// Slow enough to tell Skew_Time from Active_Down_Interval.
const SLOW: Interval = Interval::from_millis(1000);

fn ours(interval: Interval) -> Daemon {
    Daemon { interval, ..preempting() }
}

#[test]
fn mainstay_is_backup_of_keepalived_and_takes_over_when_it_dies() {
    let Some(net) = Net::up(2) else { return };
    net.start(&[M1], &keepalived(FAST));
    net.owned_by(M1);
    net.start(&[M2], &ours(FAST));
    net.backup_of(M2, M1);
    assert_eq!(net.router(M2)["active_priority"], 254);
    let start = Stamp::now();
    net.unmoved(M1, start);
    assert_eq!(net.sent(M2, start), 0);

    let killed = net.lab().kill(M1, Part::Both).unwrap();
    // keepalived leaves its address behind.
    net.owners(&[M1, M2]);
    net.announced(M2, killed);
    net.router_until(M2, "Active", |router| router["state"] == "Active");
}

#[test]
fn keepalived_is_backup_of_mainstay_and_takes_over_when_it_dies() {
    let Some(net) = Net::up(2) else { return };
    net.start(&[M1], &ours(FAST));
    net.owned_by(M1);
    net.start(&[M2], &keepalived(FAST));
    // Whatever it does until the forms of the checksum are settled, it then hears mainstay.
    let heard = net.advert(M1, Stamp::now(), |advert| advert.checksum == Checksum::PseudoHeader);
    net.adverts(M1, heard.at, 2);
    net.owned_by(M1);
    let quiet = Stamp::now();
    net.unmoved(M1, quiet);
    assert_eq!(net.sent(M2, quiet), 0);

    net.lab().kill(M1, Part::Both).unwrap();
    net.owners(&[M1, M2]);
}

/// RFC 9568, 6.4.2: after priority 0, Skew_Time and not Active_Down_Interval.
#[test]
fn mainstay_honours_the_priority_0_of_keepalived() {
    let Some(net) = Net::up(2) else { return };
    net.start(&[M1], &keepalived(SLOW));
    net.owned_by(M1);
    net.start(&[M2], &ours(SLOW));
    net.backup_of(M2, M1);
    let stopped = Stamp::now();
    net.lab().stop(M1).unwrap();
    net.advert(M1, stopped, |advert| advert.priority == 0);
    net.owned_by(M2);
    let transition = net.event_where(M2, "transition", |event| event["detail"]["to"] == "Active");
    assert_eq!(transition["detail"]["cause_code"], "active_released");
}

#[test]
fn keepalived_honours_the_priority_0_of_mainstay() {
    let Some(net) = Net::up(2) else { return };
    net.start(&[M1], &ours(SLOW));
    net.owned_by(M1);
    // It would only be sent if nobody took over before.
    net.reconfigure(M1, |text| {
        pseudo_header(text).replace("vrid = 51", "vrid = 51\ndrain_timeout = \"0s\"")
    });
    net.start(&[M2], &keepalived(SLOW));
    net.adverts(M1, Stamp::now(), 2);
    let stopped = Stamp::now();
    net.lab().stop(M1).unwrap();
    let farewell = net.advert(M1, stopped, |advert| advert.priority == 0);
    let taken = net.advert(M2, farewell.at, |advert| advert.priority == 244);
    net.owned_by(M2);
    // Active_Down_Interval would be three seconds.
    assert!(taken.at - farewell.at < SLOW.duration() * 2, "{:?}", taken.at - farewell.at);
}

#[test]
fn the_higher_of_both_kinds_takes_the_vip_back_when_it_returns() {
    let Some(net) = Net::up(2) else { return };
    net.start(&[M2], &keepalived(FAST));
    net.owned_by(M2);
    let back = Stamp::now();
    net.start(&[M1], &ours(FAST));
    net.owned_by(M1);
    net.announced(M1, back);
    net.unmoved(M1, Stamp::now());
}

/// RFC 9568, 5.2.8, and VRRP.md F1: keepalived drops the RFC's form.
#[test]
fn the_checksum_has_the_rfcs_form_until_a_peer_speaks_the_other() {
    let Some(net) = Net::up(2) else { return };
    let start = Stamp::now();
    net.start(&[M1], &ours(FAST));
    net.advert(M1, start, |advert| advert.checksum == Checksum::Message);
    net.owned_by(M1);
    let told = Stamp::now();
    net.start(&[M2], &keepalived(FAST));
    let spoken = net.advert(M2, told, |advert| advert.checksum == Checksum::PseudoHeader);
    net.advert(M1, spoken.at, |advert| advert.checksum == Checksum::PseudoHeader);
    net.owned_by(M1);
}

#[test]
fn with_the_pseudo_header_configured_keepalived_never_takes_over() {
    let Some(net) = Net::up(2) else { return };
    net.start(&[M1], &ours(FAST));
    net.owned_by(M1);
    net.reconfigure(M1, pseudo_header);
    net.advert(M1, Stamp::now(), |advert| advert.checksum == Checksum::PseudoHeader);
    let start = Stamp::now();
    net.start(&[M2], &keepalived(FAST));
    net.unmoved(M1, start);
    assert_eq!(net.sent(M2, start), 0);
}

fn pseudo_header(text: &str) -> String {
    text.replace("vrid = 51", "vrid = 51\nchecksum = \"pseudo-header\"")
}
