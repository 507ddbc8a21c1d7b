//! The text of playlists (RFC 8216 and its second edition, draft-pantos-hls-rfc8216bis, for the low-latency tags). Pure.

use std::fmt::Write as _;
use std::time::Duration;

use protocol::Track;
use protocol::codec::CodecParameters;

use super::timeline::{CELL_90K, LONGEST_90K, Segment, Timeline, end_90k};

/// `EXT-X-TARGETDURATION`, in s: no segment lasts longer.
pub(crate) const TARGET_S: u64 = LONGEST_90K / 90_000;
/// Parts are listed of segments that end less than this before the end (§4.4.4.9: three target durations).
const PARTS_WINDOW_90K: u64 = 3 * LONGEST_90K;
/// `CAN-SKIP-UNTIL`: how much of a playlist's end a delta update repeats (§4.4.3.8: six target durations at the least).
const SKIP_UNTIL_90K: u64 = 6 * LONGEST_90K;

/// `PART-HOLD-BACK` in part targets: how much a player keeps in hand. At least two, and better three, says §4.4.3.8; with three the
/// picture is a third of a second later, and hls.js keeps more by itself once it has run dry.
const HOLD_BACK_PARTS: f64 = 2.25;

/// What a media playlist says besides its segments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    /// Whether nothing comes any more.
    pub(crate) has_ended: bool,
    /// When the session began, in ms since 1970.
    pub(crate) started_unix_ms: u64,
    /// No part lasts longer.
    pub(crate) part_target: Duration,
    /// What every address ends in: nothing, or `?token=` and the token by which the playlist was asked for.
    pub(crate) query: &'a str,
    /// Where the other track is: its last segment and part, if it has any.
    pub(crate) other: Option<(Track, Edge)>,
}

/// The newest thing in a playlist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edge {
    /// The number of the segment that grows, or that the next part begins.
    pub(crate) segment: u64,
    /// The place of its newest part.
    pub(crate) part: u64,
}

/// A track that a multivariant playlist names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rendition<'a> {
    pub(crate) timeline: &'a Timeline,
    pub(crate) parameters: &'a CodecParameters,
}

/// Where a timeline ends.
pub(crate) fn edge(timeline: &Timeline) -> Option<Edge> {
    let last = timeline.segments().last()?;
    Some(Edge { segment: last.number, part: timeline.parts(last).len().saturating_sub(1) as u64 })
}

/// The playlist that names the tracks; `None` without any.
pub(crate) fn multivariant(
    video: Option<Rendition<'_>>,
    audio: Option<Rendition<'_>>,
    query: &str,
) -> Option<String> {
    let main = video.or(audio)?;
    let both = video.and(audio);
    let mut text = "#EXTM3U\n#EXT-X-VERSION:9\n".to_owned();
    if let Some(sound) = both {
        let channels = match sound.parameters {
            CodecParameters::Opus { channels, .. } => *channels,
            CodecParameters::H264 { .. } => 2,
        };
        let _ = writeln!(
            text,
            "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"sound\",NAME=\"Sound\",DEFAULT=YES,AUTOSELECT=YES,\
             CHANNELS=\"{channels}\",URI=\"audio/index.m3u8{query}\""
        );
    }
    let tracks: Vec<Rendition<'_>> = [video, audio].into_iter().flatten().collect();
    let codecs: Vec<String> = tracks.iter().map(|track| track.parameters.rfc6381()).collect();
    let peak: u64 = tracks.iter().map(|track| peak_bps(track.timeline)).sum();
    let mean: u64 = tracks.iter().map(|track| mean_bps(track.timeline)).sum();
    let _ = write!(
        text,
        "#EXT-X-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={},CODECS=\"{}\"",
        peak.max(1),
        mean.max(1),
        codecs.join(",")
    );
    if let CodecParameters::H264 { width, height, frame_duration_90k, .. } = main.parameters {
        let rate = 90_000.0 / f64::from((*frame_duration_90k).max(1));
        let _ = write!(text, ",RESOLUTION={width}x{height},FRAME-RATE={rate:.3}");
    }
    if both.is_some() {
        text.push_str(",AUDIO=\"sound\"");
    }
    let _ = write!(text, "\n{}/index.m3u8{query}\n", main.parameters.track());
    Some(text)
}

