//! What a `[[check]]` looks at.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use hyper::Uri;
use tokio_rustls::rustls::pki_types::ServerName;
use toml::Spanned;

use super::error::{Fault, Problems};
use super::raw::{RawCheck, Text, Texts, check};
use super::value;

/// What a health check looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// An answer over TLS.
    Https(Url, Tls),
    /// An answer.
    Http(Url),
    /// A port that accepts connections.
    Tcp(Endpoint),
    /// A program's exit code: 0 is healthy.
    Exec(Command),
    /// An interface that is up and has a carrier.
    Interface(String),
    /// A program that runs, by its name.
    Process(String),
    /// etcd's member on this node. No `[[check]]` has it: it comes with `[etcd]`.
    Etcd(Box<EtcdMember>),
}

/// etcd's member on this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdMember {
    /// How it is reached.
    pub settings: supervisor::etcd::Settings,
    /// Where mainstay remembers which one it is.
    pub state_dir: PathBuf,
}

/// A URL, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Where to connect to.
    pub endpoint: Endpoint,
    /// What to ask for: the path and the query.
    pub path: String,
    text: String,
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// A name or an address, IPv6 without brackets.
    pub host: String,
    /// 1 to 65535.
    pub port: u16,
}

/// How the server proves who it is, and how we do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The file of the certificates that may sign the server's; the system's if there is none.
    pub ca: Option<PathBuf>,
    /// The name or address that the server's certificate has to be for.
    pub server_name: ServerName<'static>,
    /// Our own certificate.
    pub identity: Option<Identity>,
}

/// A client certificate: files in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The certificate and those between it and its root.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// A program to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Its absolute path.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// As whom it runs; `nobody` if it is not said.
    pub user: Option<String>,
    /// What it finds in its environment besides the usual.
    pub env: BTreeMap<String, String>,
}

impl Probe {
    /// Takes out of `raw` what concerns the probe. `None` if something is wrong; the problems then
    /// say what.
    pub(super) fn take(
        raw: &mut RawCheck,
        span: Range<usize>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let (is_https, is_exec) = (raw.https.is_some(), raw.exec.is_some());
        for (key, value) in [
            ("ca", &raw.ca),
            ("cert", &raw.cert),
            ("key", &raw.key),
            ("server_name", &raw.server_name),
        ] {
            belongs_to("https", key, value.as_ref().map(Spanned::span), is_https, problems);
        }
        belongs_to("exec", "user", raw.user.as_ref().map(Spanned::span), is_exec, problems);
        belongs_to("exec", "env", raw.env.as_ref().map(Spanned::span), is_exec, problems);
        let probes = [
            raw.https.take().map(|it| https(it, raw, problems)),
            raw.http.take().map(|it| url(it, "http", problems).map(Self::Http)),
            raw.tcp.take().map(|it| endpoint(it, problems).map(Self::Tcp)),
            raw.exec.take().map(|it| command(it, raw, problems).map(Self::Exec)),
            raw.interface
                .take()
                .map(|it| text(it, problems, value::interface).map(Self::Interface)),
            raw.process.take().map(|it| text(it, problems, value::name).map(Self::Process)),
        ];
        let mut probes: Vec<Option<Self>> = probes.into_iter().flatten().collect();
        if probes.len() != 1 {
            let fault = Fault::new(
                format!("a check looks at one thing, not {}", probes.len()),
                "give it one of https, http, tcp, exec, interface, process",
            );
            problems.add(span, fault);
        }
        probes.pop()?
    }

    /// The key that it has in the file.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Https(..) => "https",
            Self::Http(_) => "http",
            Self::Tcp(_) => "tcp",
            Self::Exec(_) => "exec",
            Self::Interface(_) => "interface",
            Self::Process(_) => "process",
            Self::Etcd(_) => "etcd",
        }
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Https(url, _) | Self::Http(url) => url.fmt(f),
            Self::Tcp(endpoint) => endpoint.fmt(f),
            Self::Exec(command) => command.program.display().fmt(f),
            Self::Interface(name) | Self::Process(name) => f.write_str(name),
            Self::Etcd(member) => f.write_str(&member.settings.local_url()),
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

fn belongs_to(
    owner: &str,
    key: &str,
    span: Option<Range<usize>>,
    is_there: bool,
    problems: &mut Problems,
) {
    if let Some(span) = span.filter(|_| !is_there) {
        problems.add(span, Fault::new(format!("{key} goes with {owner} only"), "leave it out"));
    }
}

