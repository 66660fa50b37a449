//! The fake apiserver itself: HTTPS on all addresses of its namespace, a thread for each connection.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use socket2::{Domain, Protocol, Socket, Type};

use super::{API_PORT, Answer, WATCH};
use crate::pki::{Authority, Pki};

/// Longer requests are not read.
const LONGEST_REQUEST: usize = 8192;

/// What one server knows.
pub(super) struct Server {
    /// The router's name, the body of its answers.
    name: String,
    /// A file with the [`Answer`], read for each connection and each request.
    answer: PathBuf,
    trusted: Arc<ServerConfig>,
    other: Arc<ServerConfig>,
}

type Stream = StreamOwned<ServerConnection, TcpStream>;

impl Server {
    /// The server of the router with this folder.
    pub(super) fn of(directory: &Path) -> io::Result<Self> {
        let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let pki = Pki::at(&directory.with_file_name("pki"));
        Ok(Self {
            name,
            answer: answer_file(directory),
            trusted: pki.server(Authority::Trusted)?,
            other: pki.server(Authority::Other)?,
        })
    }

    /// Serves for ever.
    pub(super) fn serve(self, listener: &TcpListener) -> io::Result<()> {
        let server = Arc::new(self);
        loop {
            let (stream, _) = listener.accept()?;
            let server = Arc::clone(&server);
            // Refused, the connection is closed, as an overloaded server does.
            let _ = thread::Builder::new().stack_size(128 << 10).spawn(move || {
                // What the client does wrong is its own concern.
                let _ = server.connection(stream);
            });
        }
    }

    fn answer(&self) -> Answer {
        let text = fs::read_to_string(&self.answer).unwrap_or_default();
        text.trim().parse().unwrap_or_default()
    }

    fn connection(&self, socket: TcpStream) -> io::Result<()> {
        socket.set_nodelay(true)?;
        let config = match self.answer() {
            Answer::Closed => return Ok(()),
            Answer::OtherAuthority => Arc::clone(&self.other),
            _ => Arc::clone(&self.trusted),
        };
        let tls = ServerConnection::new(config).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(tls, socket);
        while let Some(path) = request(&mut stream)? {
            if !self.respond(&mut stream, &path)? {
                stream.conn.send_close_notify();
                return stream.flush();
            }
        }
        Ok(())
    }

    /// Whether the connection stays open.
    fn respond(&self, stream: &mut Stream, path: &str) -> io::Result<bool> {
        let answer = self.answer();
        match answer {
            Answer::Silent => {
                // Until the client gives up.
                io::copy(stream, &mut io::sink())?;
                return Ok(false);
            }
            Answer::Garbage => {
                stream.write_all(b"\x00\xff\x13 this is not HTTP\r\n\r\n")?;
                return stream.flush().map(|()| false);
            }
            Answer::Slow(after) => thread::sleep(after),
            _ => {}
        }
        let code = if let Answer::Status(code) = answer { code } else { 200 };
        if path == WATCH && code == 200 {
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            write!(stream, "{:x}\r\n{}\r\n", self.name.len(), self.name)?;
            stream.flush()?;
            io::copy(stream, &mut io::sink())?;
            return Ok(false);
        }
        let (reason, body) = response(code, &self.name);
        let once = answer == Answer::Once;
        let close = if once { "Connection: close\r\n" } else { "" };
        write!(
            stream,
            "HTTP/1.1 {code} {reason}\r\nContent-Length: {}\r\n{close}\r\n{body}",
            body.len()
        )?;
        stream.flush()?;
        Ok(!once)
    }
}

/// Reads up to the end of a request's head; the path that it asks for. `None` at the end of the
/// connection.
fn request(stream: &mut Stream) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    let mut bytes = [0; 1024];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut bytes) {
            Ok(0) => return Ok(None),
            Ok(length) => head.extend(bytes.iter().take(length)),
            // Clients that just close.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        if head.len() > LONGEST_REQUEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    let line = String::from_utf8_lossy(&head);
    Ok(line.split_whitespace().nth(1).map(str::to_owned))
}

