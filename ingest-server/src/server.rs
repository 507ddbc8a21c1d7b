//! Start and stop.

use std::fs::{File, TryLockError};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use protocol::control::Limits;
use protocol::error::ErrorBody;
use protocol::limits::{MAX_MESSAGE_BYTES, MAX_UNIT_BYTES};
use protocol::room::{AuditAction, AuditEntry, Role, TokenBan, TokenId, TokenRequest};
use signing::{KeyError, SigningKey, seed_in_file};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::access::{Access, Grant, TokenKey, token_id};
use crate::clock::Clock;
use crate::config::{Config, TokenOptions};
use crate::database::{Change, Database, DatabaseError, SqliteDatabase};
use crate::http::{App, Services};
use crate::ingest::TrackSettings;
use crate::ingest::feed::IngestContext;
use crate::listener::{Listener, TlsError, acceptor};
use crate::log;
use crate::playback::{Hls, Recordings};
use crate::recorder::Recorder;
use crate::recovery::{RecoveryError, recover};
use crate::rooms::Rooms;
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
/// The key that tokens with a role are signed with.
const TOKEN_KEY_FILE: &str = "token.key";
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
    /// The UDP port of WebRTC cannot be opened; without that of TCP the server runs.
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

/// What tokens with a role are signed with: the secret that is set, or a key in the data folder, which is made now if
/// there is none.
fn token_key(config: &Config) -> Result<TokenKey, KeyError> {
    match &config.token_secret {
        Some(secret) => Ok(TokenKey::new(secret.expose().as_bytes())),
        None => Ok(TokenKey::new(&seed_in_file(&config.data_dir.join(TOKEN_KEY_FILE))?)),
    }
}

/// Makes a token for the server of these settings, which may run meanwhile or not.
///
/// # Errors
/// [`TokenError`].
pub fn make_token(config: &Config, options: &TokenOptions) -> Result<String, TokenError> {
    let request = TokenRequest {
        role: options.role.into(),
        room: options.room.clone(),
        lasts_s: Some(options.lasts.as_secs().try_into().unwrap_or(u32::MAX)),
        name: options.name.clone(),
    };
    let grant = Grant::issued(&request, Clock::start().unix_ms(), None)?;
    Ok(token_key(config)?.sign(&grant))
}

/// Revokes a token, given as it is or by its id, in the folder of a server that may be running. Gives the id.
///
/// # Errors
/// When the text is neither, there is no such folder, or its database refuses.
pub async fn revoke_token(config: &Config, token: &str) -> Result<TokenId, RevokeError> {
    let (clock, key) = (Clock::start(), token_key(config)?);
    let id = match token.trim().parse() {
        Ok(id) => id,
        Err(_) if key.has_signed(token.trim()) => token_id(token.trim()),
        Err(_) => return Err(RevokeError::NotAToken),
    };
    let path = config.data_dir.join(DATABASE_FILE);
    if !path.is_file() {
        return Err(RevokeError::NotADataDir(config.data_dir.clone()));
    }
    let database = SqliteDatabase::open(&path).await?;
    let entry = AuditEntry {
        number: 0,
        at_unix_ms: clock.unix_ms(),
        role: Role::Administer,
        name: "this machine".to_owned(),
        action: AuditAction::TokenBanned,
        room: None,
        target: Some(id.to_string()),
    };
    let ban = TokenBan { token: id, room: None, until_unix_ms: None };
    let outcome = database.commit(&[Change::BanToken(ban), Change::Audit(entry)]).await;
    database.close().await;
    Ok(outcome.map(|()| id)?)
}

/// Why a token was not revoked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RevokeError {
    /// Another text.
    #[error("this is neither a token of this server nor a token's id, which has 32 hexadecimal digits")]
    NotAToken,
    /// No server has ever run there.
    #[error("{0} is no server's folder; name the server's data-dir")]
    NotADataDir(std::path::PathBuf),
    /// There is no key to check the token with.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The rows cannot be written.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// There is no key to sign it with.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// There is no such token.
    #[error("{}", .0.message)]
    Refused(#[from] ErrorBody),
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
        sessions.adopt(interrupted).await?;
        let token_key = token_key(&config)?;
        let asks_for_token = config.token.is_some();
        let access = Arc::new(Access::new(config.token, config.origins, token_key));
        let rooms = Rooms::load(
            config.rooms,
            bounds,
            Arc::clone(&access),
            Arc::clone(&sessions),
            Arc::clone(&database),
            clock,
        )
        .await?;
        let ingest = Arc::new(IngestContext {
            rooms: Arc::clone(&rooms),
            jobs,
            budget: Arc::new(Semaphore::new(bounds.total_bytes)),
            bounds,
            clock,
            stop: stopping.clone(),
        });
        let webrtc = WebRtc::start(
            &config.webrtc,
            (config.listen, address),
            Arc::clone(&ingest),
            Arc::clone(&key),
            stopping.clone(),
        );
        let failed = |source| {
            let port = config.webrtc.port.unwrap_or(config.listen.port());
            StartError::WebRtc { port, source }
        };
        let webrtc = Arc::new(webrtc.await.map_err(failed)?);
        let slots = Arc::new(Semaphore::new(bounds.connections));
        let app = App::new(Arc::new(Services {
            access,
            rooms: Arc::clone(&rooms),
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
        let listener = Listener {
            socket,
            tls,
            webrtc: webrtc.on_http_port(),
            app,
            bounds,
            slots: Arc::clone(&slots),
            clock,
            stop: stopping.clone(),
        };
        let running = Running {
            sessions,
            rooms,
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
    rooms: Arc<Rooms>,
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
            let (sessions, rooms) = (Arc::clone(&self.sessions), Arc::clone(&self.rooms));
            async move { tokio::join!(sessions.care(stopping.clone()), rooms.care(stopping)) }
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
        drop((self.sessions, self.rooms));
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
