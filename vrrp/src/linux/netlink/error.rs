//! Why a request to rtnetlink failed.

use std::io;

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetlinkError {
    /// `EEXIST`.
    #[error("the address is already there")]
    Exists,
    /// `EADDRNOTAVAIL`.
    #[error("the interface does not have the address")]
    NoAddress,
    /// `ENODEV`.
    #[error("the interface does not exist")]
    NoDevice,
    /// `EPERM` or `EACCES`.
    #[error(
        "the kernel refuses it: CAP_NET_ADMIN is missing, or the interface has no such protocol"
    )]
    Denied,
    /// `ENOBUFS` or `ENOMEM`; whether the request was done is not known.
    #[error("the kernel has no memory for it")]
    NoBuffer,
    /// No answer; whether the request was done is not known.
    #[error("the kernel did not answer within 500 ms")]
    Timeout,
    /// A list changed each time it was read.
    #[error("links or addresses change faster than they can be read")]
    Unstable,
    /// Any other error number.
    #[error("{}", io::Error::from_raw_os_error(*.0))]
    Other(i32),
}

impl NetlinkError {
    /// `errno` as positive number.
    pub(super) fn from_errno(errno: i32) -> Self {
        match errno {
            libc::EEXIST => Self::Exists,
            libc::EADDRNOTAVAIL => Self::NoAddress,
            libc::ENODEV => Self::NoDevice,
            libc::EPERM | libc::EACCES => Self::Denied,
            libc::ENOBUFS | libc::ENOMEM => Self::NoBuffer,
            libc::EAGAIN => Self::Timeout,
            other => Self::Other(other),
        }
    }
}

impl From<io::Error> for NetlinkError {
    fn from(error: io::Error) -> Self {
        Self::from_errno(error.raw_os_error().unwrap_or(libc::EIO))
    }
}
