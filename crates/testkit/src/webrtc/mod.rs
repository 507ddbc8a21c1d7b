//! WebRTC peers without a browser: a viewer that hands out what it receives (WHEP), and a publisher (WHIP).

mod socket;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use protocol::Track;
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::media::{Direction, MediaData, MediaKind, MediaTime, Mid};
use str0m::net::Receive;
use str0m::rtp::Extension;
use str0m::{Event, Input, Output, Rtc};
use tokio::time::{sleep_until, timeout, timeout_at};

use socket::Socket;

/// Far longer than anything on one machine takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// What WHEP and WHIP answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// `Location`, if there is one.
    pub location: Option<String>,
    /// `ETag`, if there is one.
    pub etag: Option<String>,
    /// The body.
    pub body: String,
}

/// Where a server's WHEP and WHIP are, and the token to show there.
#[derive(Debug, Clone)]
pub struct Endpoint {
    base: String,
    token: Option<String>,
    session: Option<String>,
}

impl Endpoint {
    /// The server at this address.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self { base: format!("http://{address}"), token: None, session: None }
    }

    /// The same, with an access token.
    #[must_use]
    pub fn with_token(self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self }
    }

    /// The same, for a publisher that names its session: an id, and the key that proves whose it is.
    #[must_use]
    pub fn with_session(self, session: &str) -> Self {
        Self { session: Some(session.to_owned()), ..self }
    }

    /// Sends a request with a body of this type.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Result<Answer> {
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(session) = &self.session {
            request = request.header("longtake-session", session);
        }
        let request = request.body(body.into())?;
        let asked = tokio::task::spawn_blocking(move || {
            let config = ureq::Agent::config_builder()
                .timeout_global(Some(PATIENCE))
                .http_status_as_error(false)
                .allow_non_standard_methods(true)
                .build();
            let mut answer = ureq::Agent::from(config).run(request)?;
            let text = |name: &str| Some(answer.headers().get(name)?.to_str().ok()?.to_owned());
            let (location, etag) = (text("location"), text("etag"));
            let body = answer.body_mut().read_to_string()?;
            anyhow::Ok(Answer { status: answer.status().as_u16(), location, etag, body })
        });
        asked.await?
    }

    /// Posts an offer.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn offer(&self, path: &str, offer: &str) -> Result<Answer> {
        self.request("POST", path, &[("content-type", "application/sdp")], offer).await
    }
}

/// A unit as it came out of a peer connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Its track.
    pub track: Track,
    /// H.264 in Annex B, or an Opus packet.
    pub bytes: Vec<u8>,
    /// Its RTP time, in 1/90000 s.
    pub rtp_90k: u64,
    /// Whether nothing before it was lost.
    pub contiguous: bool,
    /// The longest that it may be held back before it is shown, as the sender wishes.
    pub playout_delay_max: Option<Duration>,
}

/// What a peer learns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// Media can flow.
    Connected,
    /// A unit came.
    Unit(Received),
    /// The other side wants an IDR picture.
    KeyRequest,
    /// The other side has left.
    Closed,
}

/// One end of a peer connection.
pub struct Peer {
    rtc: Rtc,
    socket: Socket,
    address: SocketAddr,
    video: Mid,
    audio: Mid,
    wakes: Instant,
    /// What the server answered.
    pub answer: Answer,
    /// Takes no media any more, as a peer that is too slow; it says all the same that it is there. Over TCP it reads nothing at all.
    pub is_stalled: bool,
}

/// An offer that waits for its answer.
pub struct Offer {
    rtc: Rtc,
    socket: Socket,
    address: SocketAddr,
    pending: SdpPendingOffer,
    video: Mid,
    audio: Mid,
    /// The SDP.
    pub text: String,
}

impl Offer {
    /// An offer to receive, or else to send, picture and sound.
    ///
    /// # Errors
    /// When there is no socket.
    pub async fn new(receives: bool) -> Result<Self> {
        Self::over(Socket::udp().await?, receives)
    }

    /// The same of a peer that has no UDP.
    ///
    /// # Errors
    /// When there is no socket.
    pub fn over_tcp(receives: bool) -> Result<Self> {
        Self::over(Socket::tcp()?, receives)
    }

