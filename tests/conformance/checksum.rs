//! The two forms of the IPv4 checksum (RFC 9568, 5.2.8): which one is sent.

use lab::inject::{AdvertFrame, Sum};
use lab::{Checksum, Stamp};

use crate::rig::{Rig, Setup, V4, V4_VIRTUAL, Variant, among};

const IPV4: [Variant; 2] = [V4, V4_VIRTUAL];

fn start(variant: Variant, form: &str) -> Rig {
    Setup { lines: format!("checksum = \"{form}\""), ..variant.setup() }.start()
}

/// Lets the daemon hear a peer that speaks this form and loses.
fn hear(rig: &Rig, sum: Sum) -> Stamp {
    rig.send(&AdvertFrame { sum, ..rig.smaller(100) })
}

#[test]
fn by_default_the_form_is_the_rfcs_until_a_peer_speaks_the_other() {
    among(&IPV4, |variant| {
        let mut rig = start(variant, "auto");
        assert_eq!(rig.active().advert.checksum, Checksum::Message);
        let heard = hear(&rig, Sum::PseudoHeader);
        assert_eq!(rig.advert(heard).advert.checksum, Checksum::PseudoHeader);
        let next = rig.advert(heard + rig.setup.interval() * 2);
        assert_eq!(next.advert.checksum, Checksum::PseudoHeader);
        let stopped = rig.stop();
        let farewell = rig.advert_where(stopped, |advert| advert.priority == 0);
        assert_eq!(farewell.advert.checksum, Checksum::PseudoHeader);
    });
}

#[test]
fn the_rfcs_form_is_kept_where_it_is_configured() {
    among(&IPV4, |variant| {
        let rig = start(variant, "rfc9568");
        rig.active();
        hear(&rig, Sum::PseudoHeader);
        rig.freshly_active();
        let sent = rig.sent(Stamp::from_nanos(0));
        assert!(sent.iter().all(|it| it.advert.checksum == Checksum::Message));
    });
}

#[test]
fn the_pseudo_header_is_sent_from_the_first_advert_on_where_it_is_configured() {
    among(&IPV4, |variant| {
        let mut rig = start(variant, "pseudo-header");
        rig.active();
        hear(&rig, Sum::Message);
        rig.freshly_active();
        rig.stop();
        let sent = rig.sent(Stamp::from_nanos(0));
        assert!(sent.iter().any(|it| it.advert.priority == 0));
        assert!(sent.iter().all(|it| it.advert.checksum == Checksum::PseudoHeader));
    });
}

/// RFC 9568, 7.1: a peer's form is only known from an advert that is right.
#[test]
fn a_discarded_advert_does_not_change_the_form() {
    among(&IPV4, |variant| {
        let rig = start(variant, "auto");
        rig.active();
        let pseudo = AdvertFrame { sum: Sum::PseudoHeader, ..rig.smaller(100) };
        let heard = rig.send(&AdvertFrame { ttl: 254, ..pseudo.clone() });
        rig.send(&AdvertFrame { vrid: 77, ..pseudo.clone() });
        rig.send(&AdvertFrame { interval: 0, ..pseudo });
        let next = rig.advert(heard + rig.setup.interval());
        assert_eq!(next.advert.checksum, Checksum::Message);
    });
}
