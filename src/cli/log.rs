//! The log, on standard error: as the journal likes it under systemd, with times elsewhere.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::output::Style;
use crate::exit::Failure;

/// How many lines may wait for a slow reader; further ones are lost.
const MAX_WAITING: usize = 1024;
/// How long the last lines are waited for.
const PATIENCE: Duration = Duration::from_millis(200);

/// Logs from now on. Writing may wait for whoever reads standard error.
///
/// # Errors
/// If `filter` is none.
pub fn start(filter: &str) -> Result<(), Failure> {
    start_with(filter, io::stderr)
}

/// Logs from now on, without ever waiting: a journal that hangs must not stop the guard. Lines for
/// which there is no room are lost.
///
/// # Errors
/// If `filter` is none, or no thread can be had.
pub fn start_lossy(filter: &str) -> Result<Writer, Failure> {
    let (writer, messages) = Writer::new();
    let thread = std::thread::Builder::new().name("log".to_owned());
    thread
        .spawn(move || print(&messages, io::stderr()))
        .map_err(|error| anyhow::Error::new(error).context("cannot start"))?;
    start_with(filter, writer.clone())?;
    Ok(writer)
}

fn start_with<W>(filter: &str, writer: W) -> Result<(), Failure>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(filter)
        .map_err(|error| Failure::usage(format!("--log {filter}: {error}")))?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_target(false)
        .with_ansi(Style::of(&io::stderr()).is_coloured());
    if std::env::var_os("JOURNAL_STREAM").is_some() {
        subscriber.without_time().init();
    } else {
        subscriber.init();
    }
    Ok(())
}

/// Hands lines to a thread that prints them.
#[derive(Clone, Debug)]
pub struct Writer(SyncSender<Message>);

enum Message {
    Line(Vec<u8>),
    /// Answered once all lines before it are printed.
    Flush(SyncSender<()>),
}

impl Writer {
    fn new() -> (Self, Receiver<Message>) {
        let (sender, messages) = sync_channel(MAX_WAITING);
        (Self(sender), messages)
    }

    /// Waits until what was logged is printed, for a moment at most.
    pub fn finish(&self) {
        let (done, is_done) = sync_channel(1);
        if self.0.try_send(Message::Flush(done)).is_ok() {
            // A reader that hangs has to do without the last lines.
            let _ = is_done.recv_timeout(PATIENCE);
        }
    }
}

impl Write for Writer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // Lost if there is no room.
        let _ = self.0.try_send(Message::Line(line.to_vec()));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Writer {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn print(messages: &Receiver<Message>, mut output: impl Write) {
    for message in messages {
        // Nobody is left to be told if this fails.
        let _ = match message {
            Message::Line(line) => output.write_all(&line),
            Message::Flush(done) => {
                let _ = done.send(());
                output.flush()
            }
        };
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_hangs_stops_nobody() {
        let (mut writer, messages) = Writer::new();
        for n in 0..=MAX_WAITING {
            writer.write_all(format!("{n}\n").as_bytes()).unwrap();
        }
        writer.finish();
        drop(writer);
        let mut printed = Vec::new();
        print(&messages, &mut printed);
        let lines = printed.iter().filter(|&&byte| byte == b'\n').count();
        assert_eq!(lines, MAX_WAITING);
    }

    #[test]
    fn what_was_logged_is_printed_before_the_end() {
        let (mut writer, messages) = Writer::new();
        let printer = std::thread::spawn(move || {
            let mut printed = Vec::new();
            print(&messages, &mut printed);
            printed
        });
        writer.write_all(b"last words\n").unwrap();
        writer.finish();
        drop(writer);
        assert_eq!(printer.join().unwrap(), b"last words\n");
    }
}
