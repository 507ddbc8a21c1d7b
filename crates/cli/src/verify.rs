//! Whether a file holds the units that a certificate names.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};

use media::mp4::{BOX_HEADER_BYTES, Mp4Error, StoredUnit, box_head, read_recording};
use protocol::certificate::{PublicKey, ReadCertificate};
use protocol::digest::UnitDigest;
use protocol::limits::MAX_UNIT_BYTES;
use protocol::{Track, UnitRanges};
use signing::is_genuine;

/// The head of a recording is not larger: that of 24 hours takes about 40 MB.
const MAX_HEAD_BYTES: u64 = 1 << 30;

/// Why a recording cannot be compared with its certificate at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VerifyError {
    #[error("the file cannot be read: {0}")]
    File(#[from] io::Error),
    #[error("the file is not a recording.mp4 of this server, or its head is damaged: {0}")]
    Recording(#[from] Mp4Error),
    #[error("the certificate is forged: it is not signed by the key that it names")]
    Forged,
    #[error("the certificate is signed by another server: by {0}")]
    OtherServer(PublicKey),
    #[error("the certificate is forged: the {0} track is not signed by the device that it names")]
    DeviceForged(Track),
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Verdict {
    tracks: Vec<TrackVerdict>,
    key: PublicKey,
}

#[derive(Debug)]
struct TrackVerdict {
    track: Track,
    units: u64,
    /// There, and as they were made.
    right: UnitRanges,
    altered: UnitRanges,
    missing: UnitRanges,
    /// What never came to the server.
    lost: UnitRanges,
    unwitnessed: UnitRanges,
}

/// Checks the signatures: the server's, by `key` if one is given, and the devices'.
///
/// # Errors
/// [`VerifyError`] names the first that is wrong.
pub(crate) fn check_signatures(
    certificate: &ReadCertificate,
    key: Option<&PublicKey>,
) -> Result<(), VerifyError> {
    if !is_genuine(&certificate.signed) {
        return Err(VerifyError::Forged);
    }
    if key.is_some_and(|key| *key != certificate.signed.key) {
        return Err(VerifyError::OtherServer(certificate.signed.key));
    }
    match certificate.statement.tracks.iter().find(|track| !is_genuine(&track.device)) {
        Some(track) => Err(VerifyError::DeviceForged(track.track)),
        None => Ok(()),
    }
}

/// Compares a recording with its certificate, unit by unit.
///
/// # Errors
/// [`VerifyError`] when it cannot be read or is no recording.
pub(crate) fn compare(
    mut file: impl Read + Seek,
    certificate: &ReadCertificate,
) -> Result<Verdict, VerifyError> {
    let contents = read_recording(&head(&mut file)?)?;
    let length = file.seek(SeekFrom::End(0))?;
    let mut payloads =
        Payloads { file, length, shift: 0, lacking: contents.total_bytes.saturating_sub(length) };
    let digest = |unit: &StoredUnit| -> Option<UnitDigest> {
        let at = certificate.statement.tracks.iter().position(|track| track.track == unit.track)?;
        certificate.tracks[at].1.get(unit.number)
    };
    let (mut right, mut altered) = (BTreeSet::new(), BTreeSet::new());
    let mut last_wrong = None;
    for unit in &contents.units {
        let name = (unit.track, unit.number);
        let found = match digest(unit) {
            Some(digest) => payloads.find(unit, digest)?,
            None => Found::Altered,
        };
        match found {
            Found::Right { is_after_cut } => {
                right.insert(name);
                // What was cut out of the file is the unit in front of the first that has moved.
                if let Some(cut) = last_wrong.take().filter(|_| is_after_cut) {
                    altered.remove(&cut);
                }
            }
            Found::Altered => {
                altered.insert(name);
                last_wrong = Some(name);
            }
            Found::Missing => last_wrong = None,
        }
    }
    let tracks =
        certificate.statement.tracks.iter().zip(&certificate.tracks).map(|(statement, (_, digests))| {
            let of = |names: &BTreeSet<(Track, u64)>| {
                let mut units = UnitRanges::new();
                let own = names.iter().filter(|(track, _)| *track == statement.track);
                own.for_each(|(_, number)| units.insert(*number));
                units
            };
            let (right, altered) = (of(&right), of(&altered));
            let mut accounted = digests.numbers().gaps_below(statement.units);
            accounted.extend(&right);
            accounted.extend(&altered);
            TrackVerdict {
                track: statement.track,
                units: statement.units,
                missing: accounted.gaps_below(statement.units),
                right,
                altered,
                lost: statement.gaps.clone(),
                unwitnessed: statement.unwitnessed.clone(),
            }
        });
    Ok(Verdict { tracks: tracks.collect(), key: certificate.signed.key })
}

/// Everything up to the header of `mdat`, that included.
fn head(file: &mut (impl Read + Seek)) -> Result<Vec<u8>, VerifyError> {
    let mut end = 0;
    loop {
        file.seek(SeekFrom::Start(end))?;
        let mut header = Vec::new();
        file.by_ref().take(BOX_HEADER_BYTES as u64).read_to_end(&mut header)?;
        let (name, bytes) = box_head(&header, end)?;
        end = end.saturating_add(if name == *b"mdat" { header.len() as u64 } else { bytes });
        if name == *b"mdat" || end > MAX_HEAD_BYTES {
            break;
        }
    }
    let mut head = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(end.min(MAX_HEAD_BYTES)).read_to_end(&mut head)?;
    Ok(head)
}

enum Found {
    Right { is_after_cut: bool },
    Altered,
    Missing,
}

/// Reads payloads where the head says, and, in a file that is too short, where they lie if something was cut out.
struct Payloads<F> {
    file: F,
    length: u64,
    /// How much earlier than said payloads lie by now.
    shift: u64,
    /// How many bytes the file is short of what it should have.
    lacking: u64,
}

impl<F: Read + Seek> Payloads<F> {
    fn find(&mut self, unit: &StoredUnit, digest: UnitDigest) -> io::Result<Found> {
        if unit.bytes as usize > MAX_UNIT_BYTES {
            return Ok(Found::Altered);
        }
        let payload = self.read(unit, self.shift)?;
        if payload.as_ref().is_some_and(|payload| unit.has_digest(payload, digest)) {
            return Ok(Found::Right { is_after_cut: false });
        }
        if self.shift < self.lacking
            && let Some(moved) = self.read(unit, self.lacking)?
            && unit.has_digest(&moved, digest)
        {
            self.shift = self.lacking;
            return Ok(Found::Right { is_after_cut: true });
        }
        Ok(if payload.is_some() { Found::Altered } else { Found::Missing })
    }

    /// `None` for a payload that lies beyond the end.
    fn read(&mut self, unit: &StoredUnit, shift: u64) -> io::Result<Option<Vec<u8>>> {
        let Some(start) = unit.offset.checked_sub(shift) else { return Ok(None) };
        if start.saturating_add(u64::from(unit.bytes)) > self.length {
            return Ok(None);
        }
        self.file.seek(SeekFrom::Start(start))?;
        let mut payload = vec![0; unit.bytes as usize];
        self.file.read_exact(&mut payload)?;
        Ok(Some(payload))
    }
}

impl Verdict {
    /// Whether the file holds every unit that the device made, as it made it.
    pub(crate) fn is_complete(&self) -> bool {
        self.tracks.iter().all(|track| track.right.count() == track.units && track.altered.is_empty())
    }

    /// One line for each kind of thing that is wrong with a track.
    pub(crate) fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        for track in &self.tracks {
            for (units, what) in [
                (&track.altered, "altered"),
                (&track.missing, "missing from the file"),
                (&track.lost, "lost: the device had to give them up, and the server never had them"),
                (&track.unwitnessed, "not vouched for by the device, which had lost its record of them"),
            ] {
                if !units.is_empty() {
                    let (noun, verb) = if units.count() == 1 { ("unit", "is") } else { ("units", "are") };
                    remarks.push(format!("{} {noun} {units} {verb} {what}", track.track));
                }
            }
        }
        remarks
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_complete() { "complete: " } else { "not complete: " })?;
        for track in &self.tracks {
            let (right, units) = (grouped(track.right.count()), grouped(track.units));
            write!(f, "{right} of {units} {} units, ", track.track)?;
        }
        write!(f, "signed by {}", self.key)
    }
}

/// A count with a comma between thousands.
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_by_thousands() {
        for (count, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(count), text);
        }
    }
}
