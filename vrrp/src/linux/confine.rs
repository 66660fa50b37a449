//! What the VRRP process gives up once it has started: capabilities, new privileges, and the
//! system calls it has no use for. Each failure is survivable: warn and go on.

use std::collections::BTreeMap;

use caps::{CapSet, Capability, CapsHashSet};
use rustix::thread::set_no_new_privs;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

/// Raw and packet sockets; addresses, and socket buffers beyond the limit.
const KEPT: [Capability; 2] = [Capability::CAP_NET_RAW, Capability::CAP_NET_ADMIN];

/// Why the process is less confined than it should be.
#[derive(Debug, thiserror::Error)]
pub enum ConfineError {
    /// A capability that the work needs was not there.
    #[error("{0} is missing: run as root or grant it")]
    Missing(Capability),
    /// The capabilities stay as they were.
    #[error("capabilities could not be dropped: {0}")]
    Capabilities(caps::errors::CapsError),
    /// `no_new_privs` stays off.
    #[error("no_new_privs could not be set: {0}")]
    NewPrivileges(std::io::Error),
    /// No system call is filtered.
    #[error("system calls could not be filtered: {0}")]
    Seccomp(seccompiler::Error),
}

/// Drops every capability but CAP_NET_RAW and CAP_NET_ADMIN, for the calling thread and the
/// threads it starts later: call it before there are others, and after real-time scheduling and
/// locked memory are set.
///
/// # Errors
/// [`ConfineError::Missing`] or [`ConfineError::Capabilities`].
pub fn drop_capabilities() -> Result<(), ConfineError> {
    let permitted = caps::read(None, CapSet::Permitted).map_err(ConfineError::Capabilities)?;
    let kept: CapsHashSet = KEPT.into_iter().filter(|cap| permitted.contains(cap)).collect();
    // The bounding set counts at exec only, which the filter forbids: a refusal (no CAP_SETPCAP)
    // is of no consequence, nor is a kernel without ambient capabilities.
    for capability in caps::all().into_iter().filter(|cap| !KEPT.contains(cap)) {
        let _ = caps::drop(None, CapSet::Bounding, capability);
    }
    let _ = caps::clear(None, CapSet::Ambient);
    caps::set(None, CapSet::Effective, &kept)
        .and_then(|()| caps::clear(None, CapSet::Inheritable))
        .and_then(|()| caps::set(None, CapSet::Permitted, &kept))
        .map_err(ConfineError::Capabilities)?;
    match KEPT.into_iter().find(|cap| !kept.contains(cap)) {
        Some(missing) => Err(ConfineError::Missing(missing)),
        None => Ok(()),
    }
}

/// Makes sure that no exec gives more privileges, for the calling thread and those it starts.
///
/// # Errors
/// [`ConfineError::NewPrivileges`].
pub fn no_new_privileges() -> Result<(), ConfineError> {
    set_no_new_privs(true).map_err(|error| ConfineError::NewPrivileges(error.into()))
}

/// Allows all threads of the process only the system calls of a running VRRP process: no files, no
/// processes, no new threads, no executable memory, and of sockets those it works with.
///
/// Anything else fails with EPERM. It does not kill: a call that was forgotten here, or that
/// another libc makes, must not take the virtual address down.
///
/// # Errors
/// [`ConfineError::Seccomp`], also on an architecture without a filter.
pub fn filter_system_calls() -> Result<(), ConfineError> {
    let program = program().map_err(|error| ConfineError::Seccomp(error.into()))?;
    seccompiler::apply_filter_all_threads(&program).map_err(ConfineError::Seccomp)
}

/// Allowed with any arguments.
const FREE: &[libc::c_long] = &[
    // Waiting
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    libc::SYS_timerfd_gettime,
    libc::SYS_eventfd2,
    libc::SYS_signalfd4,
    libc::SYS_futex,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_restart_syscall,
    // Descriptors
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_fcntl,
    libc::SYS_dup,
    libc::SYS_dup3,
    // Sockets
    libc::SYS_bind,
    libc::SYS_accept4,
    libc::SYS_shutdown,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_recvmmsg,
    libc::SYS_setsockopt,
    libc::SYS_getsockopt,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    // Memory
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_membarrier,
    libc::SYS_rseq,
    // Signals
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_rt_sigpending,
    libc::SYS_sigaltstack,
    // This process and its threads
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_gettid,
    libc::SYS_tgkill,
    libc::SYS_getrandom,
    libc::SYS_getrusage,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_getscheduler,
    libc::SYS_sched_setscheduler,
    libc::SYS_sched_getparam,
    libc::SYS_set_robust_list,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Older forms of the calls above, which newer architectures do not have.
#[cfg(target_arch = "x86_64")]
const FREE_OLD: &[libc::c_long] =
    &[libc::SYS_epoll_wait, libc::SYS_poll, libc::SYS_select, libc::SYS_dup2, libc::SYS_time];
#[cfg(not(target_arch = "x86_64"))]
const FREE_OLD: &[libc::c_long] = &[];

/// The libc crate has them in another type for each libc.
const FIONREAD: u64 = 0x541b;
const FIONBIO: u64 = 0x5421;
/// The name of an interface.
const SIOCGIFNAME: u64 = 0x8910;

fn program() -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for &call in FREE.iter().chain(FREE_OLD) {
        rules.insert(call, Vec::new());
    }
    rules.insert(libc::SYS_socket, sockets()?);
    let not_executable = SeccompCmpOp::MaskedEq(flag(libc::PROT_EXEC));
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        rules.insert(call, vec![SeccompRule::new(vec![is(2, not_executable.clone(), 0)?])?]);
    }
    rules.insert(libc::SYS_ioctl, one_of(1, &[FIONREAD, FIONBIO, SIOCGIFNAME])?);
    let prctl = [libc::PR_SET_NAME, libc::PR_GET_NAME].map(flag);
    rules.insert(libc::SYS_prctl, one_of(0, &prctl)?);

    let denied = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(rules, denied, SeccompAction::Allow, architecture)?.try_into()
}

/// Raw IP, packet and rtnetlink sockets, and the netlink that closes other programs' connections.
fn sockets() -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    let family = |family| is(0, SeccompCmpOp::Eq, flag(family));
    // The type comes with flags such as SOCK_CLOEXEC.
    let raw = || is(1, SeccompCmpOp::MaskedEq(0xf), flag(libc::SOCK_RAW));
    let netlink = |protocol| is(2, SeccompCmpOp::Eq, flag(protocol));
    Ok(vec![
        SeccompRule::new(vec![family(libc::AF_INET)?, raw()?])?,
        SeccompRule::new(vec![family(libc::AF_INET6)?, raw()?])?,
        SeccompRule::new(vec![family(libc::AF_PACKET)?])?,
        SeccompRule::new(vec![family(libc::AF_NETLINK)?, netlink(libc::NETLINK_ROUTE)?])?,
        SeccompRule::new(vec![family(libc::AF_NETLINK)?, netlink(libc::NETLINK_SOCK_DIAG)?])?,
    ])
}

/// Argument `index` is one of `values`.
fn one_of(index: u8, values: &[u64]) -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    values
        .iter()
        .map(|&value| SeccompRule::new(vec![is(index, SeccompCmpOp::Eq, value)?]))
        .collect()
}

/// The low 32 bits of argument `index` compare with `value`.
fn is(
    index: u8,
    operator: SeccompCmpOp,
    value: u64,
) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(index, SeccompCmpArgLen::Dword, operator, value)
}

/// A constant of libc, none of which is negative.
fn flag(constant: libc::c_int) -> u64 {
    u64::from(constant.unsigned_abs())
}
