//! A client whose one connection is to last, such as a kubelet's watch.

use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{Call, Stream};
use crate::apiserver::WATCH;
use crate::{API_PORT, Family, Lab, LabError, Node, Stamp, within};

const TIMEOUT: Duration = Duration::from_secs(3);

/// Listens on one connection through the VIP and never sends, until the connection ends or this is
/// dropped.
#[derive(Debug)]
pub struct Endless {
    /// Who serves it.
    by: Node,
    socket: TcpStream,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    ended: Mutex<Option<(Stamp, String)>>,
    changed: Condvar,
}

impl Endless {
    /// Connects from the client's namespace to the VIP of `family`.
    ///
    /// # Errors
    /// If that fails.
    pub fn start(lab: &Lab, family: Family) -> Result<Self, LabError> {
        let config = lab.pki()?.client().map_err(LabError::instrument("reading certificates"))?;
        let call = Call::new(SocketAddr::from((family.vip(), API_PORT)), config, TIMEOUT);
        let (mut stream, by, socket) = within(&lab.namespace("client"), || open(&call))?
            .map_err(LabError::instrument("opening a connection that lasts"))?;
        let shared = Arc::new(Shared::default());
        let told = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            let how = until_end(&mut stream);
            *told.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some((Stamp::now(), how));
            told.changed.notify_all();
        });
        Ok(Self { by, socket, shared, thread: Some(thread) })
    }

    /// Who serves it.
    pub const fn by(&self) -> Node {
        self.by
    }

    /// Waits for the end of the connection: when it came, and how. `None` if `deadline` comes first.
    pub fn wait_ended(&self, deadline: Stamp) -> Option<(Stamp, String)> {
        let mut ended = self.shared.ended.lock().unwrap_or_else(PoisonError::into_inner);
        while ended.is_none() {
            let left = deadline - Stamp::now();
            if left.is_zero() {
                return None;
            }
            let waited = self.shared.changed.wait_timeout(ended, left);
            ended = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        ended.clone()
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        // It has ended already, or now it does.
        let _ = self.socket.shutdown(Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Asks and reads who answers; then no time limit holds any more.
fn open(call: &Call) -> io::Result<(Stream, Node, TcpStream)> {
    let mut stream = call.connect()?;
    call.ask(&mut stream, WATCH)?;
    let (mut text, mut bytes) = (String::new(), [0; 256]);
    // The head, the length of the first piece, the piece.
    let name = loop {
        let length = stream.read(&mut bytes)?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        text.push_str(&String::from_utf8_lossy(bytes.get(..length).unwrap_or_default()));
        if let Some((_, body)) = text.split_once("\r\n\r\n")
            && let Some((_, rest)) = body.split_once("\r\n")
            && let Some((name, _)) = rest.split_once("\r\n")
        {
            break name;
        }
    };
    let by: Node = name.parse().map_err(io::Error::other)?;
    stream.sock.set_read_timeout(None)?;
    let socket = stream.sock.try_clone()?;
    Ok((stream, by, socket))
}

fn until_end(stream: &mut Stream) -> String {
    let mut bytes = [0; 256];
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return "closed".into(),
            Ok(_) => {}
            Err(error) => return error.to_string(),
        }
    }
}
