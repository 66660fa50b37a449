//! `mainstay-lab`: the instruments one by one, and the measuring of failovers.

#![forbid(unsafe_code)]

mod args;

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Parser as _;
use lab::bring_up::{self, BringUp};
use lab::etcd::{Access, Found, Writer, Written};
use lab::plan::{Job, Plan};
use lab::scenario::{self, Setup, Spans};
use lab::{
    Event, Family, Flood, FloodReport, Hogs, Host, Kind, Lab, Malformed, Node, Observer, Pki,
    Probe, Responder, Stamp, apiserver, rr_loop, sleep_until,
};

use self::args::{Cli, Command, Measure, Output, Which};

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Watch { name, family, all, seconds } => {
            watch(&name.lab, family, all, Duration::from_secs(seconds))
        }
        Command::Responder { name, node, seconds } => {
            let lab = Lab::attach(&name.lab)?;
            let nodes = node.map_or_else(|| lab.nodes().to_vec(), |node| vec![node]);
            let responders: Result<Vec<_>, _> =
                nodes.into_iter().map(|node| Responder::start(&lab, node)).collect();
            let _responders = responders?;
            sleep_until(Stamp::now() + Duration::from_secs(seconds));
            Ok(())
        }
        Command::Probe { name, family, period, seconds, output } => {
            let (period, bound) = (Duration::from_micros(period), Duration::from_secs(seconds));
            probe(&name.lab, family, period, bound, output)
        }
        Command::Rrloop { seconds } => {
            let period = Duration::from_millis(10);
            let never = AtomicBool::new(false);
            let report = rr_loop(period, Duration::from_secs(seconds), &never)
                .context("the loop needs SCHED_RR and locked memory: run it as root")?;
            println!("{} wake-ups, largest gap {:?}", report.ticks, report.largest_gap);
            Ok(())
        }
        Command::Hogs { count, seconds } => {
            Hogs::start(count, Duration::from_secs(seconds))?.wait();
            Ok(())
        }
        Command::Flood { name, family, kind, rate, seconds } => {
            let lab = Lab::attach(&name.lab)?;
            let kinds = if kind.is_empty() { Malformed::ALL.to_vec() } else { kind };
            let frames = kinds.iter().map(|kind| kind.frame(family)).collect();
            let flood = Flood::start(&lab, frames, rate, Duration::from_secs(seconds))?;
            let report = flood.wait()?;
            let FloodReport { sent, refused, .. } = report;
            println!("{sent} sent, {refused} refused, {:.0} a second", report.rate());
            Ok(())
        }
        Command::Certificates { folder } => Ok(Pki::ensure(&folder).map(drop)?),
        Command::Apiserver { folder } => Ok(apiserver::serve(&folder)?),
        Command::Draw { lab, mainstay, file } => {
            let svg = scenario::drawn(&lab, mainstay)?;
            fs::write(&file, svg).with_context(|| file.display().to_string())
        }
        Command::BringUp { name, with, check } => {
            let masters = bring_up::bring_up(&Lab::attach(&name.lab)?, &with)?;
            print!("{}", bring_up::table(&masters));
            let own = masters.iter().flat_map(BringUp::own_parts).max().unwrap_or_default();
            if check && own > bring_up::OWN_PART {
                bail!("the supervisor's own part is longer than {:?}", bring_up::OWN_PART);
            }
            Ok(())
        }
        Command::Write { name, folder, seconds } => {
            let lab = Lab::attach(&name.lab)?;
            let access = access(&lab)?;
            let writer = Writer::start(&access, lab.nodes(), &folder)?;
            sleep_until(Stamp::now() + Duration::from_secs(seconds));
            println!("{} writes were acknowledged", writer.stop()?.writes().len());
            Ok(())
        }
        Command::Written { name, folder } => written(&Lab::attach(&name.lab)?, &folder),
        Command::Measure(options) => measure(&options),
    }
}

fn access(lab: &Lab) -> anyhow::Result<Access> {
    let first = lab.nodes().first().context("the lab has no routers")?;
    Ok(Access::new(lab, *first)?)
}

fn written(lab: &Lab, folder: &Path) -> anyhow::Result<()> {
    let (access, written) = (access(lab)?, Written::read(folder)?);
    let start = written.writes().first().context("nothing was acknowledged")?.at;
    let mut is_lost = false;
    for &node in lab.nodes() {
        let Found { acknowledged, lost } = written.find(&access, node)?;
        println!("{node} has {} of {acknowledged} acknowledged writes", acknowledged - lost.len());
        is_lost |= !lost.is_empty();
    }
    let silence = written.longest_silence(start).as_secs_f64();
    println!("the longest time without an acknowledgement: {silence:.1} s");
    if is_lost {
        bail!("acknowledged writes are lost");
    }
    Ok(())
}

