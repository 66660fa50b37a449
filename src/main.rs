//! mainstay: owns a Kubernetes API server's virtual IP by VRRPv3.
#![forbid(unsafe_code)]

mod api;
mod cli;
mod config;
mod daemon;
mod events;
mod exit;
mod explain;
mod fence;
mod health;
mod host;
mod metrics;
mod runtime_dir;
mod status;
mod timestamp;
mod units;
mod vrrp_process;

fn main() -> std::process::ExitCode {
    cli::main()
}
