//! Two network namespaces joined by a veth pair, for tests that need the kernel.
//!
//! A namespace belongs to a thread and vanishes with it, so there is nothing to clean up.
#![allow(dead_code, missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::disallowed_methods)] // The kernel's time is real.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use vrrp::linux::interface::LinkInfo;
use vrrp::linux::monitor::{Change, Monitor};
use vrrp::linux::netlink::Netlink;

/// The interface in the test's own namespace, and its address.
pub const HERE: &str = "here";
pub const HERE_IP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// The other end.
pub const THERE: &str = "there";
pub const THERE_IP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
pub const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 10));
/// The link-local addresses of the two ends; they have no others of IPv6.
pub const HERE_LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
pub const THERE_LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);
pub const VIP_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x10));
pub const VIP_LINK_LOCAL: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x10));
pub const DEADLINE: Duration = Duration::from_secs(10);

type Job = Box<dyn FnOnce() + Send>;

/// A thread in a network namespace of its own.
pub struct Peer {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Peer {
    fn start() -> (Self, i32) {
        let (jobs, inbox) = channel::<Job>();
        let (announce, tid) = channel();
        let thread = std::thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            announce.send(nix::unistd::gettid().as_raw()).unwrap();
            for job in inbox {
                job();
            }
        });
        (Self { jobs: Some(jobs), thread: Some(thread) }, tid.recv().unwrap())
    }

    /// Runs `job` in the other namespace and waits for it.
    pub fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, result) = channel();
        let job: Job = Box::new(move || done.send(job()).unwrap());
        self.jobs.as_ref().unwrap().send(job).unwrap();
        result.recv().expect("the job panicked")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Puts the calling thread in a new namespace and joins it with another. `None`, loudly, without
/// root.
pub fn namespaces() -> Option<Peer> {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED, needs root: {}", std::thread::current().name().unwrap_or("test"));
        return None;
    }
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    let (peer, tid) = Peer::start();
    ip("link set lo up");
    ip(&format!("link add {HERE} type veth peer name {THERE} netns {tid}"));
    start_link(HERE, HERE_IP, HERE_LINK_LOCAL);
    peer.run(|| {
        ip("link set lo up");
        start_link(THERE, THERE_IP, THERE_LINK_LOCAL);
    });
    wait_until("carrier", || is_ready(HERE));
    peer.run(|| wait_until("carrier", || is_ready(THERE)));
    Some(peer)
}

/// Whether adverts of both families can leave. The kernel notices a carrier some time after it is
/// there, and then makes the IPv6 multicast route.
pub fn is_ready(name: &str) -> bool {
    let routes = std::fs::read_to_string("/proc/thread-self/net/ipv6_route").unwrap();
    let multicast = format!("ff{:030} 08 ", 0);
    link(name).is_some_and(|link| link.carrier)
        && routes.lines().any(|route| {
            route.starts_with(&multicast) && route.split_whitespace().last() == Some(name)
        })
}

/// With a link-local address that is usable at once, in place of one made from the MAC address.
fn start_link(name: &str, address: Ipv4Addr, link_local: Ipv6Addr) {
    ip(&format!("address add {address}/24 dev {name}"));
    ip(&format!("link set {name} addrgenmode none"));
    ip(&format!("address add {link_local}/64 dev {name} nodad"));
    ip(&format!("link set {name} up"));
}

/// Runs the `ip` command in the calling thread's namespace.
pub fn ip(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

pub fn link(name: &str) -> Option<LinkInfo> {
    Netlink::open().unwrap().links().unwrap().into_iter().find(|link| link.name == name)
}

pub fn index(name: &str) -> u32 {
    link(name).unwrap().index
}

pub fn sysctl(path: &str, value: &str) {
    std::fs::write(format!("/proc/sys/net/{path}"), value).unwrap();
}

/// Asks again and again; for what gives no event.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < DEADLINE, "no {what} within {DEADLINE:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Asks `next` whenever the descriptor is readable, until it gives something.
pub fn wait_for<F: AsFd, T>(what: &str, fd: &F, mut next: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = next() {
            return value;
        }
        let left = DEADLINE.checked_sub(start.elapsed());
        let left = left.unwrap_or_else(|| panic!("no {what} within {DEADLINE:?}"));
        readable(fd, left);
    }
}

