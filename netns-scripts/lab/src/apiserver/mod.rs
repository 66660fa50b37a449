//! Fake apiservers: one HTTPS server on each router, in a process of its own, which can be killed,
//! frozen, and told how to answer.

mod answer;
mod server;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{Lab, LabError, Node, Stamp};

pub use self::answer::{Answer, AnswerError};

/// Where the apiservers listen.
pub const API_PORT: u16 = 6443;
/// The path whose answer never ends.
pub(crate) const WATCH: &str = "/watch";
/// Names the router's folder to the server process.
const DIRECTORY: &str = "LAB_APISERVER";
/// Names another program that serves.
const PROGRAM: &str = "LAB_APISERVER_PROGRAM";
const READY: &str = "listening";

/// How the server process is started: a program that calls [`serve_if_asked`].
#[derive(Clone, Debug)]
pub struct Launcher {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
}

impl Launcher {
    /// This very program with these arguments.
    ///
    /// # Errors
    /// If the system does not tell which it is.
    pub fn this(arguments: &[&str]) -> Result<Self, LabError> {
        let program =
            std::env::current_exe().map_err(LabError::instrument("finding the own program"))?;
        Ok(Self { program, arguments: arguments.iter().map(|&it| it.to_owned()).collect() })
    }
}

impl Launcher {
    /// The program that LAB_APISERVER_PROGRAM names, with the argument `serve`; this very program
    /// with these arguments if there is none. It has to say `listening`.
    ///
    /// # Errors
    /// As [`Launcher::this`].
    pub fn chosen(arguments: &[&str]) -> Result<Self, LabError> {
        match std::env::var_os(PROGRAM) {
            None => Self::this(arguments),
            Some(program) => Ok(Self { program: program.into(), arguments: vec!["serve".into()] }),
        }
    }
}

/// Serves, never to return, if this process was started for that by an `Apiserver`. Otherwise does
/// nothing.
///
/// # Errors
/// If the server cannot be started.
pub fn serve_if_asked() -> Result<(), LabError> {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return Ok(()) };
    serve(Path::new(&directory))
}

/// Serves as the router with this folder, until the process ends.
///
/// # Errors
/// If the port is taken, or the certificates are missing.
pub fn serve(directory: &Path) -> Result<(), LabError> {
    let ready = || {
        // A test harness may have begun a line of its own.
        writeln!(io::stdout(), "\n{READY}")?;
        io::stdout().flush()
    };
    server::run(directory, ready).map_err(LabError::instrument("serving"))
}

/// The apiserver of one router. Killed when dropped, and when the thread that started it ends.
#[derive(Debug)]
struct Apiserver {
    directory: PathBuf,
    child: Option<Child>,
    /// Kept open: a test harness ends when it cannot write, such as that a test takes a minute.
    output: Option<BufReader<ChildStdout>>,
}

impl Apiserver {
    fn start(&mut self, namespace: &str, launcher: &Launcher) -> io::Result<()> {
        if self.child.is_some() {
            return Ok(());
        }
        let mut child = Command::new("nsenter")
            .arg(format!("--net=/run/netns/{namespace}"))
            .args(["setpriv", "--pdeathsig", "KILL"])
            .arg(&launcher.program)
            .args(&launcher.arguments)
            .env(DIRECTORY, &self.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        self.child = Some(child);
        for line in self.output.insert(BufReader::new(output)).lines() {
            if line?.trim_end().ends_with(READY) {
                return Ok(());
            }
        }
        self.end()?;
        Err(io::Error::other("it ended at once"))
    }

    fn signal(&self, signal: Signal) -> io::Result<Stamp> {
        let child = self.child.as_ref().ok_or_else(|| io::Error::other("it does not run"))?;
        let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
        let at = Stamp::now();
        kill(Pid::from_raw(pid), signal)?;
        Ok(at)
    }

    /// Kills it and waits for its end; the moment before.
    fn end(&mut self) -> io::Result<Stamp> {
        let at = self.signal(Signal::SIGKILL)?;
        if let Some(mut child) = self.child.take() {
            child.wait()?;
        }
        Ok(at)
    }
}

impl Drop for Apiserver {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

/// The apiservers of all routers of a lab.
#[derive(Debug)]
pub struct Apiservers {
    launcher: Launcher,
    namespaces: BTreeMap<Node, String>,
    each: Mutex<BTreeMap<Node, Apiserver>>,
}

impl Apiservers {
    /// Starts one on each router, and waits until it accepts connections.
    ///
    /// # Errors
    /// If one does not start.
    pub fn start(lab: &Lab, launcher: Launcher) -> Result<Self, LabError> {
        lab.pki()?;
        let nodes = lab.nodes();
        let each = nodes.iter().map(|&node| {
            (node, Apiserver { directory: lab.directory(node), child: None, output: None })
        });
        let servers = Self {
            launcher,
            namespaces: nodes.iter().map(|&node| (node, lab.namespace(node))).collect(),
            each: Mutex::new(each.collect()),
        };
        servers.restore()?;
        Ok(servers)
    }

