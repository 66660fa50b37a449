//! What a certificate says.

use std::net::IpAddr;

use x509_parser::certificate::X509Certificate;
use x509_parser::error::X509Error;
use x509_parser::extensions::{ExtendedKeyUsage, GeneralName};
use x509_parser::prelude::FromDer as _;

use super::Name;
use super::files::Unusable;

/// A certificate, as far as it matters here.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    /// When it begins to be valid, in seconds since 1970.
    pub(super) not_before: i64,
    /// The last second in which it is valid, since 1970.
    pub(super) not_after: i64,
    /// Whether it may sign others.
    pub(super) authority: bool,
    /// Whether it may be shown to those who connect.
    pub(super) serves: bool,
    /// Whether it may be shown to what is connected to.
    pub(super) connects: bool,
    pub(super) names: Vec<Name>,
    /// Its public key, without the algorithm: what `KeyPair::public_key_raw` says of the private one.
    pub(super) public_key: Vec<u8>,
}

pub(super) fn facts(der: &[u8]) -> Result<Facts, Unusable> {
    let certificate = parse(der)?;
    let malformed = |error: X509Error| Unusable::Certificate(error.to_string());
    let usage = certificate.extended_key_usage().map_err(malformed)?;
    // Without the extension it is good for everything.
    let may = |which: fn(&ExtendedKeyUsage<'_>) -> bool| {
        usage.as_ref().is_none_or(|it| it.value.any || which(it.value))
    };
    let names = certificate.subject_alternative_name().map_err(malformed)?;
    let names = names.map(|it| it.value.general_names.iter().filter_map(name).collect());
    let validity = certificate.validity();
    Ok(Facts {
        not_before: validity.not_before.timestamp(),
        not_after: validity.not_after.timestamp(),
        authority: may_sign(&certificate),
        serves: may(|it| it.server_auth),
        connects: may(|it| it.client_auth),
        names: names.unwrap_or_default(),
        public_key: certificate.public_key().subject_public_key.data.to_vec(),
    })
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, Unusable> {
    match X509Certificate::from_der(der) {
        Ok((_, certificate)) => Ok(certificate),
        Err(error) => Err(Unusable::Certificate(error.to_string())),
    }
}

fn name(name: &GeneralName<'_>) -> Option<Name> {
    match name {
        GeneralName::DNSName(name) => Some(Name::Dns(name.to_ascii_lowercase())),
        GeneralName::IPAddress(octets) => address(octets).map(Name::Ip),
        _ => None,
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok()
}

/// Whether one of `authorities` signed the first certificate of `chain`, over further certificates of the chain if need be.
///
/// Only names and signatures are looked at.
pub(super) fn chains_to(chain: &[Vec<u8>], authorities: &[Vec<u8>]) -> bool {
    let authorities: Vec<_> = authorities.iter().filter_map(|it| parse(it).ok()).collect();
    let chain: Vec<_> = chain.iter().filter_map(|it| parse(it).ok()).collect();
    let Some(mut current) = chain.first() else { return false };
    // Each certificate of the chain is used once at most.
    for _ in 0..chain.len() {
        if authorities.iter().any(|it| signed(current, it)) {
            return true;
        }
        let above = chain.iter().find(|it| *it != current && may_sign(it) && signed(current, it));
        let Some(above) = above else { return false };
        current = above;
    }
    false
}

fn signed(certificate: &X509Certificate<'_>, by: &X509Certificate<'_>) -> bool {
    certificate.issuer().as_raw() == by.subject().as_raw()
        && certificate.verify_signature(Some(by.public_key())).is_ok()
}

fn may_sign(certificate: &X509Certificate<'_>) -> bool {
    // Without the extension, its key is good for everything.
    let usage = certificate.key_usage();
    certificate.is_ca() && usage.is_ok_and(|it| it.is_none_or(|it| it.value.key_cert_sign()))
}
