//! Which container runtime a kubelet uses.

use std::path::PathBuf;

use super::cri::{self, Cri};
use super::{Sockets, Version};
use crate::backend::Fault;

/// The last minor version of kubelet that speaks to dockerd itself.
const LAST_DOCKERSHIM: u16 = 23;

/// What the configuration asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RuntimeChoice {
    /// dockerd by kubelet's own dockershim up to 1.23; after that containerd, or else cri-dockerd.
    #[default]
    Auto,
    /// dockerd, by kubelet's own dockershim, up to 1.23.
    Dockershim,
    /// containerd.
    Containerd,
    /// dockerd, by cri-dockerd.
    CriDockerd,
}

/// What kubelet is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// dockerd at this socket, by kubelet's own dockershim.
    Dockershim(PathBuf),
    /// A runtime at this socket.
    Remote(PathBuf),
}

/// Decides for one start. Asks at the sockets only where that makes a difference.
///
/// # Errors
/// If there is none that this kubelet can use: which ones were looked for, and what to do.
pub(super) async fn choose(
    version: Version,
    choice: RuntimeChoice,
    sockets: &Sockets,
) -> Result<Runtime, Fault> {
    if let Some(decided) = without_asking(version, choice, sockets) {
        return decided;
    }
    let containerd = match choice {
        RuntimeChoice::CriDockerd => None,
        _ => Some(cri::ask(&sockets.containerd).await),
    };
    if matches!(containerd, Some(Cri::Answers(_))) {
        return Ok(Runtime::Remote(sockets.containerd.clone()));
    }
    let cri_dockerd = match choice {
        RuntimeChoice::Containerd => None,
        _ => Some(cri::ask(&sockets.cri_dockerd).await),
    };
    decide(version, sockets, containerd.as_ref(), cri_dockerd.as_ref())
}

fn without_asking(
    version: Version,
    choice: RuntimeChoice,
    sockets: &Sockets,
) -> Option<Result<Runtime, Fault>> {
    let has_dockershim = version.minor() <= LAST_DOCKERSHIM;
    match choice {
        RuntimeChoice::Auto | RuntimeChoice::Dockershim if has_dockershim => {
            Some(Ok(Runtime::Dockershim(sockets.docker.clone())))
        }
        RuntimeChoice::Dockershim => Some(Err(Fault::refused(format!(
            "kubelet {version} has no dockershim any more: set [kubelet] runtime to \"auto\", \"containerd\" or \"cri-dockerd\""
        )))),
        _ => None,
    }
}

/// Decides by what answered; what was not asked is not wanted.
fn decide(
    version: Version,
    sockets: &Sockets,
    containerd: Option<&Cri>,
    cri_dockerd: Option<&Cri>,
) -> Result<Runtime, Fault> {
    if let Some(Cri::Answers(_)) = containerd {
        return Ok(Runtime::Remote(sockets.containerd.clone()));
    }
    if let Some(Cri::Answers(_)) = cri_dockerd {
        return Ok(Runtime::Remote(sockets.cri_dockerd.clone()));
    }
    let mut why = vec![format!("kubelet {version} finds no container runtime")];
    match containerd {
        Some(Cri::Disabled) => why.push(format!(
            "containerd at {} has its CRI disabled: take its cri plugin out of disabled_plugins in \
             /etc/containerd/config.toml and restart containerd",
            sockets.containerd.display()
        )),
        Some(Cri::Absent(error)) => {
            why.push(format!("containerd at {}: {error}", sockets.containerd.display()));
        }
        Some(Cri::Answers(_)) | None => {}
    }
    match cri_dockerd {
        Some(Cri::Disabled) => {
            why.push(format!("{} is no cri-dockerd's", sockets.cri_dockerd.display()));
        }
        Some(Cri::Absent(error)) => why.push(format!(
            "cri-dockerd at {}: {error}; start it if dockerd is to run the pods",
            sockets.cri_dockerd.display()
        )),
        Some(Cri::Answers(_)) | None => {}
    }
    Err(Fault::passing(why.join("; ")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn of(version: &str, choice: RuntimeChoice) -> Option<Result<Runtime, Fault>> {
        without_asking(version.parse().unwrap(), choice, &Sockets::default())
    }

    fn seen(containerd: &Cri, cri_dockerd: &Cri) -> Result<Runtime, Fault> {
        let version = "1.33".parse().unwrap();
        decide(version, &Sockets::default(), Some(containerd), Some(cri_dockerd))
    }

    fn answers() -> Cri {
        Cri::Answers("it".into())
    }

    fn absent() -> Cri {
        Cri::Absent("No such file".into())
    }

    #[test]
    fn dockershim_is_chosen_up_to_1_23_without_looking_at_anything() {
        let docker = Runtime::Dockershim("/run/docker.sock".into());
        assert_eq!(of("1.20", RuntimeChoice::Auto), Some(Ok(docker.clone())));
        assert_eq!(of("1.23", RuntimeChoice::Auto), Some(Ok(docker.clone())));
        assert_eq!(of("1.20", RuntimeChoice::Dockershim), Some(Ok(docker)));
        assert_eq!(of("1.24", RuntimeChoice::Auto), None);
        assert_eq!(of("1.20", RuntimeChoice::Containerd), None);
    }

    #[test]
    fn a_dockershim_that_is_gone_is_refused_with_what_to_set() {
        let fault = of("1.24", RuntimeChoice::Dockershim).unwrap().unwrap_err();
        assert!(fault.refused && fault.reason.contains("cri-dockerd"), "{fault}");
    }

    #[test]
    fn containerd_comes_before_cri_dockerd() {
        let sockets = Sockets::default();
        let containerd = Runtime::Remote(sockets.containerd);
        assert_eq!(seen(&answers(), &answers()).unwrap(), containerd);
        let cri_dockerd = Runtime::Remote(sockets.cri_dockerd);
        assert_eq!(seen(&Cri::Disabled, &answers()).unwrap(), cri_dockerd);
        assert_eq!(seen(&absent(), &answers()).unwrap(), cri_dockerd);
    }

    #[test]
    fn no_runtime_is_a_passing_fault_that_says_what_to_do() {
        let fault = seen(&Cri::Disabled, &absent()).unwrap_err();
        assert!(!fault.refused && fault.reason.contains("disabled_plugins"), "{fault}");
        assert!(fault.reason.contains("cri-dockerd"), "{fault}");
        let fault = seen(&absent(), &absent()).unwrap_err();
        assert!(fault.reason.contains("containerd at /run/containerd/containerd.sock: No such"));
    }
}
