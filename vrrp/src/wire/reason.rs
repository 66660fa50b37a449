//! Why a packet is discarded.

use serde::{Deserialize, Serialize};

/// Why a packet is discarded (RFC 9568, 7.1). The first rule that it breaks counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum DropReason {
    /// The IP header is broken, or does not carry VRRP.
    #[error("the IP header is malformed")]
    IpHeader,
    /// TTL or hop limit is not 255 (5.1.1.3): not sent on this link.
    #[error("the TTL is not 255")]
    Ttl,
    /// Shorter than its fixed part, or than its address count says (7.1).
    #[error("the packet is truncated")]
    Length,
    /// Version is not 3 (5.2.1).
    #[error("the version is not 3")]
    Version,
    /// Type is not ADVERTISEMENT (5.2.2).
    #[error("the type is not ADVERTISEMENT")]
    Type,
    /// Neither form of the checksum fits (5.2.8).
    #[error("the checksum is wrong")]
    Checksum,
    /// VRID 0, which cannot be configured (5.2.3).
    #[error("the VRID is 0")]
    Vrid,
    /// No address (5.2.5, erratum 8299).
    #[error("the address count is 0")]
    AddressCount,
    /// Max Advertise Interval 0 (5.2.7, erratum 8301).
    #[error("the advertisement interval is 0")]
    Interval,
    /// A VRID that is not configured on this interface (7.1).
    #[error("the VRID is not configured here")]
    UnknownVrid,
    /// Our own packet, looped back.
    #[error("the source is this router's own address")]
    OwnSource,
    /// Unicast: the sender is none of the configured peers.
    #[error("the source is no configured peer")]
    UnknownPeer,
    /// Refused by the socket's filter while a flood lasted; by an estimate from a sample, for which
    /// of the rules of RFC 9568, 7.1, is not known.
    #[error("it cannot be an advertisement for this router, and came in a flood")]
    Filtered,
}

impl DropReason {
    /// Every reason, in the order of its index.
    pub const ALL: [Self; 13] = [
        Self::IpHeader,
        Self::Ttl,
        Self::Length,
        Self::Version,
        Self::Type,
        Self::Checksum,
        Self::Vrid,
        Self::AddressCount,
        Self::Interval,
        Self::UnknownVrid,
        Self::OwnSource,
        Self::UnknownPeer,
        Self::Filtered,
    ];

    /// The place of this reason in [`DropReason::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The reason's name in counters and `status -o json`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::IpHeader => "ip_header",
            Self::Ttl => "ttl",
            Self::Length => "length",
            Self::Version => "version",
            Self::Type => "type",
            Self::Checksum => "checksum",
            Self::Vrid => "vrid",
            Self::AddressCount => "address_count",
            Self::Interval => "interval",
            Self::UnknownVrid => "unknown_vrid",
            Self::OwnSource => "own_source",
            Self::UnknownPeer => "unknown_peer",
            Self::Filtered => "filtered",
        }
    }
}
