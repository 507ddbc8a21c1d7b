//! Certificates: what a server states of a complete session, so that anyone who has its key can check a recording.
//!
//! The statements are texts and stay texts: what was signed are their bytes. Nothing here checks a signature; that
//! needs a library that does, and a key that the reader trusts.

use serde::{Deserialize, Serialize};

use crate::codec::{Base64, Params};
use crate::control::{Device, Event};
use crate::digest::{TrackDigest, UnitDigest, UnitDigests};
use crate::limits::MAX_UNIT_NUMBER;
use crate::{Hex, RoomName, SessionId, Track, UnitRange, UnitRanges};

/// An Ed25519 public key (RFC 8032).
pub type PublicKey = Hex<32>;

/// An Ed25519 signature.
pub type Signature = Hex<64>;

/// The version of [`Statement`] that this crate writes.
pub const STATEMENT_VERSION: u8 = 1;

/// What a device states of a track at its end. It signs the bytes of [`Self::to_json`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceStatement {
    /// The session.
    pub session: SessionId,
    /// The track.
    pub track: Track,
    /// The wall clock at the session's start, in ms since 1970, as the device believes it.
    pub started_unix_ms: u64,
    /// How many units the track has.
    pub units: u64,
    /// Units that the device gave up.
    pub lost: UnitRanges,
    /// Units that the server holds and that the device has lost the digests of.
    pub unwitnessed: UnitRanges,
    /// The digest of all other units.
    pub digest: TrackDigest,
}

impl DeviceStatement {
    /// The text that is signed: JSON without white space, the fields in the order of this type.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a statement is plain values")
    }
}

/// A text and who signed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// The text; its UTF-8 bytes are what was signed.
    pub statement: String,
    /// Whose signature it is.
    pub key: PublicKey,
    /// The signature.
    pub signature: Signature,
}

/// What a server states of a session that is complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// [`STATEMENT_VERSION`].
    pub version: u8,
    /// The session.
    pub session: SessionId,
    /// Its room.
    pub room: RoomName,
    /// What published it, by its own word.
    pub device: Device,
    /// When it began by the device's wall clock, in ms since 1970.
    pub started_unix_ms: u64,
    /// When it was complete by the server's, in ms since 1970.
    pub ended_unix_ms: u64,
    /// The session's tracks; each at most once.
    pub tracks: Vec<TrackStatement>,
}

/// What a server states of a track.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrackStatement {
    /// The track.
    pub track: Track,
    /// All codec parameters, ascending by unit.
    pub params: Vec<Params>,
    /// How many units the track has.
    pub units: u64,
    /// How many are durable.
    pub durable_units: u64,
    /// Units that are not durable.
    pub gaps: UnitRanges,
    /// Units that the device gave up: the gaps, or a coarser list when there are very many.
    pub lost: UnitRanges,
    /// Units that are durable and that the device could not vouch for.
    pub unwitnessed: UnitRanges,
    /// The digest that device and server agree on.
    pub digest: TrackDigest,
    /// When the first durable unit is to be shown, in 1/90000 s since the session's start.
    pub start_90k: Option<u64>,
    /// When the last durable unit ends.
    pub end_90k: Option<u64>,
    /// What the device told about the track.
    pub events: Vec<Event>,
    /// The device's [`DeviceStatement`].
    pub device: Signed,
}

impl Statement {
    /// The text that is signed.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a statement is plain values")
    }
}

/// The answer of `GET /api/sessions/{id}/certificate`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// The server's [`Statement`].
    pub certificate: Signed,
    /// The unit digests behind the tracks' digests, so that a single unit can be named.
    pub unit_digests: Vec<DigestRun>,
}

/// Digests of consecutive units of a track.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DigestRun {
    /// The track.
    pub track: Track,
    /// The first unit.
    pub first_unit: u64,
    /// 16 bytes a unit.
    pub digests: Base64,
}

impl DigestRun {
    /// The digests as they go into a certificate.
    pub fn of(track: Track, digests: &UnitDigests) -> impl Iterator<Item = Self> {
        digests.runs().map(move |(first_unit, run)| {
            let bytes = run.iter().flat_map(|digest| digest.0).collect();
            Self { track, first_unit, digests: Base64(bytes) }
        })
    }
}