/// A track's playlist. With `skip`, only what is new enough (a delta update, §6.2.5.1), if that leaves anything out.
pub(crate) fn media(track: Track, timeline: &Timeline, facts: &Facts<'_>, skip: bool) -> String {
    let segments = timeline.segments();
    let (query, end_of_all) = (facts.query, timeline.end_90k());
    let mut text = format!("#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:{TARGET_S}\n");
    if facts.has_ended {
        text.push_str("#EXT-X-PLAYLIST-TYPE:VOD\n");
    } else {
        let target = facts.part_target.as_secs_f64();
        let _ = writeln!(
            text,
            "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL={:.1},HOLD-BACK={:.1},PART-HOLD-BACK={:.3}\n\
             #EXT-X-PART-INF:PART-TARGET={target:.3}",
            seconds(SKIP_UNTIL_90K),
            seconds(3 * LONGEST_90K),
            HOLD_BACK_PARTS * target
        );
    }
    let first = segments.first().map_or(0, |segment| segment.number);
    let _ = writeln!(text, "#EXT-X-MEDIA-SEQUENCE:{first}");

    let is_old = |segment: &&Segment| segment.start_90k + SKIP_UNTIL_90K < end_of_all;
    // Who has an older playlist must see what has healed in it.
    let may_skip = skip && !facts.has_ended && !timeline.has_healed_within(SKIP_UNTIL_90K);
    let skipped = if may_skip { segments.iter().take_while(is_old).count() } else { 0 };
    if skipped > 0 {
        let _ = writeln!(text, "#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}");
    }
    let mut params_from = None;
    let mut was_gap = true;
    for (at, segment) in segments.iter().enumerate().skip(skipped) {
        if params_from != Some(segment.params_from) {
            params_from = Some(segment.params_from);
            let _ = writeln!(text, "#EXT-X-MAP:URI=\"init/{}.mp4{query}\"", segment.params_from);
        }
        // Where the session's time is not the sum of the durations before, and at the start.
        if was_gap {
            let at_ms = facts.started_unix_ms.saturating_add(segment.start_90k / 90);
            let _ = writeln!(text, "#EXT-X-PROGRAM-DATE-TIME:{}", date(at_ms));
        }
        was_gap = segment.is_gap();
        let is_growing = !facts.has_ended && at + 1 == segments.len();
        let duration_90k = timeline.duration_90k(segment);
        let is_recent = segment.start_90k + duration_90k + PARTS_WINDOW_90K > end_of_all;
        if !facts.has_ended && is_recent {
            for part in timeline.parts(segment) {
                let independent = if track == Track::Audio || part.key { ",INDEPENDENT=YES" } else { "" };
                let length = seconds(end_90k(part) - part.pts_90k);
                let unit = part.first_unit;
                let _ = writeln!(
                    text,
                    "#EXT-X-PART:DURATION={length:.5},URI=\"part/{unit}.m4s{query}\"{independent}"
                );
            }
        }
        if is_growing {
            break;
        }
        if segment.is_gap() {
            text.push_str("#EXT-X-GAP\n");
        }
        let _ = writeln!(text, "#EXTINF:{:.5},", seconds(duration_90k));
        let _ = writeln!(text, "segment/{}{query}", segment_name(timeline, segment));
    }
    if facts.has_ended {
        text.push_str("#EXT-X-ENDLIST\n");
    } else {
        let _ =
            writeln!(text, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"part/{}.m4s{query}\"", timeline.next_unit());
        if let Some((other, edge)) = facts.other {
            let _ = writeln!(
                text,
                "#EXT-X-RENDITION-REPORT:URI=\"../{other}/index.m3u8{query}\",LAST-MSN={},LAST-PART={}",
                edge.segment, edge.part
            );
        }
    }
    text
}