    /// Makes all of them run and answer well.
    ///
    /// # Errors
    /// If one does not start.
    pub fn restore(&self) -> Result<(), LabError> {
        for &node in self.namespaces.keys() {
            self.revive(node)?;
        }
        Ok(())
    }

    /// Makes that of `node` run and answer well, whatever was done to it.
    ///
    /// # Errors
    /// If it does not start.
    pub fn revive(&self, node: Node) -> Result<Stamp, LabError> {
        self.answer(node, Answer::Ok)?;
        let namespace = self.namespaces.get(&node).cloned().unwrap_or_default();
        self.with(node, "starting an apiserver", |server| {
            server.start(&namespace, &self.launcher)?;
            server.signal(Signal::SIGCONT)
        })
    }

    /// Whether that of `node` runs, or is frozen.
    pub fn is_running(&self, node: Node) -> bool {
        let each = self.each.lock().unwrap_or_else(PoisonError::into_inner);
        each.get(&node).is_some_and(|server| server.child.is_some())
    }

    /// SIGKILL; the moment before.
    ///
    /// # Errors
    /// If it does not run.
    pub fn kill(&self, node: Node) -> Result<Stamp, LabError> {
        self.with(node, "killing an apiserver", Apiserver::end)
    }

    /// SIGSTOP; the moment before.
    ///
    /// # Errors
    /// If it does not run.
    pub fn freeze(&self, node: Node) -> Result<Stamp, LabError> {
        self.with(node, "freezing an apiserver", |server| server.signal(Signal::SIGSTOP))
    }

    /// SIGCONT; the moment before.
    ///
    /// # Errors
    /// If it does not run.
    pub fn thaw(&self, node: Node) -> Result<Stamp, LabError> {
        self.with(node, "thawing an apiserver", |server| server.signal(Signal::SIGCONT))
    }

    /// From the next request on it answers so.
    ///
    /// # Errors
    /// If its folder cannot be written to.
    pub fn answer(&self, node: Node, answer: Answer) -> Result<Stamp, LabError> {
        self.with(node, "choosing an apiserver's answer", |server| {
            let file = server::answer_file(&server.directory);
            // In one step: it may be read at any moment.
            let new = file.with_extension("new");
            fs::write(&new, answer.to_string())?;
            let at = Stamp::now();
            fs::rename(&new, &file)?;
            Ok(at)
        })
    }

    fn with<T>(
        &self,
        node: Node,
        what: &'static str,
        act: impl FnOnce(&mut Apiserver) -> io::Result<T>,
    ) -> Result<T, LabError> {
        let mut each: MutexGuard<'_, _> = self.each.lock().unwrap_or_else(PoisonError::into_inner);
        let server = each.get_mut(&node).ok_or(io::ErrorKind::NotFound);
        server.map_err(io::Error::from).and_then(act).map_err(LabError::instrument(what))
    }
}
