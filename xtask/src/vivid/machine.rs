//! qemu: boots the kernel, shows the console, and brings back a disk.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::program::Program;
use crate::vivid::initramfs::INIT_SCRIPT;

/// More than any test leaves behind; the file is sparse.
const DISK_BYTES: u64 = 256 * 1024 * 1024;

/// One run of the virtual machine.
pub(crate) struct Machine<'a> {
    pub(crate) kernel: PathBuf,
    pub(crate) initrd: &'a Path,
    /// The raw disk, made anew.
    pub(crate) results: &'a Path,
}

impl Machine<'_> {
    /// Runs the machine until it switches itself off, and returns all that its console showed.
    ///
    /// # Errors
    /// When qemu fails, or the machine is still running after `limit`; it is killed then.
    pub(crate) fn run(&self, limit: Duration) -> anyhow::Result<String> {
        std::fs::File::create(self.results)?.set_len(DISK_BYTES)?;
        let mut command = Command::new("qemu-system-x86_64");
        command
            .args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1024"])
            .args(["-display", "none", "-monitor", "none", "-serial", "stdio"])
            .args(["-nic", "none", "-no-reboot"])
            .arg("-drive")
            .arg(format!("file={},format=raw,if=virtio", self.results.display()))
            .arg("-kernel")
            .arg(&self.kernel)
            .arg("-initrd")
            .arg(self.initrd)
            .arg("-append")
            .arg(format!("console=ttyS0 loglevel=4 panic=-1 rdinit=/bin/sh -- /{INIT_SCRIPT}"));
        let mut program = Program::start_with_output("qemu", &command)?;
        let console = program.take_output().context("qemu has no console")?;
        let reader = thread::spawn(move || {
            let mut text = String::new();
            for line in BufReader::new(console).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line);
                let line = line.trim_end_matches('\r');
                println!("vm| {line}");
                text.push_str(line);
                text.push('\n');
            }
            text
        });
        let ended = program.wait(limit, || false)?;
        if ended.is_none() {
            program.kill()?;
        }
        let console = reader.join().map_err(|_| anyhow::anyhow!("the console's reader panicked"))?;
        match ended {
            None => bail!("the machine was still running after {limit:?} and was killed"),
            Some(status) if !status.success() => bail!("qemu failed: {status}"),
            Some(_) => Ok(console),
        }
    }
}
