//! A server that behaves as it is told.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

/// What it does with each request.
#[derive(Clone, Debug)]
pub enum Manner {
    /// Says this, and waits for the next.
    Say(String),
    /// Says this and hangs up.
    SayAndClose(String),
    /// Says this, and says it again, without an end.
    Babble(String),
    /// Says nothing.
    Silence,
    /// Takes the connection and says nothing: no TLS either.
    Deaf,
    /// Hangs up before it has read anything.
    HangUp,
}

pub struct Server {
    pub port: u16,
    accepted: Arc<AtomicUsize>,
    state: Arc<Mutex<State>>,
    listening: JoinHandle<()>,
}

#[derive(Clone)]
struct State {
    manner: Manner,
    tls: Option<Arc<ServerConfig>>,
}

impl Server {
    pub async fn start(tls: Option<Arc<ServerConfig>>, manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let accepted = Arc::new(AtomicUsize::new(0));
        let state = Arc::new(Mutex::new(State { manner, tls }));
        let listening = tokio::spawn(listen(listener, Arc::clone(&accepted), Arc::clone(&state)));
        Self { port, accepted, state, listening }
    }

    /// From the next connection on.
    pub fn behave(&self, manner: Manner) {
        self.state.lock().unwrap().manner = manner;
    }

    /// From the next connection on.
    pub fn secure(&self, tls: Arc<ServerConfig>) {
        self.state.lock().unwrap().tls = Some(tls);
    }

    /// How many connections it has accepted.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Closes all its connections and goes.
    pub async fn stop(mut self) {
        self.listening.abort();
        let _ = (&mut self.listening).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(listener: TcpListener, accepted: Arc<AtomicUsize>, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        accepted.fetch_add(1, Ordering::Relaxed);
        let state = state.lock().unwrap().clone();
        connections.spawn(async move {
            let _ = serve(stream, state).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, state: State) -> std::io::Result<()> {
    match (&state.manner, state.tls) {
        (Manner::Deaf, _) => std::future::pending().await,
        (Manner::HangUp, _) => Ok(()),
        (_, None) => talk(stream, state.manner).await,
        (_, Some(tls)) => talk(TlsAcceptor::from(tls).accept(stream).await?, state.manner).await,
    }
}

async fn talk(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    manner: Manner,
) -> std::io::Result<()> {
    let mut request = Vec::new();
    loop {
        let mut bytes = [0; 1024];
        let length = stream.read(&mut bytes).await?;
        if length == 0 {
            return Ok(());
        }
        request.extend_from_slice(&bytes[..length]);
        if !request.ends_with(b"\r\n\r\n") {
            continue;
        }
        request.clear();
        match &manner {
            Manner::Say(text) => stream.write_all(text.as_bytes()).await?,
            Manner::SayAndClose(text) => {
                stream.write_all(text.as_bytes()).await?;
                return stream.shutdown().await;
            }
            Manner::Babble(text) => loop {
                stream.write_all(text.as_bytes()).await?;
                tokio::task::yield_now().await;
            },
            Manner::Silence | Manner::Deaf | Manner::HangUp => {}
        }
    }
}

/// An answer of HTTP.
pub fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

pub fn ok() -> Manner {
    Manner::Say(answer("200 OK", "ok"))
}
