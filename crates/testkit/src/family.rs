//! A program and everything that it has started, as Linux lists them in `/proc`.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// One running program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relative {
    /// Its process id.
    pub id: u32,
    /// The first 15 bytes of its name.
    pub name: String,
    parent: u32,
    cpu_ticks: u64,
    start_ticks: u64,
}

/// The kernel reports in USER_HZ, which is 100 on every Linux that Rust runs on.
const MS_PER_TICK: u64 = 10;

impl Relative {
    /// Reads `/proc/<id>/stat`; none when it is gone.
    fn read(id: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The name stands in parentheses and may hold spaces and parentheses; what follows it are numbers (proc(5)).
        let (before, after) = stat.rsplit_once(')')?;
        let (_, name) = before.split_once('(')?;
        let fields: Vec<&str> = after.split_whitespace().collect();
        let number = |field: usize| fields.get(field)?.parse::<u64>().ok();
        Some(Self {
            id,
            name: name.to_owned(),
            parent: u32::try_from(number(1)?).ok()?,
            cpu_ticks: number(11)? + number(12)?,
            start_ticks: number(19)?,
        })
    }

    /// User and system time of all its threads so far, in steps of 10 ms.
    #[must_use]
    pub const fn cpu(&self) -> Duration {
        Duration::from_millis(self.cpu_ticks * MS_PER_TICK)
    }

    /// When it was started, since the system's, in steps of 10 ms: to be compared with the clock `Boottime`.
    #[must_use]
    pub const fn started(&self) -> Duration {
        Duration::from_millis(self.start_ticks * MS_PER_TICK)
    }

    /// Its proportional share of the memory that it has resident, in bytes: what several share counts once.
    ///
    /// # Errors
    /// When it is gone.
    pub fn memory_bytes(&self) -> Result<u64> {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.id))
            .with_context(|| format!("{} runs", self.name))?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).context("a share")?;
        let kib: u64 = line.trim().trim_end_matches(" kB").trim().parse()?;
        Ok(kib * 1024)
    }
}

/// The program with this id and all that descend from it, parents first. Empty when it is gone.
///
/// # Errors
/// When the system does not tell.
pub fn of(id: u32) -> Result<Vec<Relative>> {
    let ids = fs::read_dir("/proc")?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let all: Vec<Relative> = ids.filter_map(Relative::read).collect();
    let mut family: Vec<Relative> = all.iter().filter(|relative| relative.id == id).cloned().collect();
    let mut next = 0;
    while let Some(parent) = family.get(next).map(|relative| relative.id) {
        family.extend(all.iter().filter(|relative| relative.parent == parent).cloned());
        next += 1;
    }
    Ok(family)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::{PATIENCE, Running, wait_until};

    #[test]
    fn what_a_program_starts_belongs_to_its_family() {
        let mut command = std::process::Command::new("sh");
        command.args(["-c", "cat /dev/zero > /dev/null & wait"]);
        let shell = Running::spawn("sh", &mut command).unwrap();
        let child = wait_until(PATIENCE, || {
            of(shell.id()).unwrap().into_iter().find(|relative| relative.name == "cat")
        });
        let child = child.unwrap();
        let shell = of(shell.id()).unwrap().remove(0);
        assert_eq!((child.parent, shell.name.as_str()), (shell.id, "sh"));
        assert!(child.started() >= shell.started());
        assert!(shell.memory_bytes().unwrap() > 4_096);
        let busy = wait_until(PATIENCE, || (Relative::read(child.id)?.cpu() > child.cpu()).then_some(()));
        assert!(busy.is_some(), "a busy program uses the processor");
        // The shell takes nobody with it.
        let id = rustix::process::Pid::from_raw(child.id.cast_signed()).unwrap();
        rustix::process::kill_process(id, rustix::process::Signal::KILL).unwrap();
    }
}