/// The reason and the body, as a real apiserver words them.
fn response(code: u16, name: &str) -> (&'static str, String) {
    match code {
        200 => ("OK", name.to_owned()),
        401 => ("Unauthorized", r#"{"kind":"Status","message":"Unauthorized","code":401}"#.into()),
        403 => (
            "Forbidden",
            r#"{"kind":"Status","message":"forbidden: User \"system:anonymous\" cannot get path \"/readyz\"","code":403}"#.into(),
        ),
        500 => (
            "Internal Server Error",
            "[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed\n".into(),
        ),
        _ => ("Other", String::new()),
    }
}

/// Where the answer of the router with this folder is chosen.
pub(super) fn answer_file(directory: &Path) -> PathBuf {
    directory.join("answer")
}

/// Serves as the router with this folder until the process is killed. `ready` is called when
/// connections are accepted.
pub(super) fn run(directory: &Path, ready: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let server = Server::of(directory)?;
    let listener = listen(SocketAddr::from((Ipv6Addr::UNSPECIFIED, API_PORT)))?;
    ready()?;
    server.serve(&listener)
}

/// IPv4 comes in by mapped addresses, as with the real one.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV6, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_only_v6(false)?;
    // Connections of one that was killed still linger.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;
    use crate::https::{Call, get};

    /// A server on loopback, its folder, and how to ask it.
    fn server(name: &str) -> (PathBuf, Call) {
        let base =
            std::env::temp_dir().join(format!("lab-apiserver-{}-{name}", std::process::id()));
        let directory = base.join("m7");
        fs::create_dir_all(&directory).unwrap();
        let pki = Pki::ensure(&base.join("pki")).unwrap();
        let server = Server::of(&directory).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || server.serve(&listener));
        let call = Call::new(address, pki.client().unwrap(), Duration::from_millis(300));
        (directory, call)
    }

    fn choose(directory: &Path, answer: Answer) {
        fs::write(answer_file(directory), answer.to_string()).unwrap();
    }

    #[test]
    fn each_answer_is_what_a_client_sees() {
        let (directory, call) = server("answers");
        assert_eq!(get(&call, "/readyz"), Ok((200, "m7".into())));
        for code in [401, 403, 500] {
            choose(&directory, Answer::Status(code));
            assert_eq!(get(&call, "/readyz").unwrap().0, code);
        }
        choose(&directory, Answer::Once);
        assert_eq!(get(&call, "/readyz"), Ok((200, "m7".into())));
        choose(&directory, Answer::Slow(Duration::from_millis(50)));
        assert_eq!(get(&call, "/readyz"), Ok((200, "m7".into())));
        for answer in [
            Answer::Slow(Duration::from_secs(2)),
            Answer::Silent,
            Answer::Garbage,
            Answer::Closed,
            Answer::OtherAuthority,
        ] {
            choose(&directory, answer);
            assert!(get(&call, "/readyz").is_err(), "{answer}");
        }
        fs::remove_dir_all(directory.parent().unwrap()).unwrap();
    }

    #[test]
    fn a_watch_is_answered_and_stays() {
        let (directory, call) = server("watch");
        let mut stream = call.connect().unwrap();
        call.ask(&mut stream, WATCH).unwrap();
        let mut seen = Vec::new();
        let mut bytes = [0; 256];
        while !seen.ends_with(b"m7\r\n") {
            let length = stream.read(&mut bytes).unwrap();
            assert!(length > 0, "closed");
            seen.extend_from_slice(&bytes[..length]);
        }
        let error = stream.read(&mut bytes).unwrap_err();
        assert!(matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut));
        fs::remove_dir_all(directory.parent().unwrap()).unwrap();
    }
}
