//! From an offer to an answer: which media, in which form, over which addresses.

use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::change::SdpOffer;
use str0m::config::DtlsCert;
use str0m::crypto::CryptoProvider;
use str0m::format::{Codec, FormatParams, PayloadParams};
use str0m::media::{Frequency, MediaKind, Mid, Pt};
use str0m::rtp::{Extension, ExtensionMap};
use str0m::{Candidate, IceCreds, Rtc, RtcConfig};
use uuid::Uuid;

/// Media lines that an offer may have; a browser has one for each track.
const MAX_MEDIA_LINES: usize = 16;
/// The longest part of a library's word that a peer is told.
const MAX_REASON_CHARS: usize = 160;
/// Profiles of H.264 by their `profile-level-id` (RFC 6184 §8.1), of level 3.1: Constrained Baseline, Baseline, Main,
/// Constrained High, High. None of these decoders minds a higher level.
const PROFILES: [u32; 5] = [0x42_e01f, 0x42_001f, 0x4d_001f, 0x64_0c1f, 0x64_001f];
/// The levels that there are, times ten (ITU-T H.264 table A-1). No peer understands another one.
const LEVELS: [u8; 16] = [10, 11, 12, 13, 20, 21, 22, 30, 31, 32, 40, 41, 42, 50, 51, 52];
/// How often sound and picture are put on one clock. Browsers hold sound back until they know, and by default it is told every 5 s.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// The level that is asked of a publisher at the most: 5.2, which 4K pictures have.
const MAX_LEVEL: u32 = 0x34;
/// Payload types of the pictures and of their repetitions (RTX), and of the sound. The peer's own numbers take their place.
const VIDEO_TYPES: [(u8, u8); 5] = [(96, 97), (98, 99), (100, 101), (102, 103), (104, 105)];
/// The payload type of sound whose channels are not told.
const BARE_OPUS_TYPE: u8 = 112;
/// The numbers of header extensions, where the peer has none of its own.
const MID_EXTENSION: u8 = 4;
const PLAYOUT_DELAY_EXTENSION: u8 = 6;

/// Why an offer gets no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum OfferError {
    #[error("the body is no SDP offer: {0}")]
    NotSdp(String),
    #[error("the offer has more than {MAX_MEDIA_LINES} media lines")]
    TooManyMedia,
    #[error("the offer cannot be answered: {0}")]
    Refused(String),
    #[error("the offer receives neither H.264 with packetization-mode=1 nor Opus")]
    NothingToSend,
    #[error("the offer receives no H.264 with packetization-mode=1, which the picture is in; HLS plays it")]
    NoPicture,
    #[error("the offer sends neither H.264 with packetization-mode=1 nor Opus")]
    NothingToReceive,
}

/// Which way media go, seen from the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// To a viewer; with the publisher's profile: the bytes 1 to 3 of its `avcC`.
    Out(Option<[u8; 3]>),
    /// From a publisher.
    In,
}

/// A track on its way through a peer connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) mid: Mid,
    pub(super) payload_type: Pt,
}

/// An offer that was answered.
pub(super) struct Agreed {
    pub(super) rtc: Rtc,
    pub(super) answer: String,
    /// This side's name in connectivity checks.
    pub(super) ufrag: String,
    /// The peer's.
    pub(super) remote_ufrag: Option<String>,
    pub(super) video: Option<Line>,
    pub(super) audio: Option<Line>,
}

/// What all peer connections have in common.
pub(super) struct Negotiator {
    crypto: Arc<CryptoProvider>,
    certificate: DtlsCert,
    candidates: Vec<Candidate>,
}

impl Negotiator {
    /// None if no certificate can be made.
    pub(super) fn new(candidates: Vec<Candidate>) -> Option<Self> {
        let crypto = str0m::crypto::from_feature_flags();
        let certificate = crypto.dtls_provider.generate_certificate()?;
        Some(Self { crypto: Arc::new(crypto), certificate, candidates })
    }

