//! Start and stop.

use std::fs::{File, TryLockError};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use protocol::control::Limits;
use protocol::limits::{MAX_MESSAGE_BYTES, MAX_UNIT_BYTES};
use signing::{KeyError, SigningKey};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::clock::Clock;
use crate::config::Config;
use crate::database::{Database, DatabaseError, SqliteDatabase};
use crate::http::{App, Services};
use crate::ingest::TrackSettings;
use crate::ingest::feed::IngestContext;
use crate::listener::{Listener, TlsError, acceptor};
use crate::log;
use crate::playback::{Hls, Recordings};
use crate::recorder::Recorder;
use crate::recovery::{RecoveryError, recover};
use crate::sessions::{Sessions, SessionsConfig};
use crate::stop::Stop;
use crate::store::{LocalStore, Store, StoreError};
use crate::webrtc::WebRtc;

/// The database's file in the data folder.
pub(crate) const DATABASE_FILE: &str = "longtake.db";
/// Held by the server that records into the folder.
pub(crate) const LOCK_FILE: &str = "lock";
/// The key that certificates are signed with.
const KEY_FILE: &str = "server.key";
/// How long connections may take to leave when the server stops.
const FAREWELL: Duration = Duration::from_secs(10);

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The data folder cannot be used.
    #[error("the data folder {path} cannot be used: {source}")]
    DataDir {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another server records into the same folder.
    #[error("another server records to {0}; stop it, or choose another data-dir")]
    DataDirTaken(PathBuf),
    /// The address is taken or not this machine's.
    #[error("cannot listen on {address}: {source}; is another server running? Choose another with port")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The UDP port of WebRTC cannot be opened.
    #[error("cannot open UDP port {port} for WebRTC: {source}; choose another with webrtc-port")]
    WebRtc {
        /// The port.
        port: u16,
        /// What the system said.
        source: std::io::Error,
    },
    /// Certificate or key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The database cannot be opened.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no key to sign certificates with.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// What is stored cannot be brought into agreement.
    #[error("start-up recovery: {0}")]
    Recovery(#[from] RecoveryError),
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    done: JoinHandle<()>,
}

impl Server {
    /// Starts a server that keeps segments in the data folder.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let store = LocalStore::open(&config.data_dir)?;
        Self::start_with(config, Arc::new(store)).await
    }

    /// Starts a server that keeps segments elsewhere.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start_with(config: Config, store: Arc<dyn Store>) -> Result<Self, StartError> {
        let clock = Clock::start();
        let lock = lock(&config.data_dir)?;
        let tls = config.tls.as_ref().map(acceptor).transpose()?;
        let database: Arc<dyn Database> =
            Arc::new(SqliteDatabase::open(&config.data_dir.join(DATABASE_FILE)).await?);
        let key = Arc::new(SigningKey::load_or_create(&config.data_dir.join(KEY_FILE))?);
        let interrupted = recover(&*database, &*store, &key).await?;
        log::recovery_done(interrupted.len(), clock.now());

        let listen = |source| StartError::Listen { address: config.listen, source };
        let socket = TcpListener::bind(config.listen).await.map_err(listen)?;
        let address = socket.local_addr().map_err(listen)?;
        let bounds = config.bounds;
        let (stop, stopping) = Stop::channel();
        let (jobs, recorder) =
            Recorder::start(Arc::clone(&store), Arc::clone(&database), clock, &config.recording);
        let sessions_config = SessionsConfig {
            track: TrackSettings {
                part: config.recording.part,
                part_wait: config.recording.part_wait,
                limits: Limits {
                    message_bytes: MAX_MESSAGE_BYTES as u32,
                    unit_bytes: MAX_UNIT_BYTES as u32,
                    idle_ms: bounds.idle.as_millis() as u32,
                },
            },
            abandon_after: config.abandon_after,
            capacity: bounds.sessions,
        };
        let sessions = Arc::new(Sessions::new(
            sessions_config,
            Arc::clone(&database),
            Arc::clone(&store),
            jobs.clone(),
            Arc::clone(&key),
            clock,
        ));
        sessions.adopt(interrupted);
        let ingest = Arc::new(IngestContext {
            sessions: Arc::clone(&sessions),
            jobs,
            budget: Arc::new(Semaphore::new(bounds.total_bytes)),
            bounds,
            clock,
            stop: stopping.clone(),
        });
        let webrtc = WebRtc::start(
            &config.webrtc,
            config.listen,
            Arc::clone(&ingest),
            Arc::clone(&key),
            stopping.clone(),
        );
        let failed = |source| {
            let port = config.webrtc.port.unwrap_or(config.listen.port());
            StartError::WebRtc { port, source }
        };
        let webrtc = Arc::new(webrtc.map_err(failed)?);
        let slots = Arc::new(Semaphore::new(bounds.connections));
        let asks_for_token = config.access.asks_for_token();
        let app = App::new(Arc::new(Services {
            access: config.access,
            sessions: Arc::clone(&sessions),
            database: Arc::clone(&database),
            store: Arc::clone(&store),
            recordings: Recordings::new(Arc::clone(&database), Arc::clone(&store)),
            hls: Hls::new(
                Arc::clone(&sessions),
                Arc::clone(&database),
                store,
                clock,
                config.recording.longest_part(),
            ),
            ingest,
            webrtc: Arc::clone(&webrtc),
            stop: stopping.clone(),
        }));
        log::listening(address, tls.is_some(), asks_for_token, &config.data_dir, &key.public());
        let listener =
            Listener { socket, tls, app, bounds, slots: Arc::clone(&slots), clock, stop: stopping.clone() };
        let running = Running {
            sessions,
            webrtc,
            database,
            recorder,
            slots,
            connections: bounds.connections,
            _lock: lock,
        };
        let done = tokio::spawn(running.run(listener, stopping));
        Ok(Self { address, stop, done })
    }

    /// Where it listens.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Stops: no new connections, what has arrived becomes durable and is acknowledged, sockets are closed with
    /// `shutting_down`. Returns when all of it is done.
    pub async fn shutdown(self) {
        self.stop.send_replace(true);
        // The task ends by itself; it was not cancelled, and a panic in it has been reported.
        let _ = self.done.await;
    }
}

