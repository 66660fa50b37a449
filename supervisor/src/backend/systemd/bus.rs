//! systemd on D-Bus: one connection, made when it is needed and again when it broke.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream as _;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::timeout;
use zbus::connection::Builder;
use zbus::message::Type;
use zbus::{Connection, MatchRule, Message, MessageStream, OwnedVariant};

use crate::backend::Fault;

const SYSTEMD: &str = "org.freedesktop.systemd1";
const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
/// How long an answer is waited for; to read all unit files again takes longest.
const PATIENCE: Duration = Duration::from_secs(30);

/// What an object is like, by the names of its properties.
pub(super) type Properties = HashMap<String, OwnedVariant>;

/// The connection to systemd that all units of a node share.
#[derive(Clone, Debug, Default)]
pub struct Bus {
    /// D-Bus' own words; `None`: the system's.
    address: Option<String>,
    connection: Arc<Mutex<Option<Connection>>>,
}

impl Bus {
    /// The system's bus: `/run/dbus/system_bus_socket`. It is connected to when it is needed.
    pub fn system() -> Self {
        Self::default()
    }

    /// Another bus: `unix:path=/run/dbus/system_bus_socket`.
    pub fn at(address: impl Into<String>) -> Self {
        Self { address: Some(address.into()), ..Self::default() }
    }

    pub(super) async fn connection(&self) -> Result<Connection, Fault> {
        let mut held = self.connection.lock().await;
        if let Some(connection) = held.as_ref().filter(|it| !it.is_closed()) {
            return Ok(connection.clone());
        }
        let connection = match timeout(PATIENCE, self.connect()).await {
            Ok(connected) => connected.map_err(|error| absent(&error))?,
            Err(_) => return Err(absent(&format!("no answer within {} s", PATIENCE.as_secs()))),
        };
        *held = Some(connection.clone());
        Ok(connection)
    }

    async fn connect(&self) -> zbus::Result<Connection> {
        let builder = match &self.address {
            None => Builder::system(),
            Some(address) => Builder::address(address.as_str()),
        };
        let connection = builder.method_timeout(PATIENCE).build().await?;
        // Without it systemd keeps its signals to itself.
        connection
            .call_method(Some(SYSTEMD), MANAGER_PATH, Some(MANAGER), "Subscribe", &())
            .await?;
        Ok(connection)
    }

    /// Calls a method of systemd's manager.
    pub(super) async fn manage<B>(&self, method: &str, body: &B) -> Result<Message, CallError>
    where
        B: Serialize + zbus::DynamicType + Sync,
    {
        let connection = self.connection().await?;
        let call = connection.call_method(Some(SYSTEMD), MANAGER_PATH, Some(MANAGER), method, body);
        call.await.map_err(CallError::from)
    }

    /// All properties of an object, of one of its interfaces.
    pub(super) async fn properties(
        &self,
        path: &str,
        interface: &str,
    ) -> Result<Properties, CallError> {
        let connection = self.connection().await?;
        let reply = connection
            .call_method(Some(SYSTEMD), path, Some(PROPERTIES), "GetAll", &(interface))
            .await?;
        Ok(reply.body().deserialize()?)
    }

    /// News of an object's properties, of whichever interface.
    pub(super) async fn changes(&self, path: &str) -> Result<Signals, CallError> {
        let rule = MatchRule::builder()
            .msg_type(Type::Signal)
            .sender(SYSTEMD)
            .path(path)
            .interface(PROPERTIES)
            .member("PropertiesChanged")
            .build()?;
        self.signals(rule).await
    }

    /// News of jobs of a unit that are over.
    pub(super) async fn jobs(&self, unit: &str) -> Result<Signals, CallError> {
        let rule = MatchRule::builder()
            .msg_type(Type::Signal)
            .sender(SYSTEMD)
            .path(MANAGER_PATH)
            .interface(MANAGER)
            .member("JobRemoved")
            .arg(2, unit)
            .build()?;
        self.signals(rule).await
    }

    async fn signals(&self, rule: MatchRule<'_>) -> Result<Signals, CallError> {
        let connection = self.connection().await?;
        let stream = MessageStream::for_match_rule(rule.to_owned(), &connection, None).await?;
        Ok(Signals(stream))
    }
}

/// Signals, in order.
#[derive(Debug)]
pub(super) struct Signals(MessageStream);

impl Signals {
    /// The next one; `None` once the connection has broken.
    pub(super) async fn next(&mut self) -> Option<Message> {
        loop {
            match poll_fn(|context| Pin::new(&mut self.0).poll_next(context)).await? {
                Ok(message) => return Some(message),
                Err(error) => tracing::debug!("a signal of systemd's is not readable: {error}"),
            }
        }
    }
}

/// Why systemd did not do something.
#[derive(Debug)]
pub(super) enum CallError {
    /// It refused, in its words.
    Refused(String),
    /// It could not be asked.
    Fault(Fault),
}

impl CallError {
    /// What that means for the unit, after `doing`.
    pub(super) fn fault(self, doing: &str) -> Fault {
        match self {
            Self::Refused(words) => Fault::passing(format!("{doing}: systemd says: {words}")),
            Self::Fault(fault) => fault,
        }
    }
}

impl From<Fault> for CallError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<zbus::Error> for CallError {
    fn from(error: zbus::Error) -> Self {
        match error {
            zbus::Error::MethodError(name, words, _) => {
                Self::Refused(words.unwrap_or_else(|| name.to_string()))
            }
            zbus::Error::FDO(error) => Self::Refused(error.to_string()),
            error => Self::Fault(absent(&error)),
        }
    }
}

fn absent(error: &impl std::fmt::Display) -> Fault {
    Fault::passing(format!(
        "systemd cannot be reached on D-Bus: {error}; see to it that the system's bus runs (dbus.service), \
         or set backend = \"exec\" in [supervisor]"
    ))
}