/// A segment's file name. It changes when what the segment holds does, so that caches need not ask again.
pub(crate) fn segment_name(timeline: &Timeline, segment: &Segment) -> String {
    let parts = timeline.parts(segment);
    let first = parts.first().map_or(0, |part| part.first_unit);
    let units: u64 = parts.iter().map(|part| u64::from(part.unit_count)).sum();
    format!("{}-{first}-{units}.m4s", segment.number)
}

fn seconds(time_90k: u64) -> f64 {
    time_90k as f64 / 90_000.0
}

/// ISO 8601 in UTC, with milliseconds.
fn date(unix_ms: u64) -> String {
    let whole = time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_ms) * 1_000_000);
    let at = whole.unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    let (date, clock) = (at.date(), at.time());
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        date.year(),
        u8::from(date.month()),
        date.day(),
        clock.hour(),
        clock.minute(),
        clock.second(),
        clock.millisecond()
    )
}

/// The bit rate of the largest segment (§4.4.6.2).
fn peak_bps(timeline: &Timeline) -> u64 {
    let whole = |segment: &&Segment| timeline.duration_90k(segment) >= CELL_90K / 2;
    let rate = |segment: &Segment| {
        let bytes: u64 = timeline.parts(segment).iter().map(|part| part.length_bytes).sum();
        bytes * 8 * 90_000 / timeline.duration_90k(segment).max(1)
    };
    timeline.segments().iter().filter(whole).map(rate).max().unwrap_or_else(|| mean_bps(timeline))
}

fn mean_bps(timeline: &Timeline) -> u64 {
    let all = timeline.segments().iter().flat_map(|segment| timeline.parts(segment));
    let (bytes, time_90k) =
        all.fold((0, 0), |(bytes, time), part| (bytes + part.length_bytes, time + part.duration_90k));
    bytes * 8 * 90_000 / time_90k.max(1)
}

#[cfg(test)]
mod tests {
    use protocol::codec::Base64;

    use super::super::timeline::tests::parts;
    use super::*;