/// A certificate that has the right form and does not contradict itself. Its signatures are not checked.
#[derive(Debug, Clone)]
pub struct ReadCertificate {
    /// As it was written.
    pub signed: Signed,
    /// What the server states.
    pub statement: Statement,
    /// The tracks in the order of the statement: what the device states, and the unit digests, which are those
    /// behind the track's digest.
    pub tracks: Vec<(DeviceStatement, UnitDigests)>,
}

/// Why a text is not a certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// Not JSON of the right form.
    #[error("this is not a certificate: {0}")]
    Form(String),
    /// A statement of another version.
    #[error("the certificate has version {0}; this program reads version {STATEMENT_VERSION}")]
    Version(u8),
    /// The parts of the certificate say different things.
    #[error("the certificate contradicts itself: {0}")]
    Contradiction(&'static str),
    /// The unit digests are not those that the track's digest was made of.
    #[error("the unit digests of the {0} track are not those that were certified")]
    Digests(Track),
}

impl Certificate {
    /// Reads a certificate and checks all that can be checked without a key.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn read(text: &str) -> Result<ReadCertificate, CertificateError> {
        let form =
            |error: serde_json::Error| CertificateError::Form(error.to_string().chars().take(200).collect());
        let Self { certificate, unit_digests } = serde_json::from_str(text).map_err(form)?;
        let statement: Statement = serde_json::from_str(&certificate.statement).map_err(form)?;
        if statement.version != STATEMENT_VERSION {
            return Err(CertificateError::Version(statement.version));
        }
        let mut tracks = Vec::new();
        for (at, track) in statement.tracks.iter().enumerate() {
            if statement.tracks[..at].iter().any(|before| before.track == track.track) {
                return Err(CertificateError::Contradiction("a track is there twice"));
            }
            let device: DeviceStatement = serde_json::from_str(&track.device.statement).map_err(form)?;
            track.agrees_with(&device, &statement)?;
            tracks.push((device, track.digests(&unit_digests)?));
        }
        Ok(ReadCertificate { signed: certificate, statement, tracks })
    }
}

impl TrackStatement {
    fn agrees_with(&self, device: &DeviceStatement, statement: &Statement) -> Result<(), CertificateError> {
        let expected = DeviceStatement {
            session: statement.session,
            track: self.track,
            started_unix_ms: statement.started_unix_ms,
            units: self.units,
            lost: self.lost.clone(),
            unwitnessed: self.unwitnessed.clone(),
            digest: self.digest,
        };
        let contradiction = |what| Err(CertificateError::Contradiction(what));
        if *device != expected {
            return contradiction("the device states something else than the server");
        }
        let beyond = |ranges: &UnitRanges| ranges.last().is_some_and(|last| last >= self.units);
        if self.units > MAX_UNIT_NUMBER
            || beyond(&self.gaps)
            || self.gaps.count() + self.durable_units != self.units
        {
            return contradiction("the durable units and the gaps do not add up");
        }
        Ok(())
    }

    /// The track's unit digests, if they are those behind its digest.
    fn digests(&self, runs: &[DigestRun]) -> Result<UnitDigests, CertificateError> {
        let wrong = CertificateError::Digests(self.track);
        let mut digests = UnitDigests::new();
        for run in runs.iter().filter(|run| run.track == self.track) {
            let (units, rest) = run.digests.0.as_chunks::<16>();
            let fits = run.first_unit.checked_add(units.len() as u64).is_some_and(|end| end <= self.units);
            if !rest.is_empty() || !fits {
                return Err(wrong);
            }
            for (at, digest) in units.iter().enumerate() {
                digests.record(run.first_unit + at as u64, Hex(*digest) as UnitDigest);
            }
        }
        let excluded = self.excluded();
        let is_whole = digests.numbers() == self.gaps.gaps_below(self.units);
        match digests.track_digest(self.track, self.units, &excluded) {
            Some(digest) if digest == self.digest && is_whole => Ok(digests),
            _ => Err(wrong),
        }
    }

    /// The units that the digest does not cover.
    #[must_use]
    pub fn excluded(&self) -> UnitRanges {
        excluded(&self.lost, &self.unwitnessed)
    }
}

/// The units that a track's digest does not cover.
#[must_use]
pub fn excluded(lost: &UnitRanges, unwitnessed: &UnitRanges) -> UnitRanges {
    let ranges = lost.as_slice().iter().chain(unwitnessed.as_slice());
    ranges.copied().collect::<Vec<UnitRange>>().into()
}