    fn over(socket: Socket, receives: bool) -> Result<Self> {
        let address = socket.address()?;
        let mut rtc = Rtc::builder()
            .clear_codecs()
            .enable_opus(true, false)
            .enable_h264(true)
            .set_extension(6, Extension::PlayoutDelay)
            .set_reordering_size_video(2_000)
            .build(Instant::now());
        rtc.add_local_candidate(socket.candidate(address)?);
        let direction = if receives { Direction::RecvOnly } else { Direction::SendOnly };
        let mut changes = rtc.sdp_api();
        let video = changes.add_media(MediaKind::Video, direction, None, None, None);
        let audio = changes.add_media(MediaKind::Audio, direction, None, None, None);
        let (offer, pending) = changes.apply().context("an offer")?;
        let text = offer.to_sdp_string();
        Ok(Self { rtc, socket, address, pending, video, audio, text })
    }

    /// Goes on with the server's answer.
    ///
    /// # Errors
    /// When it is no answer.
    pub fn accept(mut self, answer: Answer) -> Result<Peer> {
        ensure!(answer.status == 201, "the server refuses: {} {}", answer.status, answer.body);
        let sdp = SdpAnswer::from_sdp_string(&answer.body)?;
        self.rtc.sdp_api().accept_answer(self.pending, sdp)?;
        let Self { rtc, socket, address, video, audio, .. } = self;
        Ok(Peer { rtc, socket, address, video, audio, wakes: Instant::now(), answer, is_stalled: false })
    }
}

impl Peer {
    /// A viewer of a session or room, connected.
    ///
    /// # Errors
    /// When the server refuses, or no connection comes about.
    pub async fn watch(endpoint: &Endpoint, target: &str) -> Result<Self> {
        let path = format!("/whep/{target}");
        Box::pin(Self::open(endpoint, &path, true, Socket::udp().await?)).await
    }

    /// The same without UDP.
    ///
    /// # Errors
    /// When the server refuses, or no connection comes about.
    pub async fn watch_over_tcp(endpoint: &Endpoint, target: &str) -> Result<Self> {
        let path = format!("/whep/{target}");
        Box::pin(Self::open(endpoint, &path, true, Socket::tcp()?)).await
    }

    /// A publisher to a room, connected.
    ///
    /// # Errors
    /// When the server refuses, or no connection comes about.
    pub async fn publish(endpoint: &Endpoint, room: &str) -> Result<Self> {
        let path = format!("/whip/{room}");
        Box::pin(Self::open(endpoint, &path, false, Socket::udp().await?)).await
    }

    /// The same without UDP.
    ///
    /// # Errors
    /// When the server refuses, or no connection comes about.
    pub async fn publish_over_tcp(endpoint: &Endpoint, room: &str) -> Result<Self> {
        let path = format!("/whip/{room}");
        Box::pin(Self::open(endpoint, &path, false, Socket::tcp()?)).await
    }

    /// Its own address.
    #[must_use]
    pub const fn local_address(&self) -> SocketAddr {
        self.address
    }

    async fn open(endpoint: &Endpoint, path: &str, receives: bool, socket: Socket) -> Result<Self> {
        let offer = Offer::over(socket, receives)?;
        let answer = endpoint.offer(path, &offer.text).await?;
        let mut peer = offer.accept(answer)?;
        peer.wait_for(|news| *news == News::Connected).await?;
        Ok(peer)
    }

    /// Waits for news of a kind; other news are passed over.
    ///
    /// # Errors
    /// When it does not come, or the other side leaves first.
    pub async fn wait_for(&mut self, is_it: impl Fn(&News) -> bool) -> Result<News> {
        let wait = async {
            loop {
                let news = self.next().await?;
                if is_it(&news) {
                    return Ok(news);
                }
                ensure!(news != News::Closed, "the server has left");
            }
        };
        timeout(PATIENCE, wait).await.context("it should have come by now")?
    }

