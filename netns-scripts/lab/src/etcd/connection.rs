//! Requests of etcd's JSON gateway to one member.

use std::io::{self, Read, Write};

use serde_json::{Value, json};

use super::base64::encode;
use crate::https::{Call, Stream, is_whole};

/// A longer answer is none, in bytes.
const LONGEST_ANSWER: usize = 4 << 20;

/// A connection to a member, made anew after each failure.
#[derive(Debug)]
pub struct Connection {
    call: Call,
    stream: Option<Stream>,
}

/// A key as etcd has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// In base64.
    pub key: String,
    /// In base64.
    pub value: String,
    /// The revision of the last write to it.
    pub revision: u64,
}

impl Connection {
    pub fn new(call: Call) -> Self {
        Self { call, stream: None }
    }

    /// Writes a key; the revision that etcd gave the write.
    ///
    /// # Errors
    /// Whatever it was: it is then not known whether the write was done.
    pub fn put(&mut self, key: &str, value: &str) -> io::Result<u64> {
        let request = json!({ "key": encode(key), "value": encode(value) });
        let answer = self.ask("/v3/kv/put", &request, "1.1")?;
        number(&answer["header"]["revision"])
    }

    /// The keys from `first` to the one before `end`, as a quorum has them.
    ///
    /// # Errors
    /// Whatever it was.
    pub fn range(&mut self, first: &str, end: &str) -> io::Result<Vec<Pair>> {
        let request = json!({ "key": encode(first), "range_end": encode(end) });
        // The end of the connection is the end of the answer, which has no length.
        let answer = self.ask("/v3/kv/range", &request, "1.0");
        self.stream = None;
        let pairs = answer?["kvs"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let pair = |pair: &Value| {
            let revision = number(&pair["mod_revision"])?;
            Ok(Pair { key: text(&pair["key"]), value: text(&pair["value"]), revision })
        };
        pairs.iter().map(pair).collect()
    }

    fn ask(&mut self, path: &str, request: &Value, version: &str) -> io::Result<Value> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.call.connect()?,
        };
        let body = request.to_string();
        write!(
            stream,
            "POST {path} HTTP/{version}\r\nHost: etcd\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        stream.flush()?;
        let answer = read(&mut stream, version)?;
        let (code, body) = answer
            .split_once("\r\n\r\n")
            .and_then(|(head, body)| Some((head.split(' ').nth(1)?, body)))
            .ok_or_else(|| io::Error::other(format!("no HTTP: {answer:.60?}")))?;
        if code != "200" {
            return Err(io::Error::other(format!("status {code}: {body:.200}")));
        }
        let body = serde_json::from_str(body).map_err(io::Error::other)?;
        self.stream = Some(stream);
        Ok(body)
    }
}

/// All of an answer.
fn read(stream: &mut Stream, version: &str) -> io::Result<String> {
    let (mut text, mut bytes) = (Vec::new(), [0; 8192]);
    loop {
        let length = match stream.read(&mut bytes) {
            Ok(length) => length,
            // etcd ends connections without the farewell of TLS.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && version == "1.0" => 0,
            Err(error) => return Err(error),
        };
        text.extend(bytes.iter().take(length));
        if text.len() > LONGEST_ANSWER {
            return Err(io::Error::other("an answer has no end"));
        }
        if length == 0 || version != "1.0" && is_whole(&text) {
            return Ok(String::from_utf8_lossy(&text).into_owned());
        }
    }
}

/// Numbers of 64 bits are texts in JSON.
fn number(value: &Value) -> io::Result<u64> {
    let parsed = value.as_str().and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| io::Error::other(format!("no number: {value}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn numbers_are_texts() {
        assert_eq!(number(&json!("18446744073709551615")).unwrap(), u64::MAX);
        assert!(number(&json!(5)).is_err());
        assert!(number(&Value::Null).is_err());
    }
}
