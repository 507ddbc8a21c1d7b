//! What runs went through: a simulation in which nothing goes wrong would prove nothing.

/// Sums over a run, or over many.
#[derive(Debug, Default, Clone)]
pub(crate) struct Outcome {
    pub(crate) steps: u64,
    pub(crate) units: u64,
    pub(crate) repeated_units: u64,
    pub(crate) lost_units: u64,
    pub(crate) unwitnessed_units: u64,
    pub(crate) reconnects: u64,
    pub(crate) server_crashes: u64,
    pub(crate) publisher_crashes: u64,
    pub(crate) server_disk_errors: u64,
    pub(crate) superseded: u64,
    /// Hellos and messages of connections that the publisher had given up before.
    pub(crate) late_hellos: u64,
    pub(crate) late_messages: u64,
    pub(crate) audio_checks: u64,
    pub(crate) live_checks: u64,
}

impl Outcome {
    pub(crate) fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        self.units += other.units;
        self.repeated_units += other.repeated_units;
        self.lost_units += other.lost_units;
        self.unwitnessed_units += other.unwitnessed_units;
        self.reconnects += other.reconnects;
        self.server_crashes += other.server_crashes;
        self.publisher_crashes += other.publisher_crashes;
        self.server_disk_errors += other.server_disk_errors;
        self.superseded += other.superseded;
        self.late_hellos += other.late_hellos;
        self.late_messages += other.late_messages;
        self.audio_checks += other.audio_checks;
        self.live_checks += other.live_checks;
    }
}
