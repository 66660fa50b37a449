//! `[[check]]`: what a health check looks at, and when it believes what it sees.

use std::time::Duration;

use toml::Spanned;

use super::error::{Fault, Problems};
use super::raw::{Number, RawCheck, Section, Text, Texts, check};
use super::value;

const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1);
const DEFAULT_RISE: u32 = 2;
const DEFAULT_FALL: u32 = 3;
const MAX_COUNT: i64 = 1000;
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(3600);

/// A health check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Its name, by which virtual routers refer to it.
    pub name: String,
    /// What it looks at.
    pub probe: Probe,
    /// From the start of one probe to the start of the next.
    pub interval: Duration,
    /// A probe that takes longer has failed.
    pub timeout: Duration,
    /// So many successes in a row make it healthy.
    pub rise: u32,
    /// So many failures in a row make it sick.
    pub fall: u32,
    /// [`Check::fall`] on the router that holds the addresses.
    pub holder_fall: Option<u32>,
    /// [`Check::fall`] where the failures are timeouts.
    pub timeout_fall: Option<u32>,
    /// How long it stays sick at least, once it fell.
    pub hold_down: Option<Duration>,
}

/// What a health check looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// A URL of `https`, and the file of the certificates that may sign the server's.
    Https {
        /// The URL.
        url: String,
        /// The file of certificates; the system's if there is none.
        ca: Option<String>,
    },
    /// A URL of `http`.
    Http(String),
    /// A host and a port that accepts connections.
    Tcp(String),
    /// A program, by its absolute path, and its arguments; exit code 0 is healthy.
    Exec(Vec<String>),
    /// An interface that is up and has a carrier.
    Interface(String),
    /// A program that runs.
    Process(String),
}

impl Check {
    /// `None` if something is wrong; the problems then say what.
    pub(super) fn new(raw: Section<RawCheck>, problems: &mut Problems) -> Option<Spanned<Self>> {
        let span = raw.span.clone();
        let raw = raw.value;
        let name = check(raw.name, problems, value::name);
        if let Some(ca) = &raw.ca
            && raw.https.is_none()
        {
            problems.add(ca.span(), Fault::new("ca goes with https only", "leave it out"));
        }
        let ca = raw.ca.and_then(|it| absolute_path(it, problems));
        let probes = [
            raw.https.map(|it| url(it, "https://", problems).map(|url| Probe::Https { url, ca })),
            raw.http.map(|it| url(it, "http://", problems).map(Probe::Http)),
            raw.tcp.map(|it| host_and_port(it, problems).map(Probe::Tcp)),
            raw.exec.map(|it| command(it, problems).map(Probe::Exec)),
            raw.interface.map(|it| text(it, problems, value::interface).map(Probe::Interface)),
            raw.process.map(|it| text(it, problems, value::name).map(Probe::Process)),
        ];
        let probes: Vec<Option<Probe>> = probes.into_iter().flatten().collect();
        if probes.len() != 1 {
            let fault = Fault::new(
                format!("a check looks at one thing, not {}", probes.len()),
                "give it one of https, http, tcp, exec, interface, process",
            );
            problems.add(span, fault);
        }
        let mut time = |it: Option<Text>| {
            let rule = |text: String| value::duration_within(&text, SHORTEST, LONGEST);
            it.and_then(|it| check(it, problems, rule)).map(Spanned::into_inner)
        };
        let interval = time(raw.interval).unwrap_or(DEFAULT_INTERVAL);
        let timeout = time(raw.timeout).unwrap_or(DEFAULT_TIMEOUT);
        let hold_down = time(raw.hold_down);
        let mut number = |it: Option<Number>| {
            it.and_then(|it| check(it, problems, count)).map(Spanned::into_inner)
        };
        let rise = number(raw.rise).unwrap_or(DEFAULT_RISE);
        let fall = number(raw.fall).unwrap_or(DEFAULT_FALL);
        let [holder_fall, timeout_fall] = [raw.holder_fall, raw.timeout_fall].map(number);
        let name = name?;
        let place = name.span();
        let check = Self {
            name: name.into_inner(),
            probe: probes.into_iter().next()??,
            interval,
            timeout,
            rise,
            fall,
            holder_fall,
            timeout_fall,
            hold_down,
        };
        Some(Spanned::new(place, check))
    }
}

fn text(
    text: Text,
    problems: &mut Problems,
    rule: impl FnOnce(String) -> Result<String, Fault>,
) -> Option<String> {
    check(text, problems, rule).map(Spanned::into_inner)
}

fn count(number: i64) -> Result<u32, Fault> {
    u32::try_from(number).ok().filter(|_| (1..=MAX_COUNT).contains(&number)).ok_or_else(|| {
        Fault::new(format!("{number} is out of range"), format!("choose 1 to {MAX_COUNT}"))
    })
}

fn absolute_path(path: Text, problems: &mut Problems) -> Option<String> {
    text(path, problems, |path| {
        if path.starts_with('/') {
            return Ok(path);
        }
        Err(Fault::new(format!("`{path}` is not an absolute path"), "start it with /"))
    })
}

fn url(url: Text, scheme: &str, problems: &mut Problems) -> Option<String> {
    text(url, problems, |url| {
        let host = url.strip_prefix(scheme).unwrap_or_default();
        if host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[')
            && !url.contains(|c: char| c.is_whitespace() || c.is_control())
        {
            return Ok(url);
        }
        Err(Fault::new(
            format!("`{url}` is not a URL of this check"),
            format!("write it like {scheme}127.0.0.1:6443/readyz"),
        ))
    })
}

fn host_and_port(target: Text, problems: &mut Problems) -> Option<String> {
    text(target, problems, |target| {
        let port = target.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        if port.is_some_and(|(_, port)| port.parse().is_ok_and(|port: u16| port != 0)) {
            return Ok(target);
        }
        Err(Fault::new(
            format!("`{target}` is not a host and a port"),
            "write it like 127.0.0.1:6443 or [::1]:6443",
        ))
    })
}

fn command(command: Texts, problems: &mut Problems) -> Option<Vec<String>> {
    let span = command.span();
    let mut words = command.into_inner().into_iter();
    let Some(program) = words.next() else {
        problems.add(span, Fault::new("there is no program", "add its path and arguments"));
        return None;
    };
    let program = absolute_path(program, problems)?;
    Some(std::iter::once(program).chain(words.map(Spanned::into_inner)).collect())
}
