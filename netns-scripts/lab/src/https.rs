//! Clients of the apiserver behind the VIP: one that asks at a steady pace, with a connection for
//! each request, and one whose connection is to last.

mod endless;
mod log;
mod steady;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

pub use self::endless::Endless;
pub use self::log::{HttpsLog, Outcome, Request};
pub use self::steady::Https;

/// A longer answer is none.
const LONGEST_ANSWER: u64 = 64 << 10;

/// Whom to ask, and how.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    address: SocketAddr,
    config: Arc<ClientConfig>,
    /// For connecting, and for each read and write after that.
    timeout: Duration,
}

pub(crate) type Stream = StreamOwned<ClientConnection, TcpStream>;

impl Call {
    pub(crate) const fn new(
        address: SocketAddr,
        config: Arc<ClientConfig>,
        timeout: Duration,
    ) -> Self {
        Self { address, config, timeout }
    }

    /// A connection of TCP; that of TLS comes with the first bytes.
    pub(crate) fn connect(&self) -> io::Result<Stream> {
        let socket = TcpStream::connect_timeout(&self.address, self.timeout)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(self.timeout))?;
        socket.set_write_timeout(Some(self.timeout))?;
        let name = ServerName::from(self.address.ip());
        let tls =
            ClientConnection::new(Arc::clone(&self.config), name).map_err(io::Error::other)?;
        Ok(StreamOwned::new(tls, socket))
    }

    /// Sends a request.
    pub(crate) fn ask(&self, stream: &mut Stream, path: &str) -> io::Result<()> {
        let close = if path == crate::apiserver::WATCH { "" } else { "Connection: close\r\n" };
        write!(stream, "GET {path} HTTP/1.1\r\nHost: kubernetes\r\n{close}\r\n")?;
        stream.flush()
    }
}

/// One request over a connection of its own: the status and the body.
///
/// # Errors
/// In words, whatever it is that went wrong.
pub(crate) fn get(call: &Call, path: &str) -> Result<(u16, String), String> {
    let text = exchange(call, path).map_err(|error| error.to_string())?;
    parse(&text).ok_or_else(|| format!("no HTTP: {text:.40?}"))
}

fn exchange(call: &Call, path: &str) -> io::Result<String> {
    let mut stream = call.connect()?;
    call.ask(&mut stream, path)?;
    let (mut text, mut bytes) = (Vec::new(), [0; 1024]);
    while !is_whole(&text) {
        let length = stream.read(&mut bytes)?;
        text.extend(bytes.iter().take(length));
        if length == 0 || text.len() as u64 > LONGEST_ANSWER {
            break;
        }
    }
    stream.conn.send_close_notify();
    // Said out of politeness: the answer is there.
    let _ = stream.flush();
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Whether all of an answer with a length is there.
pub(crate) fn is_whole(text: &[u8]) -> bool {
    parse(&String::from_utf8_lossy(text)).is_some()
}

/// The status and the body of an answer with a length, if all of it is there.
fn parse(text: &str) -> Option<(u16, String)> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let code = head.strip_prefix("HTTP/1.1 ")?.split(' ').next()?.parse().ok()?;
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "))?;
    let body = body.get(..length.parse().ok()?)?;
    Some((code, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_when_it_is_whole() {
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nm1";
        assert_eq!(parse(text), Some((200, "m1".into())));
        assert_eq!(parse(&text[..text.len() - 1]), None);
        assert_eq!(parse("\x00\x7f\r\n\r\n"), None);
    }
}