    /// Answers an offer.
    pub(super) fn answer(&self, offer: &str, way: Way, now: Instant) -> Result<Agreed, OfferError> {
        // The lines before the last say where in the server's memory it was found.
        let short = |reason: String| {
            reason.lines().last().unwrap_or_default().chars().take(MAX_REASON_CHARS).collect::<String>()
        };
        if offer.lines().filter(|line| line.starts_with("m=")).count() > MAX_MEDIA_LINES {
            return Err(OfferError::TooManyMedia);
        }
        let parsed =
            SdpOffer::from_sdp_string(offer).map_err(|error| OfferError::NotSdp(short(error.to_string())))?;
        let ufrag = Uuid::new_v4().simple().to_string()[..16].to_owned();
        let mut rtc = self.config(way, &ufrag, packetization_mode(offer)).build(now);
        for candidate in &self.candidates {
            rtc.add_local_candidate(candidate.clone());
        }
        let refused = |error: str0m::RtcError| OfferError::Refused(short(error.to_string()));
        let answer = rtc.sdp_api().accept_offer(parsed).map_err(refused)?.to_sdp_string();
        let mut lines = [None, None];
        let mut wants_picture = false;
        for (kind, mid) in media(&answer) {
            wants_picture |= kind == MediaKind::Video;
            let goes = rtc.media(mid).is_some_and(|media| match way {
                Way::Out(_) => media.direction().is_sending(),
                Way::In => media.direction().is_receiving(),
            });
            let at = usize::from(kind == MediaKind::Audio);
            if goes && lines[at].is_none() {
                lines[at] = line(&rtc, mid, kind, way);
            }
        }
        let [video, audio] = lines;
        if video.is_none() && audio.is_none() {
            return Err(match way {
                Way::Out(_) => OfferError::NothingToSend,
                Way::In => OfferError::NothingToReceive,
            });
        }
        // Sound without the picture that was asked for is not what anybody came for.
        if video.is_none() && wants_picture && matches!(way, Way::Out(Some(_))) {
            return Err(OfferError::NoPicture);
        }
        Ok(Agreed { rtc, answer, ufrag, remote_ufrag: first_ufrag(offer), video, audio })
    }

    fn config(&self, way: Way, ufrag: &str, packetization_mode: Option<u8>) -> RtcConfig {
        let credentials = IceCreds { ufrag: ufrag.to_owned(), ..IceCreds::new() };
        let mut config = Rtc::builder()
            .set_ice_lite(true)
            .set_crypto_provider(Arc::clone(&self.crypto))
            .set_dtls_cert(self.certificate.clone())
            .set_local_ice_credentials(credentials)
            .set_rtcp_report_interval_audio(REPORT_INTERVAL)
            .clear_codecs()
            .enable_opus(true, false);
        let codecs = config.codec_config();
        // Opus is named with two channels, whatever it holds (RFC 7587 §7). GStreamer's viewers leave them out.
        let sound = FormatParams { use_inband_fec: Some(true), ..FormatParams::default() };
        codecs.add_config(BARE_OPUS_TYPE.into(), None, Codec::Opus, Frequency::FORTY_EIGHT_KHZ, None, sound);
        for ((video, resend), profile) in VIDEO_TYPES.into_iter().zip(profiles(way)) {
            let picture = FormatParams {
                level_asymmetry_allowed: Some(true),
                packetization_mode,
                profile_level_id: Some(profile),
                ..FormatParams::default()
            };
            let resend = Some(resend.into());
            codecs.add_config(video.into(), resend, Codec::H264, Frequency::NINETY_KHZ, None, picture);
        }
        match way {
            // What estimates the bandwidth is left out: its pacing costs a viewer up to 250 ms. Pictures
            // are cut to packets once for all viewers, and so not in here.
            Way::Out(_) => {
                let mut extensions = ExtensionMap::empty();
                extensions.set(MID_EXTENSION, Extension::RtpMid);
                extensions.set(PLAYOUT_DELAY_EXTENSION, Extension::PlayoutDelay);
                config.set_extension_map(extensions).set_rtp_mode(true)
            }
            // A publisher needs to hear how its packets arrive, or it stays at a low bit rate.
            Way::In => config,
        }
    }
}