fn https(text: Text, raw: &mut RawCheck, problems: &mut Problems) -> Option<Probe> {
    let span = text.span();
    let url = url(text, "https", problems);
    let ca = raw.ca.take().and_then(|it| absolute_path(it, problems));
    let identity = match (raw.cert.take(), raw.key.take()) {
        (Some(cert), Some(key)) => {
            let (cert, key) = (absolute_path(cert, problems), absolute_path(key, problems));
            cert.zip(key).map(|(cert, key)| Identity { cert, key })
        }
        (None, None) => None,
        (Some(alone), None) | (None, Some(alone)) => {
            let fault = Fault::new("cert and key go together", "give both files, or none");
            problems.add(alone.span(), fault);
            None
        }
    };
    let url = url?;
    let own = raw.server_name.take();
    let (span, name) = match own {
        Some(own) => (own.span(), own.into_inner()),
        None => (span, url.endpoint.host.clone()),
    };
    let name = ServerName::try_from(name.clone()).map_err(|_| {
        let help = "use the name or the address that is in the server's certificate";
        Fault::new(format!("`{name}` is no name that a certificate can be for"), help)
    });
    let server_name = problems.check(span, name)?;
    Some(Probe::Https(url, Tls { ca, server_name, identity }))
}

/// A URL of this scheme, without user, password and fragment.
fn url(url: Text, scheme: &str, problems: &mut Problems) -> Option<Url> {
    text(url, problems, |text| {
        parse_url(&text, scheme).ok_or_else(|| {
            Fault::new(
                format!("`{text}` is not a URL of this check"),
                format!("write it like {scheme}://127.0.0.1:6443/readyz"),
            )
        })
    })
}

fn parse_url(text: &str, scheme: &str) -> Option<Url> {
    let uri: Uri = text.parse().ok().filter(|_| !text.contains(['#', '@']))?;
    if uri.scheme_str() != Some(scheme) {
        return None;
    }
    let host = uri.host()?;
    let port = match uri.authority()?.as_str().strip_prefix(host)? {
        "" if scheme == "https" => 443,
        "" => 80,
        port => port.strip_prefix(':')?.parse().ok()?,
    };
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let path = uri.path_and_query()?.as_str().to_owned();
    let endpoint = Endpoint { host, port };
    let fits = is_host(&endpoint.host) && port != 0;
    fits.then(|| Url { endpoint, path, text: text.to_owned() })
}

/// Whether it can be a name or an address.
fn is_host(host: &str) -> bool {
    if host.contains(':') {
        return host.parse::<std::net::Ipv6Addr>().is_ok();
    }
    (1..=253).contains(&host.len())
        && host.starts_with(|c: char| c.is_ascii_alphanumeric())
        && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

fn endpoint(target: Text, problems: &mut Problems) -> Option<Endpoint> {
    text(target, problems, |target| {
        let parsed = target.rsplit_once(':').and_then(|(host, port)| {
            let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
            let is_ipv6 = host.contains(':');
            let host = if is_ipv6 { bare? } else { host };
            let port = port.parse().ok().filter(|&port: &u16| port != 0)?;
            is_host(host).then(|| Endpoint { host: host.to_owned(), port })
        });
        parsed.ok_or_else(|| {
            Fault::new(
                format!("`{target}` is not a host and a port"),
                "write it like 127.0.0.1:6443 or [::1]:6443",
            )
        })
    })
}

fn command(command: Texts, raw: &mut RawCheck, problems: &mut Problems) -> Option<Command> {
    let span = command.span();
    let user = raw.user.take().and_then(|it| text(it, problems, user_name));
    let env = raw.env.take().map(Spanned::into_inner).unwrap_or_default();
    let env = env.into_iter().filter_map(|(name, value)| {
        let name = text(name, problems, variable)?;
        Some((name, text(value, problems, without_zero)?))
    });
    let env = env.collect();
    let mut words = command.into_inner().into_iter();
    let Some(program) = words.next() else {
        problems.add(span, Fault::new("there is no program", "add its path and arguments"));
        return None;
    };
    let program = absolute_path(program, problems)?;
    let arguments = words.filter_map(|word| text(word, problems, without_zero)).collect();
    Some(Command { program, arguments, user, env })
}

fn text<T>(
    text: Text,
    problems: &mut Problems,
    rule: impl FnOnce(String) -> Result<T, Fault>,
) -> Option<T> {
    check(text, problems, rule).map(Spanned::into_inner)
}

fn absolute_path(path: Text, problems: &mut Problems) -> Option<PathBuf> {
    text(path, problems, |path| {
        let path = without_zero(path)?;
        if path.starts_with('/') {
            return Ok(PathBuf::from(path));
        }
        Err(Fault::new(format!("`{path}` is not an absolute path"), "start it with /"))
    })
}

/// No program can be given more than comes before a zero byte.
fn without_zero(text: String) -> Result<String, Fault> {
    if text.contains('\0') {
        return Err(Fault::new("there is a zero byte in it", "take it out"));
    }
    Ok(text)
}

fn user_name(name: String) -> Result<String, Fault> {
    let fits = (1..=32).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '$'));
    if fits && !name.starts_with('-') {
        return Ok(name);
    }
    Err(Fault::new(format!("`{name}` cannot name a user"), "use a name of /etc/passwd"))
}

fn variable(name: String) -> Result<String, Fault> {
    let fits = !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if fits {
        return Ok(name);
    }
    Err(Fault::new(
        format!("`{name}` cannot name an environment variable"),
        "use letters, digits and `_`",
    ))
}
