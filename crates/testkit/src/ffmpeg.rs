//! What an independent player, ffmpeg, says of a recording.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, bail};

/// One packet of a file, as ffprobe lists it.
#[derive(Debug, Clone, PartialEq)]
pub struct Packet {
    /// Whether it belongs to the picture.
    pub video: bool,
    /// Presentation time in seconds, edit lists applied.
    pub pts_s: f64,
    /// Whether decoding can start here.
    pub key: bool,
}

/// Decodes the whole file, strictly.
///
/// # Errors
/// When ffmpeg prints anything at all, or fails.
pub fn decode_silently(file: &Path) -> Result<()> {
    let output = run("ffmpeg", &["-v", "error", "-xerror", "-i", path(file)?, "-f", "null", "-"])?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() || !said.trim().is_empty() {
        bail!("ffmpeg does not play {}: {said}", file.display());
    }
    Ok(())
}

/// Lists the file's packets in file order.
///
/// # Errors
/// When ffprobe prints a message, fails, or answers in an unexpected form.
pub fn packets(file: &Path) -> Result<Vec<Packet>> {
    let entries = "packet=codec_type,pts_time,flags";
    let output = run("ffprobe", &["-v", "error", "-show_entries", entries, "-of", "json", path(file)?])?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() || !said.trim().is_empty() {
        bail!("ffprobe does not read {}: {said}", file.display());
    }
    let json: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let listed = json["packets"].as_array().context("ffprobe lists packets")?;
    listed
        .iter()
        .map(|packet| {
            let pts = packet["pts_time"].as_str().context("a packet has a time")?;
            Ok(Packet {
                video: packet["codec_type"] == "video",
                pts_s: pts.parse()?,
                key: packet["flags"].as_str().is_some_and(|flags| flags.starts_with('K')),
            })
        })
        .collect()
}

/// Decodes the picture to I420 frames of `width` × `height`, one after another, untouched in number.
///
/// # Errors
/// When ffmpeg fails.
pub fn decode_video(file: &Path) -> Result<Vec<u8>> {
    let args =
        ["-v", "error", "-i", path(file)?, "-map", "0:v", "-fps_mode", "passthrough", "-pix_fmt", "yuv420p"];
    let output = run("ffmpeg", &[&args[..], &["-f", "rawvideo", "-"]].concat())?;
    if !output.status.success() {
        bail!("ffmpeg does not decode the picture of {}", file.display());
    }
    Ok(output.stdout)
}

/// Decodes the sound to mono 32-bit float PCM at 48 kHz.
///
/// # Errors
/// When ffmpeg fails.
pub fn decode_audio(file: &Path) -> Result<Vec<f32>> {
    let args =
        ["-v", "error", "-i", path(file)?, "-map", "0:a", "-ac", "1", "-ar", "48000", "-f", "f32le", "-"];
    let output = run("ffmpeg", &args)?;
    if !output.status.success() {
        bail!("ffmpeg does not decode the sound of {}", file.display());
    }
    let (samples, _) = output.stdout.as_chunks::<4>();
    Ok(samples.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}

fn path(file: &Path) -> Result<&str> {
    file.to_str().context("test files have plain names")
}

fn run(program: &str, args: &[&str]) -> Result<Output> {
    Command::new(program)
        .args(args)
        .output()
        .with_context(|| format!("{program} starts; it is in the package ffmpeg (`cargo xtask setup`)"))
}