/// How pictures are cut to packets. An offer that says nothing of it means mode 0 (RFC 6184 §8.1), in which no packet holds a part of
/// a picture and which nobody uses: GStreamer's viewers mean that they take whatever comes. One that asks for mode 0 is taken at its word.
fn packetization_mode(offer: &str) -> Option<u8> {
    offer.contains("packetization-mode").then_some(1)
}

/// The profiles to agree on, the best first.
fn profiles(way: Way) -> Vec<u32> {
    match way {
        Way::In => PROFILES.iter().map(|profile| profile & !0xff | MAX_LEVEL).collect(),
        Way::Out(None) => PROFILES.to_vec(),
        Way::Out(Some(publisher)) => {
            let mut profiles = PROFILES.to_vec();
            let of_publisher = family(publisher);
            profiles.sort_by_key(|profile| *profile != of_publisher);
            if LEVELS.contains(&publisher[2]) {
                profiles[0] = of_publisher & !0xff | u32::from(publisher[2]);
            }
            profiles
        }
    }
}

/// Which of [`PROFILES`] decodes a stream of this profile (RFC 6184 table 5).
const fn family([profile, constraints, _]: [u8; 3]) -> u32 {
    match profile {
        0x42 if constraints & 0x40 != 0 => PROFILES[0],
        0x4d if constraints & 0x80 != 0 => PROFILES[0],
        0x42 => PROFILES[1],
        0x4d => PROFILES[2],
        0x64 if constraints & 0x0c == 0x0c => PROFILES[3],
        _ => PROFILES[4],
    }
}

/// The payload type that a medium is sent in, if the peer knows one.
fn line(rtc: &Rtc, mid: Mid, kind: MediaKind, way: Way) -> Option<Line> {
    let media = rtc.media(mid)?;
    let known = |params: &&PayloadParams| match kind {
        MediaKind::Video => params.spec().codec == Codec::H264,
        MediaKind::Audio => params.spec().codec == Codec::Opus,
    };
    let wanted = profiles(way);
    // Any decoder of H.264 is better than none: most decode more than they say.
    let rank = |params: &&PayloadParams| {
        let profile = params.spec().format.profile_level_id.unwrap_or_default();
        wanted.iter().position(|wanted| wanted >> 8 == profile >> 8).unwrap_or(wanted.len())
    };
    let agreed =
        rtc.codec_config().params().iter().filter(|params| media.remote_pts().contains(&params.pt()));
    let best = agreed.filter(known).min_by_key(rank)?;
    Some(Line { mid, payload_type: best.pt() })
}

/// The media of a description, in its order. The library tells of them itself only once the peer is connected.
fn media(sdp: &str) -> Vec<(MediaKind, Mid)> {
    let mut found = Vec::new();
    let mut kind = None;
    for line in sdp.lines() {
        if line.starts_with("m=") {
            kind = match line {
                video if video.starts_with("m=video ") => Some(MediaKind::Video),
                audio if audio.starts_with("m=audio ") => Some(MediaKind::Audio),
                _ => None,
            };
        } else if let (Some(kind), Some(mid)) = (kind, line.strip_prefix("a=mid:")) {
            found.push((kind, Mid::from(mid.trim())));
        }
    }
    found
}

