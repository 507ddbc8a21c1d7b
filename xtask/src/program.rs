//! Programs that run beside this one: started, asked to stop by a signal, waited for, and never left behind.

use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::packages::find_on_path;
use crate::run;

/// How long a program that is dropped has before it is killed.
const LAST_WARNING: Duration = Duration::from_secs(5);
/// How often a wait looks again.
const GLANCE: Duration = Duration::from_millis(50);

/// How often the user has pressed Ctrl-C (or something has sent SIGTERM) since [`watch_interrupts`].
static INTERRUPTS: AtomicU32 = AtomicU32::new(0);

/// From now on Ctrl-C does not end this program but is counted by [`interrupts`].
pub(crate) fn watch_interrupts() -> anyhow::Result<()> {
    ctrlc::set_handler(|| {
        INTERRUPTS.fetch_add(1, Ordering::SeqCst);
    })
    .context("cannot listen for Ctrl-C")
}

/// The number of interrupts so far.
pub(crate) fn interrupts() -> u32 {
    INTERRUPTS.load(Ordering::SeqCst)
}

/// How to ask a program to stop.
#[derive(Clone, Copy)]
pub(crate) enum Signal {
    /// As Ctrl-C does.
    Interrupt,
    /// As a service manager does.
    Terminate,
}

/// A running program. Dropping it stops it: politely, then by force.
pub(crate) struct Program {
    name: &'static str,
    child: Child,
}

impl Program {
    /// Starts `command` in a group of its own, so that the terminal's Ctrl-C reaches only this program, which then
    /// stops the others in order.
    pub(crate) fn start(name: &'static str, command: &Command) -> anyhow::Result<Self> {
        let mut guarded = die_with_parent(command);
        own_group(&mut guarded);
        Self::spawn(name, command, guarded)
    }

    /// Starts `command` with its output to be read by [`Program::take_output`]. Ctrl-C reaches both programs.
    pub(crate) fn start_with_output(name: &'static str, command: &Command) -> anyhow::Result<Self> {
        let mut guarded = die_with_parent(command);
        guarded.stdout(Stdio::piped());
        Self::spawn(name, command, guarded)
    }

    fn spawn(name: &'static str, shown: &Command, mut guarded: Command) -> anyhow::Result<Self> {
        println!("$ {}", run::shown(shown));
        let child = guarded.stdin(Stdio::null()).spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name, child })
    }

    /// The output of a program started with [`Program::start_with_output`]; only once.
    pub(crate) fn take_output(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// The status if the program has ended.
    pub(crate) fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Asks the program to stop. One that has ended already is no error.
    pub(crate) fn ask_to_stop(&mut self, signal: Signal) -> anyhow::Result<()> {
        if self.ended()?.is_some() {
            return Ok(());
        }
        send(&mut self.child, signal)
    }

    /// Waits until the program ends, `limit` has passed, or `gives_up` says so; then `None`.
    pub(crate) fn wait(
        &mut self,
        limit: Duration,
        gives_up: impl Fn() -> bool,
    ) -> anyhow::Result<Option<ExitStatus>> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.ended()? {
                return Ok(Some(status));
            }
            if start.elapsed() >= limit || gives_up() {
                return Ok(None);
            }
            sleep(GLANCE);
        }
    }

    /// Ends the program at once.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let ended = self.ask_to_stop(Signal::Terminate).and_then(|()| self.wait(LAST_WARNING, || false));
        if !matches!(ended, Ok(Some(_))) {
            // Nothing is left to do about an error here: the program is gone, or it cannot be killed.
            let _ = self.kill();
        }
    }
}

/// The same command, which on Linux also ends when this program is killed outright and cannot stop it.
///
/// The kernel offers that to the program itself only; util-linux's setpriv asks for it and then becomes the program.
fn die_with_parent(command: &Command) -> Command {
    let has_setpriv = cfg!(target_os = "linux") && find_on_path("setpriv").is_some();
    let mut guarded = if has_setpriv {
        let mut setpriv = Command::new("setpriv");
        setpriv.args(["--pdeathsig", "TERM", "--"]);
        setpriv.arg(command.get_program());
        setpriv
    } else {
        Command::new(command.get_program())
    };
    guarded.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => guarded.env(name, value),
            None => guarded.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        guarded.current_dir(folder);
    }
    guarded
}

#[cfg(unix)]
fn own_group(command: &mut Command) {
    std::os::unix::process::CommandExt::process_group(command, 0);
}

#[cfg(not(unix))]
fn own_group(_command: &mut Command) {}

#[cfg(unix)]
fn send(child: &mut Child, signal: Signal) -> anyhow::Result<()> {
    let signal = match signal {
        Signal::Interrupt => rustix::process::Signal::INT,
        Signal::Terminate => rustix::process::Signal::TERM,
    };
    // The child has not been waited for, so its number cannot belong to another program yet.
    rustix::process::kill_process(rustix::process::Pid::from_child(child), signal)
        .context("cannot signal a program")
}

/// Without signals between programs, stopping is always abrupt; the server's storage is made for that.
#[cfg(not(unix))]
fn send(child: &mut Child, _signal: Signal) -> anyhow::Result<()> {
    child.kill().context("cannot stop a program")
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn sh(script: &str) -> Program {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Program::start("sh", &command).expect("sh starts")
    }

    fn is_running(id: u32) -> bool {
        run::succeeds(Command::new("kill").args(["-0", &id.to_string()]))
    }

    #[test]
    fn a_program_that_is_dropped_does_not_live_on() {
        let program = sh("exec sleep 1000");
        let id = program.child.id();
        assert!(is_running(id));
        drop(program);
        assert!(!is_running(id));
    }

    #[test]
    fn a_program_can_finish_its_work_after_it_was_asked_to_stop() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ready = folder.path().join("ready");
        let mut program =
            sh(&format!("trap 'exit 7' INT; touch {}; while :; do sleep 0.02; done", ready.display()));
        let start = Instant::now();
        while !ready.exists() && start.elapsed() < Duration::from_secs(10) {
            sleep(GLANCE);
        }
        program.ask_to_stop(Signal::Interrupt).expect("signalled");
        let status = program.wait(Duration::from_secs(10), || false).expect("waited");
        assert_eq!(status.and_then(|status| status.code()), Some(7));
    }

    #[test]
    fn a_wait_ends_at_its_limit() {
        let mut program = sh("exec sleep 1000");
        let ended = program.wait(Duration::from_millis(60), || false).expect("waited");
        assert!(ended.is_none());
    }
}
