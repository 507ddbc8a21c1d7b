//! CPU time and memory of processes, as Linux accounts them.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// What a process has used so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// User and system time of all its threads.
    pub(crate) cpu: Duration,
    /// The largest resident set so far, in bytes.
    pub(crate) peak_memory_bytes: u64,
}

/// Reads `/proc` for a process that is still running.
pub(crate) fn of_process(id: u32) -> Result<Usage> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).context("the process runs")?;
    // The program's name stands in parentheses and may hold spaces; what follows it is numbers,
    // of which utime and stime are the 12th and 13th (proc(5)).
    let (_, after_name) = stat.rsplit_once(')').context("a stat line")?;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    // The kernel reports in USER_HZ, which is 100 on every Linux that Rust runs on.
    let cpu = Duration::from_millis(ticks * 10);
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let peak_kib: u64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").trim().parse().ok())
        .context("VmHWM")?;
    Ok(Usage { cpu, peak_memory_bytes: peak_kib * 1024 })
}

/// User and system time of this process so far.
pub(crate) fn of_self() -> Result<Duration> {
    // Nanoseconds, unlike /proc's hundredths of a second.
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Ok(Duration::new(u64::try_from(time.tv_sec)?, u32::try_from(time.tv_nsec)?))
}