/// The name that the first `a=ice-ufrag` line gives.
pub(super) fn first_ufrag(sdp: &str) -> Option<String> {
    sdp.lines().find_map(|line| line.strip_prefix("a=ice-ufrag:")).map(|name| name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::address::candidates;
    use super::*;

    #[test]
    fn a_viewer_is_offered_the_publishers_profile_first() {
        for (avcc, first) in [
            ([0x42, 0xc0, 0x1e], 0x42_e01e),
            ([0x42, 0x00, 0x29], 0x42_0029),
            ([0x4d, 0x40, 0x1f], 0x4d_001f),
            ([0x64, 0x00, 0x33], 0x64_0033),
            ([0x64, 0x0c, 0x28], 0x64_0c28),
            ([0x6e, 0x00, 0x28], 0x64_0028),
            ([0x4d, 0x00, 0xff], 0x4d_001f),
        ] {
            let profiles = profiles(Way::Out(Some(avcc)));
            assert_eq!(profiles[0], first, "{avcc:02x?}: {profiles:06x?}");
            assert_eq!(profiles.len(), PROFILES.len());
        }
        assert_eq!(profiles(Way::In)[0], 0x42_e034);
    }

    fn negotiator() -> Negotiator {
        let here = Candidate::host(([127, 0, 0, 1], 9).into(), "udp").unwrap();
        Negotiator::new(vec![here]).unwrap()
    }

    const HEAD: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n";
    const FINGERPRINT: &str = "a=fingerprint:sha-256 00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F\r\n";

    fn offer(formats: &str) -> String {
        format!(
            "{HEAD}m=video 9 UDP/TLS/RTP/SAVPF 100 101\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789abcdef01234567\r\n{FINGERPRINT}a=setup:actpass\r\na=mid:0\r\na=recvonly\r\na=rtcp-mux\r\n{formats}"
        )
    }

    #[test]
    fn an_offer_of_h264_is_answered_in_the_peers_payload_type_of_the_publishers_profile() {
        let formats = "a=rtpmap:100 H264/90000\r\na=fmtp:100 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\na=rtpmap:101 H264/90000\r\na=fmtp:101 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=64001f\r\n";
        for (publisher, payload_type) in
            [([0x42, 0xc0, 0x1e], 100), ([0x64, 0x00, 0x1f], 101), ([0x4d, 0x00, 0x1f], 100)]
        {
            let way = Way::Out(Some(publisher));
            let agreed = negotiator().answer(&offer(formats), way, Instant::now()).unwrap();
            assert_eq!(agreed.video.unwrap().payload_type, payload_type.into(), "{publisher:02x?}");
            assert_eq!(agreed.audio, None);
            assert_eq!(agreed.remote_ufrag.as_deref(), Some("abcd"));
            assert!(agreed.answer.contains(&format!("a=ice-ufrag:{}", agreed.ufrag)), "{}", agreed.answer);
            assert!(
                agreed.answer.contains("a=ice-lite") && agreed.answer.contains("a=sendonly"),
                "{}",
                agreed.answer
            );
        }
    }

    #[test]
    fn an_offer_as_gstreamers_viewers_make_it_is_answered_with_picture_and_sound() {
        // What `whepsrc` sends by itself: no packetization mode, no profile, and sound without its channels.
        let codecs = |mode: &str| {
            format!(
                "{}a=rtpmap:100 VP8/90000\r\na=rtpmap:101 H264/90000\r\n{mode}\
                 m=audio 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789abcdef01234567\r\n\
                 {FINGERPRINT}a=setup:actpass\r\na=mid:1\r\na=recvonly\r\na=rtcp-mux\r\na=rtpmap:96 OPUS/48000\r\n",
                offer("").replace("BUNDLE 0", "BUNDLE 0 1")
            )
        };
        let answer = |offer: &str, publisher| {
            let way = Way::Out(Some(publisher));
            negotiator().answer(offer, way, Instant::now())
        };
        for publisher in [[0x42, 0xc0, 0x1e], [0x64, 0x00, 0x1f]] {
            let agreed = answer(&codecs(""), publisher).unwrap();
            assert_eq!(agreed.video.unwrap().payload_type, 101.into());
            assert_eq!(agreed.audio.unwrap().payload_type, 96.into());
            assert!(!agreed.answer.contains("packetization-mode"), "{}", agreed.answer);
        }
        // With the profile that `whepclientsrc` adds.
        let with_profile = codecs("a=fmtp:101 profile-level-id=42e016\r\n");
        assert_eq!(
            answer(&with_profile, [0x64, 0x00, 0x1f]).unwrap().video.unwrap().payload_type,
            101.into()
        );
        // Whoever wants no picture in more than one packet gets none.
        let single = codecs("a=fmtp:101 packetization-mode=0;profile-level-id=42e01f\r\n");
        assert!(matches!(answer(&single, [0x42, 0xc0, 0x1e]), Err(OfferError::NoPicture)));
    }

    #[test]
    fn an_answer_names_every_candidate() {
        let candidates = candidates(
            "0.0.0.0:8000".parse().unwrap(),
            Some(8000),
            [[10, 0, 0, 5].into(), [127, 0, 0, 1].into()],
            &[[203, 0, 113, 9].into()],
        );
        let count = candidates.len();
        let negotiator = Negotiator::new(candidates).unwrap();
        let h264 = offer(
            "a=rtpmap:100 H264/90000\r\na=fmtp:100 packetization-mode=1;profile-level-id=42e01f\r\n\
             a=rtpmap:101 rtx/90000\r\na=fmtp:101 apt=100\r\n",
        );
        let answer = negotiator.answer(&h264, Way::Out(None), Instant::now()).unwrap().answer;
        let named: Vec<&str> = answer.lines().filter(|line| line.starts_with("a=candidate:")).collect();
        assert_eq!(named.len(), count, "{named:?}");
    }

    #[test]
    fn offers_that_cannot_be_served_are_refused_with_a_reason() {
        let vp8 = offer("a=rtpmap:100 VP8/90000\r\na=rtpmap:101 VP9/90000\r\n");
        let h264 = offer(
            "a=rtpmap:100 H264/90000\r\na=fmtp:100 packetization-mode=1;profile-level-id=42e01f\r\n\
             a=rtpmap:101 rtx/90000\r\na=fmtp:101 apt=100\r\n",
        );
        let answer = |offer: &str, way| negotiator().answer(offer, way, Instant::now()).map(|_| ());
        assert!(matches!(answer(&vp8, Way::Out(None)), Err(OfferError::NothingToSend)));
        let opus = "m=audio 9 UDP/TLS/RTP/SAVPF 109\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=recvonly\r\na=rtcp-mux\r\na=rtpmap:109 opus/48000/2\r\n";
        let keys = format!(
            "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789abcdef01234567\r\n{FINGERPRINT}a=setup:actpass\r\n"
        );
        let sound_alone = format!("{}{opus}{keys}", HEAD.replace("BUNDLE 0", "BUNDLE 1"));
        let with_vp8 = format!("{}{opus}{keys}", vp8.replace("BUNDLE 0", "BUNDLE 0 1"));
        let picture = Way::Out(Some([0x42, 0xc0, 0x1e]));
        assert!(matches!(answer(&with_vp8, picture), Err(OfferError::NoPicture)));
        assert!(answer(&sound_alone, picture).is_ok() && answer(&with_vp8, Way::Out(None)).is_ok());
        let refused = answer(&h264, Way::In);
        assert!(matches!(refused, Err(OfferError::NothingToReceive)), "it receives only: {refused:?}");
        for garbage in ["", "v=0", "{}", "v=0\r\nm=", "\u{0}", &h264[..h264.len() / 2].replace("v=0", "v=1")]
        {
            assert!(
                matches!(
                    answer(garbage, Way::Out(None)),
                    Err(OfferError::NotSdp(_) | OfferError::Refused(_))
                ),
                "{garbage:?}"
            );
        }
        let without_key = h264.replace(FINGERPRINT, "");
        assert!(matches!(answer(&without_key, Way::Out(None)), Err(OfferError::Refused(_))));
        let many = format!("{HEAD}{}", "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n".repeat(17));
        assert!(matches!(answer(&many, Way::Out(None)), Err(OfferError::TooManyMedia)));
    }
}