    fn facts() -> Facts<'static> {
        Facts {
            has_ended: false,
            started_unix_ms: 1_700_000_000_000,
            part_target: Duration::from_millis(500),
            query: "",
            other: Some((Track::Audio, Edge { segment: 2, part: 3 })),
        }
    }

    fn timeline(range: std::ops::Range<u64>) -> Timeline {
        let mut timeline = Timeline::new(Track::Video);
        timeline.extend(vec![0], parts(range, 5, 0));
        timeline
    }

    #[test]
    fn a_running_session_lists_its_parts_and_hints_at_the_next() {
        let text = media(Track::Video, &timeline(0..12), &facts(), false);
        assert_eq!(
            text,
            "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:8\n\
             #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=48.0,HOLD-BACK=24.0,PART-HOLD-BACK=1.125\n\
             #EXT-X-PART-INF:PART-TARGET=0.500\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-MAP:URI=\"init/0.mp4\"\n\
             #EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:20.000Z\n"
                .to_owned()
                + &(0..10)
                    .map(|n| {
                        let key = if n % 5 == 0 { ",INDEPENDENT=YES" } else { "" };
                        format!("#EXT-X-PART:DURATION=0.40000,URI=\"part/{}.m4s\"{key}\n", n * 12)
                    })
                    .collect::<String>()
                + "#EXTINF:4.00000,\nsegment/0-0-120.m4s\n\
                   #EXT-X-PART:DURATION=0.40000,URI=\"part/120.m4s\",INDEPENDENT=YES\n\
                   #EXT-X-PART:DURATION=0.40000,URI=\"part/132.m4s\"\n\
                   #EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"part/144.m4s\"\n\
                   #EXT-X-RENDITION-REPORT:URI=\"../audio/index.m3u8\",LAST-MSN=2,LAST-PART=3\n"
        );
        assert_eq!(edge(&timeline(0..12)), Some(Edge { segment: 1, part: 1 }));
    }

    #[test]
    fn an_ended_session_is_a_list_of_whole_segments() {
        let facts = Facts { has_ended: true, query: "?token=a", ..facts() };
        let text = media(Track::Video, &timeline(0..12), &facts, true);
        assert!(text.contains("#EXT-X-PLAYLIST-TYPE:VOD\n"), "{text}");
        assert!(
            text.ends_with(
                "segment/0-0-120.m4s?token=a\n#EXTINF:0.80000,\nsegment/1-120-24.m4s?token=a\n#EXT-X-ENDLIST\n"
            ),
            "{text}"
        );
        assert!(!text.contains("EXT-X-PART"), "{text}");
        assert!(!text.contains("EXT-X-SKIP"), "{text}");
    }

    #[test]
    fn a_gap_is_marked_and_the_time_is_said_again_behind_it() {
        let mut timeline = timeline(0..10);
        timeline.extend(vec![0], parts(30..35, 5, 0));
        let text = media(Track::Video, &timeline, &facts(), false);
        assert!(text.contains("#EXT-X-GAP\n#EXTINF:4.00000,\nsegment/1-0-0.m4s\n"), "{text}");
        assert!(text.contains("#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:32.000Z\n"), "{text}");
    }

    #[test]
    fn a_delta_update_leaves_out_what_is_old() {
        let all = media(Track::Video, &timeline(0..300), &facts(), false);
        let delta = media(Track::Video, &timeline(0..300), &facts(), true);
        // 120 s: the segments that begin in the last 48 s are there.
        assert!(delta.contains("#EXT-X-SKIP:SKIPPED-SEGMENTS=18\n"), "{delta}");
        assert_eq!(all.matches("#EXTINF").count(), delta.matches("#EXTINF").count() + 18);
        assert!(delta.contains("#EXT-X-MAP"), "{delta}");
        assert!(!media(Track::Video, &timeline(0..100), &facts(), true).contains("EXT-X-SKIP"));
        let mut healed = timeline(0..20);
        healed.extend(vec![0], parts(30..300, 5, 0));
        assert!(media(Track::Video, &healed, &facts(), true).contains("EXT-X-SKIP"));
        healed.extend(vec![0], parts(20..30, 5, 0));
        assert_eq!(media(Track::Video, &healed, &facts(), true), all, "everybody sees what healed");
    }

    #[test]
    fn the_tracks_are_named_with_codecs_size_and_rate() {
        let timeline = timeline(0..20);
        let avcc = Base64(vec![1, 0x42, 0xc0, 0x1f, 0xff]);
        let video = CodecParameters::H264 { width: 1280, height: 720, frame_duration_90k: 3_000, avcc };
        let audio = CodecParameters::Opus { channels: 1, pre_skip_48k: 312 };
        let picture = Rendition { timeline: &timeline, parameters: &video };
        let sound = Rendition { timeline: &timeline, parameters: &audio };
        let text = multivariant(Some(picture), Some(sound), "?token=x").unwrap();
        assert!(text.contains("CHANNELS=\"1\",URI=\"audio/index.m3u8?token=x\"\n"), "{text}");
        assert!(
            text.ends_with(
                "#EXT-X-STREAM-INF:BANDWIDTH=480000,AVERAGE-BANDWIDTH=480000,CODECS=\"avc1.42c01f,opus\",\
                 RESOLUTION=1280x720,FRAME-RATE=30.000,AUDIO=\"sound\"\nvideo/index.m3u8?token=x\n"
            ),
            "{text}"
        );
        let text = multivariant(None, Some(sound), "").unwrap();
        assert!(text.ends_with("CODECS=\"opus\"\naudio/index.m3u8\n"), "{text}");
        assert!(multivariant(None, None, "").is_none());
    }
}
