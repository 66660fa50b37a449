//! What systemd is told, and what it is asked.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::timeout;
use zbus::{OwnedObjectPath, OwnedVariant};

/// How long systemd's answer is waited for.
const PATIENCE: Duration = Duration::from_millis(500);
const BUS_NAME: &str = "org.freedesktop.systemd1";
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

/// The type of the job that systemd has for our unit, such as `stop` or `restart`; `None` if it
/// has none or does not say.
pub async fn pending_job() -> Option<String> {
    match timeout(PATIENCE, ask()).await {
        Ok(Ok(job)) => job,
        Ok(Err(error)) => {
            tracing::warn!("systemd does not say whether this is a restart: {error}");
            None
        }
        Err(_) => {
            tracing::warn!("systemd does not say in time whether this is a restart");
            None
        }
    }
}

async fn ask() -> zbus::Result<Option<String>> {
    let bus = zbus::Connection::system().await?;
    let reply = bus
        .call_method(
            Some(BUS_NAME),
            "/org/freedesktop/systemd1",
            Some("org.freedesktop.systemd1.Manager"),
            "GetUnitByPID",
            &std::process::id(),
        )
        .await?;
    let unit: OwnedObjectPath = reply.body().deserialize()?;
    let job = property(&bus, &unit, "org.freedesktop.systemd1.Unit", "Job").await?;
    let (id, job): (u32, OwnedObjectPath) = job.try_into()?;
    if id == 0 {
        return Ok(None);
    }
    let kind = property(&bus, &job, "org.freedesktop.systemd1.Job", "JobType").await?;
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
