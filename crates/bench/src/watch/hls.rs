//! Viewers by low-latency HLS without a browser, which ask as hls.js does: for each track's playlist when it has the next part, as
//! a delta update, and then for the part.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use protocol::{SessionId, Track};

/// Longer than any answer is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Viewers, each with two connections: one for each track.
pub(super) struct HlsViewers {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Result<()>>>,
}

impl HlsViewers {
    /// Starts one viewer for each count; it counts parts.
    pub(super) fn start(port: u16, session: SessionId, counts: &[Arc<AtomicU64>]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let follow = |track: Track, count: &Arc<AtomicU64>| {
            let folder = format!("http://127.0.0.1:{port}/hls/{session}/{track}");
            let (count, stop) = (Arc::clone(count), Arc::clone(&stop));
            thread::spawn(move || follow(&folder, &count, &stop))
        };
        let threads = counts.iter().flat_map(|count| Track::ALL.map(|track| follow(track, count))).collect();
        Self { stop, threads }
    }

    /// Ends them; fails if one has failed.
    pub(super) fn end(self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().map_err(|_| anyhow!("a viewer panicked"))??;
        }
        Ok(())
    }
}

fn follow(folder: &str, count: &AtomicU64, stop: &AtomicBool) -> Result<()> {
    let agent = ureq::Agent::from(ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).build());
    let mut query = String::new();
    let mut taken = None;
    while !stop.load(Ordering::Relaxed) {
        let text = agent.get(format!("{folder}/index.m3u8{query}")).call()?.body_mut().read_to_string()?;
        let list = Playlist::parse(&text)?;
        for part in list.after(taken.as_deref()) {
            agent.get(format!("{folder}/{part}")).call()?.body_mut().read_to_vec()?;
            count.fetch_add(1, Ordering::Relaxed);
            taken = Some((*part).to_owned());
        }
        query = format!("?_HLS_msn={}&_HLS_part={}&_HLS_skip=YES", list.segment, list.next_part);
    }
    Ok(())
}

/// What a viewer takes from a playlist.
#[derive(Debug, PartialEq, Eq)]
struct Playlist<'a> {
    /// The number of the segment that grows.
    segment: u64,
    /// The place in it of the part that is to come.
    next_part: u64,
    /// The addresses of all listed parts.
    parts: Vec<&'a str>,
}

impl<'a> Playlist<'a> {
    fn parse(text: &'a str) -> Result<Self> {
        let (mut segment, mut next_part, mut parts) = (None, 0, Vec::new());
        for line in text.lines() {
            if let Some(first) = line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:") {
                segment = Some(first.parse::<u64>()?);
            } else if let Some(skipped) = line.strip_prefix("#EXT-X-SKIP:SKIPPED-SEGMENTS=") {
                segment = segment.map(|segment| segment + skipped.parse::<u64>().unwrap_or(0));
            } else if line.starts_with("#EXTINF:") {
                segment = segment.map(|segment| segment + 1);
                next_part = 0;
            } else if let Some(part) = line.strip_prefix("#EXT-X-PART:") {
                let (_, address) = part.split_once("URI=\"").context("a part has an address")?;
                parts.push(address.split('"').next().unwrap_or_default());
                next_part += 1;
            } else if line == "#EXT-X-ENDLIST" {
                bail!("the session has ended");
            }
        }
        let segment = segment.context("a playlist has a media sequence number")?;
        Ok(Self { segment, next_part, parts })
    }

    /// The parts behind the one that was taken last; to begin with, the newest.
    fn after(&self, taken: Option<&str>) -> &[&'a str] {
        let at = taken.and_then(|taken| self.parts.iter().position(|part| *part == taken));
        &self.parts[at.map_or(self.parts.len().saturating_sub(1), |at| at + 1)..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_viewer_asks_for_the_part_behind_the_last_and_takes_what_is_new() {
        let text = "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:7\n#EXT-X-SKIP:SKIPPED-SEGMENTS=3\n#EXT-X-PART:DURATION=0.4,URI=\"part/1.m4s\"\n#EXTINF:4.0,\nsegment/10.m4s\n#EXT-X-PART:DURATION=0.4,URI=\"part/2.m4s\",INDEPENDENT=YES\n#EXT-X-PART:DURATION=0.4,URI=\"part/3.m4s\"\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"part/4.m4s\"\n";
        let list = Playlist::parse(text).unwrap();
        let parts = vec!["part/1.m4s", "part/2.m4s", "part/3.m4s"];
        assert_eq!(list, Playlist { segment: 11, next_part: 2, parts });
        assert_eq!(list.after(None), ["part/3.m4s"]);
        assert_eq!(list.after(Some("part/1.m4s")), ["part/2.m4s", "part/3.m4s"]);
        assert!(list.after(Some("part/3.m4s")).is_empty());
        assert!(Playlist::parse("#EXTM3U\n").is_err());
    }
}
