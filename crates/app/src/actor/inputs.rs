//! The camera and the microphone: which one, and how it is.

use std::sync::mpsc::Receiver;
use std::thread;
use std::time::Instant;

use capture::{CameraChoice, CameraInput, DeviceError, InputEvent, MicrophoneChoice, MicrophoneInput};
use protocol::Track;
use session::sources::{self, Chosen, Kind as _, SourceArgument};
use tokio::sync::{mpsc, watch};

use super::{Actor, Job};
use crate::api::{Condition, Input, Level, Source};
use crate::meter::{Meter, SILENCE};

/// What is chosen for a track, and what has come of it.
#[derive(Debug)]
pub(super) struct Slot {
    source: Source,
    name: Option<String>,
    on: bool,
    condition: Condition,
    /// Rises with each choice, so that what an earlier one has led to is not taken for this one's.
    generation: u64,
}

impl Slot {
    pub(super) fn new(source: &Source) -> Self {
        Self { source: source.clone(), name: None, on: true, condition: Condition::Closed, generation: 0 }
    }

    pub(super) fn shown(&self) -> Input {
        let Self { source, name, on, condition, .. } = self;
        Input { source: source.clone(), name: name.clone(), on: *on, condition: condition.clone() }
    }

    /// Whether it is wanted at all.
    pub(super) fn is_wanted(&self) -> bool {
        argument(&self.source) != SourceArgument::None
    }

    pub(super) fn name(&self) -> Option<String> {
        self.name.clone()
    }

    pub(super) const fn is_on(&self) -> bool {
        self.on
    }

    fn choose(&mut self, source: Source) -> u64 {
        *self = Self { on: self.on, generation: self.generation + 1, ..Self::new(&source) };
        if self.is_wanted() && self.on {
            self.condition = Condition::Opening;
        }
        self.generation
    }

    fn follow(&mut self, event: InputEvent) {
        let why = |error: &DeviceError| error.into();
        match event {
            InputEvent::Opened { name, .. } => {
                (self.name, self.condition) = (Some(name), Condition::Delivering);
            }
            InputEvent::Restored { .. } => self.condition = Condition::Delivering,
            InputEvent::NotOpened { error, .. } | InputEvent::Ended { error: Some(error), .. } => {
                self.condition = Condition::Failed { problem: why(&error) };
            }
            InputEvent::Lost { error, .. } => self.condition = Condition::Lost { problem: why(&error) },
            InputEvent::Off { .. } | InputEvent::Ended { error: None, .. } => {
                self.condition = Condition::Closed;
            }
            _ => {}
        }
    }
}

fn argument(source: &Source) -> SourceArgument {
    // Any text names a source.
    let Ok(argument) = source.as_text().parse();
    argument
}

impl Actor {
    fn slot(&mut self, track: Track) -> &mut Slot {
        match track {
            Track::Video => &mut self.camera,
            Track::Audio => &mut self.microphone,
        }
    }

    /// Opens the camera and the microphone that the settings name.
    pub(crate) fn open_inputs(&mut self) {
        self.open_camera();
        self.open_microphone();
    }

    /// Opens the camera that is chosen, in the size that is chosen. What runs is switched.
    pub(super) fn open_camera(&mut self) {
        let source = self.overrides.camera.as_ref().unwrap_or(&self.choices.camera).clone();
        let asked = argument(&source);
        let generation = self.camera.choose(source);
        // Listing devices may take long.
        let choose = move || sources::choose::<CameraChoice>(asked, CameraChoice::list);
        self.outside(choose, move |actor, chosen| {
            if actor.camera.generation == generation {
                actor.set_camera(chosen);
            }
        });
    }

    fn set_camera(&self, chosen: Chosen<CameraChoice>) {
        let quality = self.choices.quality;
        remark(chosen.remark.as_deref());
        self.inputs.set_camera(chosen.choice.map(|camera| CameraInput {
            camera,
            width: quality.width,
            height: quality.height,
            fps: quality.fps,
        }));
    }

    /// Opens the microphone that is chosen. What runs is switched.
    pub(super) fn open_microphone(&mut self) {
        let source = self.overrides.microphone.as_ref().unwrap_or(&self.choices.microphone).clone();
        let asked = argument(&source);
        let generation = self.microphone.choose(source);
        let choose = move || sources::choose::<MicrophoneChoice>(asked, MicrophoneChoice::list);
        self.outside(choose, move |actor, chosen| {
            if actor.microphone.generation == generation {
                remark(chosen.remark.as_deref());
                let channels = actor.choices.quality.channels;
                let input = chosen.choice.map(|microphone| MicrophoneInput { microphone, channels });
                actor.inputs.set_microphone(input);
            }
        });
    }