/// Reads news until one is wanted.
pub fn wait_for_change(
    monitor: &mut Monitor,
    what: &str,
    wanted: impl Fn(&Change) -> bool,
) -> Change {
    let start = Instant::now();
    loop {
        match monitor.recv().unwrap() {
            Some(change) if wanted(&change) => return change,
            Some(_) => {}
            None => {
                let left = DEADLINE.checked_sub(start.elapsed());
                readable(monitor, left.unwrap_or_else(|| panic!("no {what} within {DEADLINE:?}")));
            }
        }
    }
}

/// Whether the descriptor becomes readable within `patience`.
pub fn readable<F: AsFd>(fd: &F, patience: Duration) -> bool {
    let patience = Timespec::try_from(patience).unwrap();
    poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&patience)).unwrap() > 0
}

/// Median and maximum of latencies, for the log.
pub fn figures(mut samples: Vec<Duration>) -> String {
    samples.sort_unstable();
    let median = samples[samples.len() / 2];
    let (min, max) = (samples[0], samples[samples.len() - 1]);
    format!("median {median:.1?}, min {min:.1?}, max {max:.1?} of {}", samples.len())
}

/// A whole IPv4 packet of protocol 112 to the VRRP group, DSCP CS6.
pub fn packet(source: Ipv4Addr, ttl: u8, options: &[u8], payload: &[u8]) -> Vec<u8> {
    use etherparse::{IpNumber, Ipv4Header, Ipv4Options};
    let length = u16::try_from(payload.len()).unwrap();
    let mut header =
        Ipv4Header::new(length, ttl, IpNumber(112), source.octets(), [224, 0, 0, 18]).unwrap();
    header.dscp = etherparse::IpDscp::try_new(48).unwrap();
    header.dont_fragment = true;
    header.options = Ipv4Options::try_from(options).unwrap();
    header.header_checksum = header.calc_header_checksum();
    let mut packet = header.to_bytes().to_vec();
    packet.extend(payload);
    packet
}

/// An IPv4 advert with one address, and the checksum of RFC 9568.
pub fn advert(vrid: u8, priority: u8) -> [u8; 12] {
    let mut message = [0x31, vrid, priority, 1, 0, 100, 0, 0, 10, 0, 0, 10];
    let words = message.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]));
    let sum: u32 = words.sum();
    let checksum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    message[6..8].copy_from_slice(&checksum.to_be_bytes());
    message
}

/// A whole IPv6 packet of next header 112, traffic class CS6.
pub fn packet_v6(source: Ipv6Addr, to: Ipv6Addr, hop_limit: u8, payload: &[u8]) -> Vec<u8> {
    use etherparse::{IpNumber, Ipv6Header};
    let header = Ipv6Header {
        traffic_class: 0xc0,
        payload_length: u16::try_from(payload.len()).unwrap(),
        next_header: IpNumber(112),
        hop_limit,
        source: source.octets(),
        destination: to.octets(),
        ..Ipv6Header::default()
    };
    let mut packet = header.to_bytes().to_vec();
    packet.extend(payload);
    packet
}

/// Every frame that passes an interface, in or out, as pnet hands it over.
pub struct Capture(Box<dyn pnet::datalink::DataLinkReceiver>);

impl Capture {
    pub fn open(name: &str) -> Self {
        use pnet::datalink::{Channel, Config, NetworkInterface, channel};
        let interface = NetworkInterface {
            name: name.to_owned(),
            description: String::new(),
            index: index(name),
            mac: None,
            ips: Vec::new(),
            flags: 0,
        };
        let config = Config {
            promiscuous: false,
            read_timeout: Some(DEADLINE),
            read_buffer_size: 16 * 1024,
            ..Config::default()
        };
        match channel(&interface, config).unwrap() {
            Channel::Ethernet(_, receiver) => Self(receiver),
            _ => panic!(),
        }
    }

    /// The next frame that is wanted.
    pub fn wait(&mut self, what: &str, wanted: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let start = Instant::now();
        while start.elapsed() < DEADLINE {
            match self.0.next() {
                Ok(frame) if wanted(frame) => return frame.to_vec(),
                Ok(_) => {}
                Err(error) => panic!("no {what}: {error}"),
            }
        }
        panic!("no {what} within {DEADLINE:?}")
    }
}
