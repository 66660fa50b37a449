//! What systemd is told, and what it is asked.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::timeout;
use zbus::{OwnedObjectPath, OwnedVariant};

/// How long systemd's answer is waited for.
const PATIENCE: Duration = Duration::from_millis(500);
const BUS_NAME: &str = "org.freedesktop.systemd1";
const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// Tells systemd something; without systemd nothing happens.
pub fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("systemd was not notified: {error}");
    }
}

/// Asks for more time before the stop that is under way counts as failed; from now on.
pub fn extend(time: Duration) {
    let micros = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
    notify(&[NotifyState::ExtendTimeoutUsec(micros)]);
}

/// Whether systemd started this process as a service.
pub fn manages_us() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some() || std::env::var_os("INVOCATION_ID").is_some()
}

/// What systemd is about to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Intent {
    /// The type of the job that it has for our unit, such as `stop` or `restart`; `None` if it has
    /// none or does not say.
    pub job: Option<String>,
    /// Whether it stops the machine.
    pub machine_stops: bool,
}

/// Asks systemd what it is about to do.
pub async fn intent() -> Intent {
    match timeout(PATIENCE, ask()).await {
        Ok(Ok(intent)) => intent,
        Ok(Err(error)) => {
            tracing::warn!("systemd does not say whether this is a restart: {error}");
            Intent::default()
        }
        Err(_) => {
            tracing::warn!("systemd does not say in time whether this is a restart");
            Intent::default()
        }
    }
}

async fn ask() -> zbus::Result<Intent> {
    let bus = zbus::Connection::system().await?;
    let job = ask_job(&bus).await?;
    let manager = OwnedObjectPath::try_from(MANAGER_PATH)?;
    let state = property(&bus, &manager, MANAGER, "SystemState").await?;
    let state: String = state.try_into()?;
    Ok(Intent { job, machine_stops: state == "stopping" })
}

async fn ask_job(bus: &zbus::Connection) -> zbus::Result<Option<String>> {
    let reply = bus
        .call_method(
            Some(BUS_NAME),
            MANAGER_PATH,
            Some(MANAGER),
            "GetUnitByPID",
            &std::process::id(),
        )
        .await?;
    let unit: OwnedObjectPath = reply.body().deserialize()?;
    let job = property(bus, &unit, "org.freedesktop.systemd1.Unit", "Job").await?;
    let (id, job): (u32, OwnedObjectPath) = job.try_into()?;
    if id == 0 {
        return Ok(None);
    }
    let kind = property(bus, &job, "org.freedesktop.systemd1.Job", "JobType").await?;
    Ok(Some(kind.try_into()?))
}

async fn property(
    bus: &zbus::Connection,
    path: &OwnedObjectPath,
    interface: &str,
    name: &str,
) -> zbus::Result<OwnedVariant> {
    let reply =
        bus.call_method(Some(BUS_NAME), path, Some(PROPERTIES), "Get", &(interface, name)).await?;
    reply.body().deserialize()
}
