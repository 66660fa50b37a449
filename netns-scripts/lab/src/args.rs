//! The command line of `mainstay-lab`.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use lab::plan::Preset;
use lab::scenario::{Scenario, Section};
use lab::{Family, Interval, Malformed, Node};

/// Measures failovers in network namespaces.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

/// The lab that is used.
#[derive(Debug, clap::Args)]
pub struct LabName {
    /// The lab's name, the prefix of its namespaces.
    #[arg(long, env = "LAB", default_value = "lab")]
    pub lab: String,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print adverts, gratuitous ARP and owners as they change, in a lab that is up.
    Watch {
        #[command(flatten)]
        name: LabName,
        /// The first virtual router of this family.
        #[arg(long, value_enum, default_value_t)]
        family: Family,
        /// Print every advert, not only those of a new sender.
        #[arg(long)]
        all: bool,
        /// End after this many seconds.
        #[arg(long, default_value_t = 3600)]
        seconds: u64,
    },
    /// Answer probes on the routers of a lab that is up.
    Responder {
        #[command(flatten)]
        name: LabName,
        /// Only on this router.
        #[arg(long)]
        node: Option<Node>,
        /// End after this many seconds.
        #[arg(long, default_value_t = 3600)]
        seconds: u64,
    },
    /// Ask the VIP from the client of a lab that is up; needs responders on its routers.
    Probe {
        #[command(flatten)]
        name: LabName,
        /// Ask the VIP of this family.
        #[arg(long, value_enum, default_value_t)]
        family: Family,
        /// Microseconds between two requests.
        #[arg(long, default_value_t = 1000)]
        period: u64,
        /// End after this many seconds.
        #[arg(long, default_value_t = 5)]
        seconds: u64,
        /// What to print.
        #[arg(short, long, value_enum, default_value_t = Output::Table)]
        output: Output,
    },
    /// A bare SCHED_RR timer loop at 10 ms; prints its largest gap.
    Rrloop {
        /// End after this many seconds.
        #[arg(long, default_value_t = 10)]
        seconds: u64,
    },
    /// Busy loops.
    Hogs {
        /// How many.
        count: usize,
        /// End after this many seconds.
        #[arg(long, default_value_t = 10)]
        seconds: u64,
    },
    /// Send malformed adverts from the stranger of a lab that is up.
    Flood {
        #[command(flatten)]
        name: LabName,
        /// To the virtual router of this family.
        #[arg(long, value_enum, default_value_t)]
        family: Family,
        /// What is wrong with them; all kinds in turn if none is given.
        #[arg(long, value_enum, value_delimiter = ',')]
        kind: Vec<Malformed>,
        /// How many a second.
        #[arg(long, default_value_t = 50)]
        rate: u32,
        /// End after this many seconds.
        #[arg(long, default_value_t = 10)]
        seconds: u64,
    },
    /// Make the certificates of apiservers, unless they are there.
    Certificates {
        /// The folder.
        folder: PathBuf,
    },
    /// A fake apiserver: HTTPS on port 6443 of all addresses, until it is killed.
    Apiserver {
        /// The router's folder: its file `answer` chooses how it answers, and the certificates are in
        /// `pki` beside it.
        #[arg(env = "LAB_APISERVER")]
        folder: PathBuf,
    },
    /// Kill the Active's apiserver in a lab made for it and draw what follows, as SVG.
    Draw {
        /// The lab's name; one that is up under it is taken down.
        #[arg(long, default_value = "draw")]
        lab: String,
        /// The mainstay to run; else MAINSTAY_BIN, target/release or target/debug.
        #[arg(long)]
        mainstay: Option<PathBuf>,
        /// Where the picture goes.
        file: PathBuf,
    },
    /// Bring up the units of all routers in a lab that is up, and print what each of them took.
    BringUp {
        #[command(flatten)]
        name: LabName,
        /// What brings them up: init, once in the life of an etcd cluster, or up.
        #[arg(default_value = "init")]
        with: String,
        /// Exit with 1 if the supervisor's own part is longer than is wanted.
        #[arg(long)]
        check: bool,
    },
    /// Write to etcd on all routers of a lab that is up, and log what it acknowledges.
    Write {
        #[command(flatten)]
        name: LabName,
        /// For the logs.
        folder: PathBuf,
        /// End after this many seconds.
        #[arg(long, default_value_t = 3600)]
        seconds: u64,
    },
    /// Look for what etcd has acknowledged to `write`, on each router; exit with 1 if it is lost.
    Written {
        #[command(flatten)]
        name: LabName,
        /// The logs.
        folder: PathBuf,
    },
    /// Measure failovers in a lab made for it and print a table.
    Measure(Measure),
}

#[derive(Debug, clap::Args)]
pub struct Measure {
    /// The lab's name; one that is up under it is taken down.
    #[arg(long, default_value = "measure")]
    pub lab: String,
    /// What is measured.
    #[arg(long, value_enum, default_value_t = Which::Both)]
    pub daemon: Which,
    /// A ready-made list of scenarios, intervals and runs.
    #[arg(long, value_enum, default_value_t = Preset::Full)]
    pub plan: Preset,
    /// Only these parts of the plan.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub only: Vec<Section>,
    /// Only these scenarios.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub scenario: Vec<Scenario>,
    /// At these intervals, such as 1s, 100ms, 10ms, instead of the plan's.
    #[arg(long, value_delimiter = ',')]
    pub interval: Vec<Interval>,
    /// With virtual routers of these families, instead of the plan's.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub family: Vec<Family>,
    /// With the virtual MAC, instead of as planned.
    #[arg(long)]
    pub virtual_mac: bool,
    /// Runs of each, instead of the plan's.
    #[arg(long)]
    pub runs: Option<u32>,
    /// How long CPU hogs run, instead of the plan's.
    #[arg(long)]
    pub hog_seconds: Option<u32>,
    /// How long a flood lasts, instead of the plan's.
    #[arg(long)]
    pub flood_seconds: Option<u32>,
    /// How long an apiserver flaps, instead of the plan's.
    #[arg(long)]
    pub flap_seconds: Option<u32>,
    /// How long a process stands still at most, instead of the plan's.
    #[arg(long)]
    pub stall_seconds: Option<u32>,
    /// The mainstay to run; else MAINSTAY_BIN, target/release or target/debug.
    #[arg(long)]
    pub mainstay: Option<PathBuf>,
    /// What to print.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    /// Put the tables into this Markdown document too, between its marks.
    #[arg(long)]
    pub document: Option<PathBuf>,
    /// From which commit mainstay was built, for the document.
    #[arg(long)]
    pub commit: Option<String>,
    /// Exit with 1 if mainstay misses what is wanted.
    #[arg(long)]
    pub check: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Which {
    Mainstay,
    Keepalived,
    Both,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Table,
    Json,
}
