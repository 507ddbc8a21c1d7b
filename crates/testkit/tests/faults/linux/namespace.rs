//! Machines of their own, as far as the network goes, and the link between two of them.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::os::fd::AsFd as _;
use std::process::{Child, Command, Stdio};
use std::thread;

use anyhow::{Context, Result, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::run;

/// A network namespace without a name. A program that waits for its standard input to end holds it: it ends with the test,
/// however that ends, and the kernel then removes the namespace with its links.
#[derive(Debug)]
struct Namespace {
    holder: Child,
    net: File,
}

impl Namespace {
    fn new() -> Result<Self> {
        let mut holder = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo made; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("unshare starts")?;
        let mut said = String::new();
        BufReader::new(holder.stdout.take().context("a pipe")?).read_line(&mut said)?;
        ensure!(said == "made\n", "this kernel or this user makes no network namespaces");
        let net = File::open(format!("/proc/{}/ns/net", holder.id()))?;
        let made = Self { holder, net };
        made.inside(|| run("ip", &["link", "set", "lo", "up"]))?;
        Ok(made)
    }

    /// Does something on a thread in this namespace. What it starts stays there.
    fn inside<T: Send>(&self, act: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let in_namespace = || {
            move_into_link_name_space(self.net.as_fd(), Some(LinkNameSpaceType::Network))?;
            act()
        };
        // A panic is the test's own, with its own message.
        thread::scope(|scope| {
            scope.spawn(in_namespace).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// How a link breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Break {
    /// The device's interface goes down: its programs are told at once.
    Down,
    /// What the device sends gets lost, and nobody is told.
    Silent,
}

/// A server's machine and a device's machine, and one slow link between them.
#[derive(Debug)]
pub(super) struct Machines {
    server: Namespace,
    device: Namespace,
}

const SERVER: &str = "10.90.0.1";
const DEVICE: &str = "10.90.0.2";
/// Nobody has it; the kernel passes over what is sent to it.
const NOBODY: &str = "02:00:00:00:00:99";
const SERVER_MAC: &str = "02:00:00:00:00:01";
const DEVICE_MAC: &str = "02:00:00:00:00:02";

impl Machines {
    /// Both directions carry so much, such as `1mbit`; each holds back what does not fit for as long as `queue`, such as
    /// `400ms`, and then drops it.
    pub(super) fn linked(rate: &str, queue: &str) -> Result<Self> {
        let machines = Self { server: Namespace::new()?, device: Namespace::new()? };
        let device = machines.device.holder.id().to_string();
        let shape = ["qdisc", "add", "dev", "wire", "root", "tbf", "rate", rate, "burst", "8kb"];
        let shape = [&shape[..], &["latency", queue]].concat();
        machines.server.inside(|| {
            let pair = ["link", "add", "wire", "address", SERVER_MAC, "type", "veth"];
            run(
                "ip",
                &[&pair[..], &["peer", "name", "wire", "address", DEVICE_MAC, "netns", &device]].concat(),
            )?;
            run("ip", &["address", "add", &format!("{SERVER}/24"), "dev", "wire"])?;
            run("ip", &["link", "set", "wire", "up"])?;
            run("tc", &shape)
        })?;
        machines.device.inside(|| {
            run("ip", &["address", "add", &format!("{DEVICE}/24"), "dev", "wire"])?;
            run("ip", &["link", "set", "wire", "up"])?;
            run("tc", &shape)
        })?;
        Ok(machines)
    }

    /// Where the device finds a server on that port.
    pub(super) fn address(port: u16) -> String {
        format!("ws://{SERVER}:{port}")
    }

    /// Does something on the server's machine; what it starts stays there.
    pub(super) fn at_server<T: Send>(&self, act: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        self.server.inside(act)
    }

    /// Does something on the device's machine; what it starts stays there.
    pub(super) fn at_device<T: Send>(&self, act: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        self.device.inside(act)
    }

    pub(super) fn cut(&self, how: Break) -> Result<()> {
        self.device.inside(|| match how {
            Break::Down => run("ip", &["link", "set", "wire", "down"]),
            Break::Silent => run("ip", &["neigh", "replace", SERVER, "lladdr", NOBODY, "dev", "wire"]),
        })
    }

    pub(super) fn mend(&self, how: Break) -> Result<()> {
        self.device.inside(|| match how {
            Break::Down => run("ip", &["link", "set", "wire", "up"]),
            Break::Silent => run("ip", &["neigh", "replace", SERVER, "lladdr", SERVER_MAC, "dev", "wire"]),
        })
    }
}
