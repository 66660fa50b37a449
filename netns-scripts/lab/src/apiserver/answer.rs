//! How the fake apiserver answers.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How the fake apiserver answers, from the next request on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Answer {
    /// 200 and the router's name.
    #[default]
    Ok,
    /// Another status of HTTP, with a body as the real one has it.
    Status(u16),
    /// 200, after a while.
    Slow(Duration),
    /// Never, though the connection stays open.
    Silent,
    /// Something that is no HTTP.
    Garbage,
    /// The connection is closed as soon as it is accepted.
    Closed,
    /// 200, with the certificate of an authority that nobody trusts.
    OtherAuthority,
    /// 200, and the connection is closed behind it.
    Once,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => f.write_str("ok"),
            Self::Status(code) => code.fmt(f),
            Self::Slow(after) => write!(f, "slow:{}", after.as_millis()),
            Self::Silent => f.write_str("silent"),
            Self::Garbage => f.write_str("garbage"),
            Self::Closed => f.write_str("closed"),
            Self::OtherAuthority => f.write_str("other-authority"),
            Self::Once => f.write_str("once"),
        }
    }
}

/// The text says no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an answer is ok, a status such as 500, slow:MILLISECONDS, silent, garbage, closed, \
     other-authority or once"
)]
pub struct AnswerError;

impl FromStr for Answer {
    type Err = AnswerError;

    fn from_str(text: &str) -> Result<Self, AnswerError> {
        match text {
            "ok" => Ok(Self::Ok),
            "silent" => Ok(Self::Silent),
            "garbage" => Ok(Self::Garbage),
            "closed" => Ok(Self::Closed),
            "other-authority" => Ok(Self::OtherAuthority),
            "once" => Ok(Self::Once),
            _ => match text.strip_prefix("slow:") {
                Some(millis) => millis.parse().map(|it| Self::Slow(Duration::from_millis(it))).ok(),
                None => text.parse().ok().filter(|it| (201..=599).contains(it)).map(Self::Status),
            }
            .ok_or(AnswerError),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn answers_read_as_they_print() {
        for text in
            ["ok", "500", "slow:1500", "silent", "garbage", "closed", "other-authority", "once"]
        {
            assert_eq!(text.parse::<Answer>().unwrap().to_string(), text);
        }
        for text in ["", "200", "1000", "slow", "slow:x", "OK"] {
            assert!(text.parse::<Answer>().is_err(), "{text}");
        }
    }
}
