//! The workspace's own programs as child processes, found beside the test that runs them.

use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::http::Api;

/// How long a test waits for a program to do something before it fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How long the last lines of a program that has ended may take to be read.
const OUTPUT_PATIENCE: Duration = Duration::from_secs(5);

/// Where `longtake` keeps what the server does not have.
pub const SPOOL: &str = "LONGTAKE_SPOOL";

/// The token that a server asks for.
const TOKEN: &str = "STREAMING_ACCESS_TOKEN";

/// The path of one of the workspace's programs, as the running profile built it.
///
/// # Errors
/// When it has not been built; `cargo xtask test` builds the programs before the tests.
pub fn program(name: &str) -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let folder = test.ancestors().find(|folder| folder.join(name).is_file());
    match folder {
        Some(folder) => Ok(folder.join(name)),
        None => bail!("{name} is not built; run `cargo build --bins` first"),
    }
}

/// A port of the loopback interface that is free at this moment.
///
/// # Errors
/// When the system has none.
pub fn free_port() -> Result<u16> {
    free_ports::<1>().map(|[port]| port)
}

/// Several ports at once, so that each is another.
///
/// # Errors
/// When the system has none.
pub fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut listeners = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        *port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(ports)
}

/// A child process whose output is kept. Dropping it kills it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    name: String,
    output: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
    /// Where a publisher keeps what the server does not have, unless the test says otherwise: never among the user's.
    _spool: Option<TempDir>,
}

impl Running {
    /// Starts a program of the workspace.
    ///
    /// # Errors
    /// When it is not built or does not start.
    pub fn start(name: &str, args: &[&str], env: &[(&str, &str)]) -> Result<Self> {
        Self::spawn(name, Command::new(program(name)?).args(args).envs(env.iter().copied()))
    }

    /// Starts a program of the workspace that reads these bytes from its standard input.
    ///
    /// # Errors
    /// When it is not built or does not start.
    pub fn start_fed(name: &str, args: &[&str], env: &[(&str, &str)], input: Vec<u8>) -> Result<Self> {
        let mut command = Command::new(program(name)?);
        let mut running =
            Self::spawn_with(name, command.args(args).envs(env.iter().copied()), Stdio::piped())?;
        if let Some(mut pipe) = running.child.stdin.take() {
            // A program that reads no further says so itself.
            thread::spawn(move || pipe.write_all(&input).ok());
        }
        Ok(running)
    }

    /// Starts any program, by the name that messages give it.
    ///
    /// # Errors
    /// When it does not start.
    pub fn spawn(name: &str, command: &mut Command) -> Result<Self> {
        Self::spawn_with(name, command, Stdio::null())
    }

    fn spawn_with(name: &str, command: &mut Command, input: Stdio) -> Result<Self> {
        let is_told = command.get_envs().any(|(name, _)| name == SPOOL);
        let spool = (name == "longtake" && !is_told).then(TempDir::new).transpose()?;
        if let Some(spool) = &spool {
            command.env(SPOOL, spool.path());
        }
        let mut child = command
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("{name} starts"))?;
        let output = Arc::new(Mutex::new(String::new()));
        let pipes: [Option<Box<dyn Read + Send>>; 2] = [
            child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
            child.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
        ];
        let mut readers = Vec::new();
        for pipe in pipes.into_iter().flatten() {
            let kept = Arc::clone(&output);
            readers.push(thread::spawn(move || keep_lines(pipe, &kept)));
        }
        Ok(Self { child, name: name.to_owned(), output, readers, _spool: spool })
    }

    /// What the program has printed so far, both streams.
    #[must_use]
    pub fn output(&self) -> String {
        self.output.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).with_context(|| format!("signal {signal:?} to {}", self.name))
    }

    /// Kills the program without warning and waits until it is gone.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Whether the program has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// Asks the program to end, and kills it if it does not in ten seconds. One that has ended is as good.
    pub fn end(&mut self) {
        let longest = Duration::from_secs(10);
        if self.signal(Signal::TERM).is_err()
            || wait_until(longest, || self.child.try_wait().ok().flatten()).is_none()
        {
            // It is gone, or it cannot be.
            let _ = self.kill();
        }
    }

    /// Waits until the program ends by itself, and until everything that it printed is there to read.
    ///
    /// # Errors
    /// When it has not ended in time; it is killed then.
    pub fn wait(&mut self, longest: Duration) -> Result<ExitStatus> {
        let ended = wait_until(longest, || self.child.try_wait().ok().flatten());
        match ended {
            Some(status) => {
                // Programs that it started may hold its output open: they are not waited for.
                let is_read = || self.readers.iter().all(JoinHandle::is_finished).then_some(());
                wait_until(OUTPUT_PATIENCE, is_read);
                Ok(status)
            }
            None => {
                self.kill()?;
                bail!("{} did not end within {longest:?}; it said:\n{}", self.name, self.output())
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn keep_lines(pipe: impl Read, kept: &Mutex<String>) {
    for line in BufReader::new(pipe).lines().map_while(Result::ok) {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_str(&line);
        kept.push('\n');
    }
}

/// A running ingest server.
#[derive(Debug)]
pub struct Server {
    /// The process.
    pub process: Running,
    /// Its port.
    pub port: u16,
    /// Its API.
    pub api: Api,
}

impl Server {
    /// Starts the server on a folder and a port of the loopback interface, without a token, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not become ready; with what it said.
    pub fn start(folder: &Path, port: u16, more: &[&str]) -> Result<Self> {
        Self::start_in(folder, port, more, &[])
    }

    /// The same with more in its environment; with a token there it listens on all interfaces.
    ///
    /// # Errors
    /// When it does not become ready; with what it said.
    pub fn start_in(folder: &Path, port: u16, more: &[&str], env: &[(&str, &str)]) -> Result<Self> {
        let folder = folder.to_str().context("test folders have plain names")?;
        let port_text = port.to_string();
        let args = [&["--data-dir", folder, "--port", &port_text], more].concat();
        let mut process = Running::start("longtake-ingest", &args, env)?;
        let token = env.iter().find(|(name, _)| *name == TOKEN).map(|(_, token)| *token);
        let api = Api::new(port).with_token(token);
        let ready = wait_until(PATIENCE, || {
            let ended = process.child.try_wait().ok().flatten();
            (ended.is_some() || api.ready()).then_some(ended.is_none())
        });
        ensure!(ready == Some(true), "the server is not ready; it said:\n{}", process.output());
        Ok(Self { process, port, api })
    }

    /// The address that a publisher on this machine is given.
    #[must_use]
    pub fn address(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }
}

/// `longtake-ingest check` finds nothing wrong in a server's folder.
///
/// # Errors
/// When it does; with what it said.
pub fn check_files(folder: &Path) -> Result<()> {
    let folder = folder.to_str().context("test folders have plain names")?;
    let mut check = Running::start("longtake-ingest", &["check", "--data-dir", folder], &[])?;
    let status = check.wait(PATIENCE)?;
    ensure!(status.success(), "check found something:\n{}", check.output());
    Ok(())
}

/// Asks again and again until there is an answer or the time is up.
pub fn wait_until<T>(longest: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if started.elapsed() >= longest {
            return None;
        }
        thread::sleep(Duration::from_millis(20));
    }
}
