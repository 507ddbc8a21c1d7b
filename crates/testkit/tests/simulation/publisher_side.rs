//! The publisher: two machines, a spool on a disk that is its own, and what becomes of them when it is killed.

use std::sync::Arc;

use fastrand::Rng;
use protocol::control::Device;
use protocol::{ResumeKey, SessionId, Track, UnitRanges};
use publisher::spool::disk::Settings;
use publisher::spool::disk::simulated::{SimulatedFolder, SimulatedSpool};
use publisher::track::{Identity, TrackMachine};
use testkit::units::device_key;

use crate::fault::Fault;
use crate::scenario::{Death, Scenario};

/// One track of a program that runs.
pub(crate) struct Side {
    pub(crate) machine: TrackMachine,
    /// The connection that it has, or tries to have.
    pub(crate) current: Option<u64>,
    /// Its system takes that connection for open, whatever has become of the other end.
    pub(crate) is_open: bool,
}

/// A program that runs.
pub(crate) struct Program {
    pub(crate) spool: SimulatedSpool,
    pub(crate) sides: [Side; 2],
}

/// The device: its disk, the program on it, and what it must not lose.
pub(crate) struct Publisher {
    pub(crate) folder: SimulatedFolder,
    pub(crate) program: Option<Program>,
    /// By track: units that were on the disk for good at the last sync, and those of them that were acknowledged.
    pub(crate) synced: [Synced; 2],
    /// By track: units below are left by whatever death there was.
    pub(crate) safe_units: [Option<u64>; 2],
    /// Every write and sync fails now.
    pub(crate) disk_fails: bool,
    /// By track: acknowledged units that a later program vouches for, all that are if nobody has died.
    pub(crate) vouched: [Option<UnitRanges>; 2],
    identity: Identity,
    fault: Fault,
}

/// What a sync has made durable of a track.
#[derive(Debug, Clone, Default)]
pub(crate) struct Synced {
    pub(crate) units: u64,
    pub(crate) acknowledged: UnitRanges,
}

impl Publisher {
    pub(crate) fn new(rng: &mut Rng, seed: u64, scenario: &Scenario, fault: Fault) -> Self {
        let identity = Identity {
            session: SessionId::v7(1_700_000_000_000 + seed, [7; 10]),
            resume_key: ResumeKey::from_bytes([3; 16]),
            room: "simulation".parse().unwrap(),
            device: Device { name: "test".into(), platform: "virtual".into(), app: "testkit".into() },
            started_unix_ms: 1_700_000_000_000,
            device_key: Arc::new(device_key()),
        };
        let folder = SimulatedFolder::default();
        folder.drop_digests(fault == Fault::DropsDigests);
        let factor = if fault == Fault::OverfillsSpool { 1_000 } else { 1 };
        let settings = Settings {
            capacity_bytes: scenario.capacity_bytes * factor,
            when_full: scenario.when_full,
            ..Settings::new("".as_ref())
        };
        let spool = SimulatedSpool::begin(&folder, &settings, scenario.memory_bytes);
        let side = |track: Track| {
            let mut pace = scenario.pace(track);
            if matches!(fault, Fault::OverfillsFlight | Fault::OverfillsServer) {
                pace.in_flight_bytes *= 100;
            }
            let spool = spool.spool(track).unwrap();
            let machine = TrackMachine::new(track, identity.clone(), pace, spool, rng.u64(..));
            Side { machine, current: None, is_open: false }
        };
        let sides = Track::ALL.map(side);
        let program = Some(Program { spool, sides });
        Self {
            folder,
            program,
            synced: Default::default(),
            safe_units: [None; 2],
            disk_fails: false,
            vouched: [None, None],
            identity,
            fault,
        }
    }

    pub(crate) fn side(&mut self, track: Track) -> Option<&mut Side> {
        Some(&mut self.program.as_mut()?.sides[track as usize])
    }

    /// The track whose connection this is.
    pub(crate) fn owner(&mut self, id: u64) -> Option<(Track, &mut Side)> {
        let sides = self.program.as_mut()?.sides.iter_mut();
        Track::ALL.into_iter().zip(sides).find(|(_, side)| side.current == Some(id))
    }

    /// Makes durable what was written.
    pub(crate) fn sync(&mut self) {
        let Some(program) = &mut self.program else { return };
        if self.fault != Fault::SkipsSync {
            program.spool.sync();
        }
        for (side, synced) in program.sides.iter().zip(&mut self.synced) {
            let status = side.machine.status();
            // What the disk refuses is in memory, and so is what was written before the refusal ended.
            if status.spool.trouble.is_none() {
                synced.units = status.counters.units;
                synced.acknowledged = side.machine.durable().clone();
            }
        }
    }

    /// The program ends without warning.
    pub(crate) fn die(&mut self, rng: &mut Rng, death: Death) {
        let Some(program) = self.program.take() else { return };
        for (at, side) in program.sides.iter().enumerate() {
            let status = side.machine.status();
            let is_written = status.spool.trouble.is_none() && death == Death::Kill;
            let now = Synced { units: status.counters.units, acknowledged: side.machine.durable().clone() };
            let kept = if is_written { now } else { self.synced[at].clone() };
            let before = self.safe_units[at].unwrap_or(u64::MAX);
            self.safe_units[at] = Some(before.min(kept.units));
            // A program that is killed while it resumes has vouched for nothing more, and for nothing less.
            self.vouched[at].get_or_insert(kept.acknowledged);
        }
        if death == Death::PowerCut || self.fault == Fault::SpoolsInMemory {
            let luck = rng.f32();
            self.folder = self.folder.after_power_cut(|| rng.f32() < luck);
        }
    }

    /// A program starts that sends what the last one has left.
    pub(crate) fn restart(&mut self, rng: &mut Rng, scenario: &Scenario) {
        if self.program.is_some() {
            return;
        }
        let pace = |track| scenario.pace(track);
        let (spool, machines) =
            SimulatedSpool::recover(&self.folder, &self.identity, pace, rng.u64(..)).unwrap();
        let mut sides =
            machines.into_iter().map(|(_, machine)| Side { machine, current: None, is_open: false });
        let sides = [sides.next().unwrap(), sides.next().unwrap()];
        // What the dead program wrote is made durable before anything is made of it, by a disk that does.
        let synced = self.synced.iter_mut().filter(|_| !self.disk_fails);
        for (at, (side, synced)) in sides.iter().zip(synced).enumerate() {
            let acknowledged = self.vouched[at].clone().unwrap_or_default();
            *synced = Synced { units: side.machine.status().counters.units, acknowledged };
        }
        self.program = Some(Program { spool, sides });
    }
}