fn watch(name: &str, family: Family, all: bool, bound: Duration) -> anyhow::Result<()> {
    let lab = Lab::attach(name)?;
    let observer = Observer::without_responders(&lab, family)?;
    let end = Stamp::now() + bound;
    let (start, mut shown, mut sender) = (Stamp::now(), Stamp::from_nanos(0), None);
    loop {
        let wait = observer.timeline().wait(end, |view| {
            let new = view.events.iter().filter(|timed| timed.at > shown);
            Some(new.cloned().collect::<Vec<_>>()).filter(|new| !new.is_empty())
        });
        let Some(new) = wait else { return Ok(()) };
        for timed in new {
            shown = timed.at;
            let print = match &timed.event {
                Event::Advert(node, advert) => {
                    let changed = sender != Some((*node, advert.priority));
                    sender = Some((*node, advert.priority));
                    changed || all
                }
                Event::Arp(_, arp) => all || arp.is_gratuitous(),
                Event::Added(_) | Event::Removed(_) => true,
            };
            if print {
                writeln!(
                    io::stdout(),
                    "{:>10.3} s  {}",
                    timed.at.millis_since(start) / 1e3,
                    timed.event
                )?;
            }
        }
    }
}

fn probe(
    name: &str,
    family: Family,
    period: Duration,
    bound: Duration,
    output: Output,
) -> anyhow::Result<()> {
    let lab = Lab::attach(name)?;
    let start = Stamp::now();
    let probe = Probe::start_for(&lab, family, period, bound)?;
    sleep_until(start + bound);
    let log = probe.stop()?;
    if output == Output::Json {
        println!("{}", serde_json::to_string(&log)?);
        return Ok(());
    }
    let mut by: Option<Node> = None;
    for (at, node) in log.samples().iter().filter_map(|sample| sample.answer) {
        if by != Some(node) {
            println!("{:>10.3} ms  answered by {node}", at.millis_since(start));
            by = Some(node);
        }
    }
    let end = start + bound;
    let (sent, lost) = (log.samples().len(), log.lost(start, end));
    println!("{sent} sent, {lost} lost, largest silence {:?}", log.silence(start, end));
    Ok(())
}

fn measure(options: &Measure) -> anyhow::Result<()> {
    let plan = plan(options)?;
    let terminal = io::stderr().is_terminal();
    let report = plan.run(&options.lab, |doing| {
        // On a terminal one line that changes.
        if terminal {
            eprint!("\r\x1b[K{doing}");
        } else {
            eprintln!("{doing}");
        }
    })?;
    if terminal {
        eprint!("\r\x1b[K");
    }
    let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    match options.output {
        Output::Table => print!("{}", report.table(colour)),
        Output::Json => println!("{}", serde_json::to_string_pretty(&report)?),
    }
    if let Some(path) = &options.document {
        let host = Host::this(&plan.daemons, options.commit.as_deref())?;
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        fs::write(path, report.write_into(&text, &host)?)?;
    }
    if options.check && !report.is_met() {
        bail!("not all is as wanted");
    }
    Ok(())
}

fn plan(options: &Measure) -> anyhow::Result<Plan> {
    let mut jobs = options.plan.jobs();
    if !options.only.is_empty() {
        jobs.retain(|job| options.only.contains(&job.scenario.section()));
    }
    if !options.scenario.is_empty() {
        jobs.retain(|job| options.scenario.contains(&job.scenario));
    }
    if !options.family.is_empty() || options.virtual_mac {
        jobs = firsts(&jobs, |job| (job.scenario, job.interval));
        let families =
            if options.family.is_empty() { &[Family::Ipv4][..] } else { &options.family[..] };
        let of_each = |job: &Job| {
            let job = *job;
            let setup = |&family| Setup { family, virtual_mac: options.virtual_mac };
            families.iter().map(setup).map(move |setup| Job { setup, ..job }).collect::<Vec<_>>()
        };
        jobs = jobs.iter().flat_map(of_each).collect();
    }
    if !options.interval.is_empty() {
        jobs = firsts(&jobs, |job| (job.scenario, job.setup));
        let at = |job: &Job| {
            let job = *job;
            options
                .interval
                .iter()
                .map(move |&interval| Job { interval, ..job })
                .collect::<Vec<_>>()
        };
        jobs = jobs.iter().flat_map(at).collect();
    }
    for job in &mut jobs {
        job.runs = options.runs.unwrap_or(job.runs);
    }
    if jobs.is_empty() {
        bail!("nothing to measure");
    }
    let spans = options.plan.spans();
    Ok(Plan {
        jobs,
        spans: Spans {
            hog: options.hog_seconds.unwrap_or(spans.hog),
            flood: options.flood_seconds.unwrap_or(spans.flood),
            flap: options.flap_seconds.unwrap_or(spans.flap),
            stall: options.stall_seconds.unwrap_or(spans.stall),
        },
        daemons: match options.daemon {
            Which::Mainstay => vec![Kind::Mainstay],
            Which::Keepalived => vec![Kind::Keepalived],
            Which::Both => vec![Kind::Mainstay, Kind::Keepalived],
        },
        mainstay: options.mainstay.clone(),
    })
}

/// The first job of each key, in order.
fn firsts<K: PartialEq>(jobs: &[Job], key: impl Fn(&Job) -> K) -> Vec<Job> {
    let is_first = |at: usize, job: &Job| !jobs[..at].iter().any(|before| key(before) == key(job));
    let firsts = jobs.iter().enumerate().filter(|&(at, job)| is_first(at, job));
    firsts.map(|(_, job)| *job).collect()
}
