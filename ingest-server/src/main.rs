//! `longtake-ingest`: takes sessions over two WebSockets and records them durably.

use std::io::{IsTerminal as _, Write as _, stderr, stdout};
use std::process::ExitCode;

use ingest_server::check::check_folder;
use ingest_server::config::{Cli, Command, LogFormat, TokenAction};
use ingest_server::pairing::{Offer, Pairing};
use ingest_server::{Server, make_token, revoke_token};

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<ExitCode> {
    let cli: Cli = settings::parse(Some("longtake-ingest.toml".as_ref()), "LONGTAKE_INGEST_CONFIG");
    tracing::subscriber::set_global_default(ingest_server::log::subscriber(cli.settings.log_format))?;
    let threads = cli.settings.worker_threads();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    match cli.command.clone() {
        None => runtime.block_on(serve(&cli)).map(|()| ExitCode::SUCCESS),
        Some(Command::Pair) => {
            let config = cli.settings.check()?;
            anyhow::ensure!(
                config.listen.port() != 0,
                "with port 0 only the running server knows its port; look at what it showed at its start"
            );
            pair(&Pairing::new(&config).offer(config.listen));
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Token(command)) => {
            let config = cli.settings.check()?;
            match (command.action, command.options) {
                (Some(TokenAction::Revoke { token }), _) => {
                    let id = runtime.block_on(revoke_token(&config, &token))?;
                    writeln!(stdout(), "revoked {id}").ok();
                }
                (None, options) => {
                    let options = options.ok_or_else(|| anyhow::anyhow!("name the token's --role"))?;
                    writeln!(stdout(), "{}", make_token(&config, &options)?).ok();
                }
            }
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Check) => {
            let report = runtime.block_on(check_folder(&cli.settings.data_dir))?;
            println!("{report}");
            Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}

async fn serve(cli: &Cli) -> anyhow::Result<()> {
    let config = cli.settings.check()?;
    let pairing = Pairing::new(&config);
    // Before anybody can see that the server is there: a request that comes at once is not lost.
    let mut stop = StopRequests::listen()?;
    let server = Server::start(config).await?;
    // For a person at a terminal, and not for a log: it holds the token.
    if !cli.settings.no_pairing && cli.settings.log_format == LogFormat::Text {
        let offer = pairing.offer(server.local_addr());
        if stdout().is_terminal() {
            write!(stdout(), "{}", offer.screen()).ok();
        } else if stderr().is_terminal() {
            write!(stderr(), "{}", offer.screen()).ok();
        }
    }
    stop.next().await?;
    tokio::select! {
        () = server.shutdown() => Ok(()),
        // At once: what is not durable was not acknowledged either.
        _ = stop.next() => std::process::exit(1),
    }
}

/// Shows a link on the terminal, or hands it on alone. A reader that has gone away needs no word.
fn pair(offer: &Offer) {
    if stdout().is_terminal() {
        write!(stdout(), "{}", offer.screen()).ok();
    } else {
        writeln!(stdout(), "{}", offer.link()).ok();
    }
}

/// Ctrl-C and, where there are such signals, SIGTERM: remembered from the moment that this is made.
struct StopRequests {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl StopRequests {
    #[cfg(unix)]
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    #[cfg(not(unix))]
    const fn listen() -> std::io::Result<Self> {
        Ok(Self {})
    }

    /// The next request.
    #[cfg(unix)]
    async fn next(&mut self) -> std::io::Result<()> {
        tokio::select! {
            _ = self.interrupt.recv() => Ok(()),
            _ = self.terminate.recv() => Ok(()),
        }
    }

    #[cfg(not(unix))]
    async fn next(&mut self) -> std::io::Result<()> {
        tokio::signal::ctrl_c().await
    }
}
