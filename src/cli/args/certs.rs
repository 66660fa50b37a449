//! Certificates.

use clap::{Args, Subcommand};

use super::OutputArgs;

const ISSUE_HELP: &str = "\
Makes what is missing in the certificates' folder, laid out as kubeadm does, and overwrites nothing.
On the first master that includes the CAs. On another one copy them there first: ca.crt, ca.key,
etcd/ca.crt, etcd/ca.key, front-proxy-ca.crt, front-proxy-ca.key, sa.key, sa.pub.

Exit codes: 0 all are there, 1 failed, 2 usage or configuration, 5 refused.

Examples:
  mainstay certs issue
  mainstay certs issue --new-ca     on the first master: CAs too";

#[derive(Debug, Args)]
#[command(after_help = ISSUE_HELP)]
pub struct IssueArgs {
    /// Make the CAs too where they are missing; on one master only
    #[arg(long)]
    pub new_ca: bool,
    #[command(flatten)]
    pub output: OutputArgs,
}

const CHECK_HELP: &str = "\
Whether each certificate is there, signed by its CA, valid for longer than 30 days and for this
node's names and addresses, and whether its key is for root alone.

Exit codes: 0 all is well, 2 usage or configuration, 3 something is not as it should be.";

#[derive(Debug, Subcommand)]
pub enum CertsCommand {
    /// Issue the certificates that this node lacks
    Issue(IssueArgs),
    /// Check the certificates of this node
    #[command(after_help = CHECK_HELP)]
    Check(OutputArgs),
}
