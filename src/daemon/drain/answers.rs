//! Who waits for a drain, and what they are told: nothing is final before it is on disk.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Marks, Step, Writer};

/// How long an answer waits for the disk.
const DISK_PATIENCE: Duration = Duration::from_secs(2);

/// The steps of a drain, as they are taken. They end when nothing more will happen.
pub type Steps = mpsc::UnboundedReceiver<Step>;

/// The answers that are owed.
#[derive(Debug)]
pub struct Answers {
    writer: Writer,
    listeners: Vec<Listener>,
    /// What is told once the marks are on disk.
    unconfirmed: Vec<Step>,
    /// When it is told all the same.
    confirm_by: Option<Instant>,
    /// Why the marks are not on disk.
    problem: Option<String>,
}

/// Somebody who waits.
#[derive(Debug)]
struct Listener {
    steps: mpsc::UnboundedSender<Step>,
    /// The virtual routers of which more is to be told.
    open: BTreeSet<String>,
}

impl Answers {
    /// None yet; marks are written by `writer`.
    pub fn new(writer: Writer) -> Self {
        Self {
            writer,
            listeners: Vec::new(),
            unconfirmed: Vec::new(),
            confirm_by: None,
            problem: None,
        }
    }

    /// Why the marks would not outlive a restart.
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// When [`Answers::give_up`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        self.confirm_by
    }

    /// Waits until the marks are written. Loses nothing when it is cancelled.
    ///
    /// # Errors
    /// If they could not be.
    pub async fn written(&mut self) -> io::Result<()> {
        self.writer.written().await
    }

    /// Tells the last step, and those before it, of each of some virtual routers.
    pub fn listen(&mut self, routers: impl IntoIterator<Item = String>) -> Steps {
        let (steps, answer) = mpsc::unbounded_channel();
        let open: BTreeSet<String> = routers.into_iter().collect();
        if !open.is_empty() {
            self.listeners.push(Listener { steps, open });
        }
        answer
    }

    /// Has the marks written: what is told from now on waits for that.
    pub fn write(&mut self, now: Instant, marks: Marks) {
        self.writer.write(marks);
        self.confirm_by.get_or_insert(now + DISK_PATIENCE);
    }

    /// Tells a step; the last one of a virtual router once what it speaks of is on disk.
    pub fn tell(&mut self, step: Step) {
        if step.is_last() && !self.writer.is_idle() {
            self.unconfirmed.push(step);
        } else {
            self.tell_now(&step);
        }
    }

    /// Tells a step whatever is on disk.
    pub fn tell_now(&mut self, step: &Step) {
        for listener in self.listeners.iter_mut().filter(|it| it.open.contains(&step.router)) {
            // Whoever asked may have gone.
            let _ = listener.steps.send(step.clone());
            if step.is_last() {
                listener.open.remove(&step.router);
            }
        }
        self.listeners.retain(|listener| !listener.open.is_empty());
    }

    /// The marks are on disk, or cannot be written. What went wrong, in words.
    pub fn confirm(&mut self, written: io::Result<()>) -> Option<String> {
        let path = self.writer.path().display();
        let problem = written.err().map(|error| format!("cannot write {path}: {error}"));
        self.settle(problem.clone());
        problem
    }

    /// The disk has taken too long: whoever waits is told so.
    pub fn give_up(&mut self, now: Instant) {
        if self.confirm_by.is_some_and(|at| at <= now) {
            let path = self.writer.path().display();
            self.settle(Some(format!("{path} is not on disk yet: the disk hangs")));
        }
    }

    fn settle(&mut self, problem: Option<String>) {
        self.confirm_by = None;
        for mut step in std::mem::take(&mut self.unconfirmed) {
            if let Some(problem) = &problem {
                step.text.push_str(&format!("; a restart may undo it: {problem}"));
            }
            self.tell_now(&step);
        }
        self.problem = problem;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::Outcome;
    use super::*;

    fn step(router: &str, outcome: Outcome) -> Step {
        Step::new(router, outcome, "done", "alice")
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn answers() -> Answers {
        let path = std::env::temp_dir().join(format!("mainstay-answers-{}", std::process::id()));
        Answers::new(Writer::new(path.join("nowhere")))
    }

    #[test]
    fn an_answer_ends_with_the_last_step_of_the_last_virtual_router() {
        let mut answers = answers();
        let mut steps = answers.listen(names(&["a", "b"]));
        answers.tell(step("a", Outcome::Waiting));
        answers.tell(step("c", Outcome::Drained));
        answers.tell(step("b", Outcome::Drained));
        answers.tell(step("a", Outcome::HandedOver));
        answers.tell(step("a", Outcome::Undrained));
        let told: Vec<_> = std::iter::from_fn(|| steps.try_recv().ok()).collect();
        let told: Vec<_> = told.iter().map(|it| (it.router.as_str(), it.outcome)).collect();
        let wanted = [("a", Outcome::Waiting), ("b", Outcome::Drained), ("a", Outcome::HandedOver)];
        assert_eq!(told, wanted);
        assert!(steps.is_closed());
        assert!(answers.listen(Vec::new()).is_closed());
    }

    #[tokio::test]
    async fn nothing_is_final_before_it_is_on_disk() {
        let mut answers = answers();
        let now = Instant::now();
        let mut steps = answers.listen(names(&["a", "b"]));
        answers.write(now, Marks::default());
        answers.tell(step("a", Outcome::Waiting));
        answers.tell(step("b", Outcome::Drained));
        assert_eq!(steps.try_recv().unwrap().outcome, Outcome::Waiting);
        assert!(steps.try_recv().is_err());
        answers.give_up(now);
        assert!(steps.try_recv().is_err());
        let written = answers.written().await;
        assert!(answers.confirm(written).unwrap().contains("cannot write"));
        let step = steps.try_recv().unwrap();
        assert!(step.text.starts_with("done; a restart may undo it: cannot write"), "{step:?}");
        assert!(answers.problem().is_some());
        assert_eq!(answers.confirm(Ok(())), None);
        assert_eq!(answers.problem(), None);
    }

    #[tokio::test]
    async fn a_disk_that_hangs_holds_nobody_up() {
        let mut answers = answers();
        let now = Instant::now();
        let mut steps = answers.listen(names(&["a"]));
        answers.write(now, Marks::default());
        answers.tell(step("a", Outcome::Drained));
        assert_eq!(answers.deadline(), Some(now + DISK_PATIENCE));
        answers.give_up(now + DISK_PATIENCE);
        assert!(steps.try_recv().unwrap().text.contains("the disk hangs"));
        assert_eq!(answers.deadline(), None);
    }
}
