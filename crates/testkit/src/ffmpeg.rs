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
    // By the file's own times: left to itself ffmpeg guesses a frame rate, and of a short file whose camera was switched
    // it guesses wrongly and complains of pictures that share a place in its own count.
    let own_times = ["-fps_mode", "passthrough", "-enc_time_base", "-1"];
    let input = ["-v", "error", "-xerror", "-i", path(file)?];
    let output = run("ffmpeg", &[&input[..], &own_times, &["-f", "null", "-"]].concat())?;
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

/// The mean luma, 0 to 255, of each picture in the order in which they are shown.
///
/// # Errors
/// When ffmpeg fails.
pub fn brightness(file: &Path) -> Result<Vec<f32>> {
    // Shrunk to a few pixels by averaging; the lowest eighth, which may hold the time code, is left out.
    let filter = "crop=iw:ih*7/8:0:0,scale=16:8:flags=area,format=gray";
    let args = ["-v", "error", "-i", path(file)?, "-map", "0:v", "-fps_mode", "passthrough", "-vf", filter];
    let output = run("ffmpeg", &[&args[..], &["-f", "rawvideo", "-"]].concat())?;
    if !output.status.success() {
        bail!("ffmpeg does not decode the picture of {}", file.display());
    }
    let pictures = output.stdout.chunks_exact(16 * 8);
    Ok(pictures.map(|luma| luma.iter().map(|&value| f32::from(value)).sum::<f32>() / 128.0).collect())
}

/// Seeks in a file or at an address and decodes two seconds from there, strictly.
///
/// # Errors
/// When ffmpeg prints anything at all, fails, or finds no picture there.
pub fn play_from(url: &str, start_s: u32) -> Result<()> {
    let start = start_s.to_string();
    let args = [
        "-v",
        "error",
        "-xerror",
        "-ss",
        &start,
        "-i",
        url,
        "-t",
        "2",
        "-map",
        "0:v",
        "-f",
        "framehash",
        "-",
    ];
    let output = run("ffmpeg", &args)?;
    let said = String::from_utf8_lossy(&output.stderr);
    let listed = String::from_utf8_lossy(&output.stdout);
    let pictures = listed.lines().filter(|line| !line.starts_with('#')).count();
    if !output.status.success() || !said.trim().is_empty() || pictures == 0 {
        bail!("ffmpeg does not play from {start_s} s ({pictures} pictures): {said}");
    }
    Ok(())
}

/// Decodes the sound to mono 32-bit float PCM at 48 kHz, from second 0 of the file's timeline on.
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