    /// Switches the camera off or on.
    pub(crate) fn set_camera_on(&mut self, on: bool) {
        if self.camera.on == on {
            return;
        }
        self.camera.on = on;
        if on && self.camera.is_wanted() {
            self.camera.condition = Condition::Opening;
        }
        self.inputs.set_camera_on(on);
    }

    /// Mutes the microphone or ends that.
    pub(crate) fn set_muted(&mut self, muted: bool) {
        if self.microphone.on != muted {
            return;
        }
        self.microphone.on = !muted;
        self.inputs.set_muted(muted);
        self.tell_mute();
    }
}

fn remark(text: Option<&str>) {
    if let Some(text) = text {
        tracing::info!("{text}");
    }
}

/// Hands on what happens to the devices, on a thread of its own, until there are no more: levels to whoever watches
/// them, everything else to the actor.
///
/// # Errors
/// The system's, when it refuses a thread.
pub(crate) fn listen(
    events: Receiver<InputEvent>,
    jobs: mpsc::WeakSender<Job>,
    levels: watch::Sender<Level>,
) -> std::io::Result<()> {
    let body = move || {
        let (mut meter, started) = (Meter::default(), Instant::now());
        for event in events {
            let track = match &event {
                InputEvent::Level(level) => {
                    if let Some(level) = meter.take(*level, started.elapsed()) {
                        levels.send_replace(level);
                    }
                    continue;
                }
                InputEvent::Opened { track, .. }
                | InputEvent::NotOpened { track, .. }
                | InputEvent::Lost { track, .. }
                | InputEvent::Restored { track, .. }
                | InputEvent::Off { track }
                | InputEvent::Ended { track, .. } => *track,
                _ => continue,
            };
            if track == Track::Audio {
                // Nothing may come any more.
                levels.send_replace(SILENCE);
            }
            let Some(jobs) = jobs.upgrade() else { return };
            if jobs.blocking_send(Box::new(move |actor| actor.slot(track).follow(event))).is_err() {
                return;
            }
        }
    };
    thread::Builder::new().name("input events".to_owned()).spawn(body).map(drop)
}

#[cfg(test)]
mod tests {
    use capture::DeviceKind;

    use super::*;
    use crate::api::ProblemCode;

    const TRACK: Track = Track::Video;

    fn condition(slot: &Slot) -> (&'static str, Option<ProblemCode>) {
        match &slot.condition {
            Condition::Closed => ("closed", None),
            Condition::Opening => ("opening", None),
            Condition::Delivering => ("delivering", None),
            Condition::Lost { problem } => ("lost", Some(problem.code)),
            Condition::Failed { problem } => ("failed", Some(problem.code)),
        }
    }

    #[test]
    fn a_device_is_followed_through_loss_and_return() {
        let mut slot = Slot::new(&Source::Auto);
        slot.choose(Source::Device { id: "usb".into() });
        assert_eq!(condition(&slot), ("opening", None));
        let kind = DeviceKind::Camera;
        for (event, expected) in [
            (
                InputEvent::NotOpened { track: TRACK, error: DeviceError::Busy(kind) },
                ("failed", Some(ProblemCode::DeviceBusy)),
            ),
            (InputEvent::Opened { track: TRACK, name: "USB".into() }, ("delivering", None)),
            (
                InputEvent::Lost { track: TRACK, error: DeviceError::Unplugged(kind) },
                ("lost", Some(ProblemCode::DeviceUnplugged)),
            ),
            (InputEvent::Restored { track: TRACK, away_us: 1 }, ("delivering", None)),
            (InputEvent::Off { track: TRACK }, ("closed", None)),
            (InputEvent::Ended { track: TRACK, error: None }, ("closed", None)),
        ] {
            slot.follow(event);
            assert_eq!(condition(&slot), expected);
        }
        assert_eq!(slot.shown().name.as_deref(), Some("USB"));
    }

    #[test]
    fn a_new_choice_forgets_the_device_before_but_not_that_it_is_off() {
        let mut slot = Slot::new(&Source::Auto);
        slot.follow(InputEvent::Opened { track: TRACK, name: "USB".into() });
        slot.on = false;
        let first = slot.choose(Source::Synthetic);
        assert_eq!((slot.shown().name, slot.on, condition(&slot).0), (None, false, "closed"));
        assert!(slot.choose(Source::from_text("none")) > first);
        assert!(!slot.is_wanted());
    }
}