/// What runs beside the listener, and is to be put away in order.
struct Running {
    sessions: Arc<Sessions>,
    webrtc: Arc<WebRtc>,
    database: Arc<dyn Database>,
    recorder: JoinHandle<()>,
    slots: Arc<Semaphore>,
    connections: usize,
    _lock: File,
}

impl Running {
    async fn run(self, listener: Listener, stopping: Stop) {
        let caretaker = tokio::spawn({
            let sessions = Arc::clone(&self.sessions);
            async move { sessions.care(stopping).await }
        });
        listener.run().await;
        log::stopping(self.connections - self.slots.available_permits());
        // All slots are free when the last connection is gone.
        let all = self.slots.acquire_many(self.connections as u32);
        let _ = timeout(FAREWELL, async { tokio::join!(all, self.webrtc.gone()) }).await;
        drop(self.webrtc);
        let _ = caretaker.await;
        self.sessions.settle().await;
        // The recorder ends when nobody can give it anything any more.
        drop(self.sessions);
        let _ = timeout(FAREWELL, self.recorder).await;
        self.database.close().await;
        log::stopped();
    }
}

/// Makes the data folder if need be, and takes it for this server alone.
fn lock(data_dir: &Path) -> Result<File, StartError> {
    let failed = |source| StartError::DataDir { path: data_dir.to_owned(), source };
    std::fs::create_dir_all(data_dir).map_err(failed)?;
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(data_dir.join(LOCK_FILE))
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StartError::DataDirTaken(data_dir.to_owned())),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}
