//! The supervisor's thread.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use super::handle::{Event, Happening, Request};
use super::snapshot::{Clock, Snapshot, unix_ms};
use super::tasks::Tasks;
use super::{Backends, Command, CommandError, Units, plan};
use crate::adopt::{FILE, Record, Writer, boot_id, load};
use crate::backend::Logs;
use crate::core::{Action, Core, Input, Report, What};
use crate::graph::Graph;
use crate::unit::Name;

/// How often the progress of what starts is shown.
const GLANCE: Duration = Duration::from_millis(500);

/// How long the end waits for a disk that hangs.
const LAST_WRITE: Duration = Duration::from_secs(5);

/// What the thread holds.
pub(super) struct Routine {
    core: Core,
    backends: Backends,
    boot: String,
    state: PathBuf,
    /// What was found wrong at the start.
    warning: Option<String>,
    clock: Clock,
    snapshot: watch::Sender<Arc<Snapshot>>,
    events: mpsc::UnboundedSender<Event>,
}

impl Routine {
    pub fn new(
        graph: Graph,
        backends: Backends,
        state_dir: &Path,
        events: mpsc::UnboundedSender<Event>,
    ) -> io::Result<Self> {
        let boot = boot_id()?;
        let state = state_dir.join(FILE);
        let loaded = load(&state, &boot);
        let core = Core::new(Instant::now(), graph, seed(&boot), &loaded.memory);
        let (warning, clock) = (loaded.warning, Clock::new());
        let warnings = warning.iter().cloned().collect();
        // Nobody is to see less than all units.
        let snapshot =
            watch::Sender::new(Arc::new(Snapshot::new(&core, &backends, &clock, warnings)));
        Ok(Self { core, backends, boot, state, warning, clock, snapshot, events })
    }

    /// All units as they are, and every change.
    pub fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshot.subscribe()
    }

    /// Runs until it is told to leave or nobody holds a handle.
    pub async fn run(mut self, mut requests: mpsc::UnboundedReceiver<Request>) {
        let (answers, mut answered) = mpsc::unbounded_channel();
        let mut tasks = Tasks::new(answers);
        let writer = Writer::new(self.state.clone());
        if let Some(reason) = self.warning.clone() {
            self.tell(None, Happening::Warning { reason });
        }
        self.core.handle(Instant::now(), Input::Resume);
        let left = loop {
            self.act(&mut tasks, &writer);
            let due = self.core.poll_timeout();
            let glance = self.snapshot.borrow().is_starting().then(|| Instant::now() + GLANCE);
            tokio::select! {
                biased;
                request = requests.recv() => match request {
                    None => break None,
                    Some(Request::Leave { wanted, answer }) => break Some((wanted, answer)),
                    Some(request) => self.answer(request, &writer),
                },
                Some(input) = answered.recv() => self.core.handle(Instant::now(), input),
                () = until(due) => self.core.handle(Instant::now(), Input::Tick),
                // Shows how far it has come.
                () = until(glance) => {}
            }
        };
        drop(tasks);
        if let Some((wanted, _)) = &left {
            let mut memory = self.core.memory();
            for unit in wanted {
                memory.entry(unit.clone()).and_modify(|it| it.stopped = false);
            }
            writer.write(Record::new(&self.boot, memory));
        }
        if timeout(LAST_WRITE, writer.finish()).await.is_err() {
            tracing::warn!(
                "the disk hangs: the last state is not written; a successor looks up what runs"
            );
        }
        if let Some((_, answer)) = left {
            // Whoever asked may have gone meanwhile.
            let _ = answer.send(());
        }
    }

    /// Carries out what the core asks for, and shows and keeps what has come of it.
    fn act(&mut self, tasks: &mut Tasks, writer: &Writer) {
        while let Some(action) = self.core.poll_action() {
            match action {
                Action::Carry { unit, ticket, step } => {
                    if let Some(backend) = self.backends.get(&unit) {
                        tasks.carry(unit, ticket, step, Arc::clone(backend));
                    }
                }
                Action::Report(Report { unit, what }) => {
                    if let Some(ticket) = self.core.ticket(unit.as_str()) {
                        tasks.give_up_older(&unit, ticket);
                    }
                    self.tell(Some(unit), what.into());
                }
            }
        }
        writer.write(Record::new(&self.boot, self.core.memory()));
        self.publish(writer);
    }

    fn publish(&mut self, writer: &Writer) {
        self.clock.follow();
        let warnings = self.warning.iter().cloned().chain(writer.trouble()).collect();
        let snapshot = Snapshot::new(&self.core, &self.backends, &self.clock, warnings);
        self.snapshot.send_if_modified(|last| {
            let changed = **last != snapshot;
            if changed {
                *last = Arc::new(snapshot);
            }
            changed
        });
    }

    fn tell(&self, unit: Option<Name>, what: Happening) {
        // An error means that nobody listens.
        let _ = self.events.send(Event { at_unix_ms: unix_ms(), unit, what });
    }

    fn answer(&mut self, request: Request, writer: &Writer) {
        // Whoever asked may have gone meanwhile: what cannot be sent is dropped.
        match request {
            Request::Command(command, answer) => {
                let done = self.command(&command);
                // Before the answer: progress starts from what the command has changed.
                self.publish(writer);
                let _ = answer.send(done);
            }
            Request::Logs { unit, lines, follow, answer } => {
                self.logs(&unit, lines, follow, answer);
            }
            Request::Reconfigure(units, answer) => {
                let _ = answer.send(self.reconfigure(units));
            }
            // Handled where it came in.
            Request::Leave { .. } => {}
        }
    }

    fn command(&mut self, command: &Command) -> Result<Vec<Name>, CommandError> {
        let inputs = command.inputs(self.core.graph())?;
        command.check(&self.core)?;
        for input in inputs {
            self.core.handle(Instant::now(), input);
        }
        Ok(command.scope(self.core.graph()))
    }

    fn reconfigure(&mut self, units: Units) -> Result<(), CommandError> {
        let (graph, backends) = plan(units)?;
        self.backends = backends;
        self.core.reconfigure(Instant::now(), graph);
        Ok(())
    }

    fn logs(
        &self,
        unit: &Name,
        lines: usize,
        follow: bool,
        answer: oneshot::Sender<Result<Logs, CommandError>>,
    ) {
        let Some(backend) = self.backends.get(unit).map(Arc::clone) else {
            let known: Vec<&str> = self.backends.keys().map(Name::as_str).collect();
            let (unit, known) = (unit.clone(), known.join(", "));
            let _ = answer.send(Err(CommandError::NoUnit { unit, known }));
            return;
        };
        tokio::spawn(async move {
            let logs = backend.logs(lines, follow).await;
            let _ = answer.send(logs.map_err(|fault| CommandError::Logs(fault.reason)));
        });
    }
}

impl From<What> for Happening {
    fn from(what: What) -> Self {
        match what {
            What::State { from, to, reason } => Self::State { from, to, reason },
            What::Adopted(identity) => Self::Adopted { identity },
            What::Started(identity) => Self::Started { identity },
            What::Drift(reason) => Self::Drift { reason },
            What::Left => Self::Left,
        }
    }
}

/// Waits until then; for ever if there is nothing to wait for.
async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

/// Different on each node and at each start of the machine.
fn seed(boot: &str) -> u64 {
    boot.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