    /// The next news.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn next(&mut self) -> Result<News> {
        loop {
            if let Some(news) = self.news_until(None).await? {
                return Ok(news);
            }
        }
    }

    /// The next unit.
    ///
    /// # Errors
    /// When none comes.
    pub async fn unit(&mut self) -> Result<Received> {
        match self.wait_for(|news| matches!(news, News::Unit(_))).await? {
            News::Unit(unit) => Ok(unit),
            _ => bail!("no unit"),
        }
    }

    /// Lives on until then; gives the first thing that happens, if anything.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn news_until(&mut self, until: Option<Instant>) -> Result<Option<News>> {
        loop {
            if let Some(news) = self.settle().await? {
                return Ok(Some(news));
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                return Ok(None);
            }
            let due = until.map_or(self.wakes, |until| until.min(self.wakes));
            if self.is_stalled && matches!(self.socket, Socket::Tcp(_)) {
                sleep_until(due.into()).await;
                self.rtc.handle_input(Input::Timeout(Instant::now()))?;
                continue;
            }
            match timeout_at(due.into(), self.socket.receive()).await {
                Err(_) => self.rtc.handle_input(Input::Timeout(Instant::now()))?,
                Ok(received) => {
                    let (packet, source) = received?;
                    let is_media = packet.first().is_some_and(|first| *first >= 128);
                    if self.is_stalled && is_media {
                        continue;
                    }
                    let protocol = self.socket.protocol();
                    if let Ok(packet) = Receive::new(protocol, source, self.address, &packet) {
                        self.rtc.handle_input(Input::Receive(Instant::now(), packet))?;
                    }
                }
            }
        }
    }

    /// Sends what there is to send; gives the first thing that happened.
    async fn settle(&mut self) -> Result<Option<News>> {
        loop {
            if !self.rtc.is_alive() {
                return Ok(Some(News::Closed));
            }
            match self.rtc.poll_output()? {
                Output::Timeout(at) => {
                    self.wakes = at;
                    return Ok(None);
                }
                Output::Transmit(transmit) => self.socket.send(&transmit).await,
                Output::Event(event) => {
                    let news = match event {
                        Event::Connected => News::Connected,
                        Event::MediaData(media) => News::Unit(self.received(media)),
                        Event::KeyframeRequest(_) => News::KeyRequest,
                        Event::Closed => News::Closed,
                        _ => continue,
                    };
                    return Ok(Some(news));
                }
            }
        }
    }

    fn received(&self, media: MediaData) -> Received {
        let ticks = u128::from(media.time.numer()) * 90_000 / u128::from(media.time.denom());
        Received {
            track: if media.mid == self.video { Track::Video } else { Track::Audio },
            bytes: media.data.to_vec(),
            rtp_90k: ticks as u64,
            contiguous: media.contiguous,
            playout_delay_max: media.ext_vals.play_delay_max.map(Duration::from),
        }
    }

    /// Sends a unit: H.264 in Annex B, or an Opus packet.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn send(&mut self, track: Track, bytes: &[u8], pts_90k: u64) -> Result<()> {
        let mid = if track == Track::Video { self.video } else { self.audio };
        let writer = self.rtc.writer(mid).context("a track")?;
        let payload_type = writer.payload_params().next().context("a codec")?.pt();
        writer.write(payload_type, Instant::now(), MediaTime::from_90khz(pts_90k), bytes.to_vec())?;
        self.rtc.handle_input(Input::Timeout(Instant::now()))?;
        Ok(())
    }

    /// Asks for an IDR picture, as a viewer.
    ///
    /// # Errors
    /// When the connection takes no such request.
    pub fn request_key(&mut self) -> Result<()> {
        let mut writer = self.rtc.writer(self.video).context("a track")?;
        Ok(writer.request_keyframe(None, str0m::media::KeyframeRequestKind::Pli)?)
    }

    /// Cuts the TCP connection and opens another one from another port, as a browser does whose connection is lost. Returns when the
    /// server has answered there; news meanwhile are passed over.
    ///
    /// # Errors
    /// When it cannot be opened, or no answer comes.
    pub async fn reconnect(&mut self) -> Result<()> {
        const STEP: Duration = Duration::from_millis(20);
        self.socket.reconnect().await?;
        let answered = async {
            while !self.socket.has_received() {
                self.news_until(Some(Instant::now() + STEP)).await?;
            }
            anyhow::Ok(())
        };
        timeout(PATIENCE, answered).await.context("an answer over the new connection")?
    }

    /// Closes the connection itself, as a browser does beside its word by HTTP.
    ///
    /// # Errors
    /// When the connection is broken already.
    pub async fn close(&mut self) -> Result<()> {
        self.rtc.close()?;
        while self.settle().await?.is_some_and(|news| news != News::Closed) {}
        Ok(())
    }

    /// Ends the connection by HTTP, as WHEP and WHIP want it.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn delete(&self, endpoint: &Endpoint) -> Result<u16> {
        let path = self.answer.location.clone().context("a location")?;
        Ok(endpoint.request("DELETE", &path, &[], "").await?.status)
    }
}
