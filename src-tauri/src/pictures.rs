//! The preview's way to the screen: the newest picture, as soon as there is credit for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use app::App;
use app::api::{PictureHeader, Problem, ProblemCode};
use app::preview::{Credit, Grant, packed};
use tauri::ipc::{Channel, InvokeResponseBody};

/// How often the thread looks whether it is still wanted while no picture comes.
const PATIENCE: Duration = Duration::from_millis(250);

/// The screen that is shown pictures. There is one: one that is loaded anew takes the place of the one before.
#[derive(Default)]
pub struct Pictures(Mutex<Arc<Show>>);

/// What the screen and the thread share.
#[derive(Default)]
struct Show {
    credit: Mutex<Credit>,
    is_over: AtomicBool,
}

impl Pictures {
    /// Sends pictures to this channel from now on.
    pub(crate) fn send_to(&self, app: App, channel: Channel<InvokeResponseBody>) -> Result<(), Problem> {
        let show = Arc::new(Show::default());
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        current.is_over.store(true, Ordering::Relaxed);
        *current = Arc::clone(&show);
        let thread = thread::Builder::new().name("preview".to_owned());
        let spawned = thread.spawn(move || run(&app, &channel, &show));
        spawned.map(drop).map_err(|error| {
            let message = format!("The preview cannot start: {error}. Close other programs.");
            Problem::passing(ProblemCode::Internal, message)
        })
    }

    /// The screen has shown a picture.
    pub(crate) fn shown(&self, sequence: u64) {
        let current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        current.credit.lock().unwrap_or_else(PoisonError::into_inner).shown(sequence);
    }
}

fn run(app: &App, channel: &Channel<InvokeResponseBody>, show: &Show) {
    let (preview, started) = (app.preview(), Instant::now());
    while !show.is_over.load(Ordering::Relaxed) {
        let Some(frame) = preview.wait(PATIENCE) else { continue };
        let mut credit = show.credit.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Grant { sequence, shrink }) = credit.take(started.elapsed()) else { continue };
        drop(credit);
        let header = PictureHeader {
            sequence,
            captured_unix_us: app.unix_us(frame.capture_us),
            width: 0,
            height: 0,
            frames_captured: preview.frames(),
        };
        if channel.send(InvokeResponseBody::Raw(packed(header, &frame.picture, shrink))).is_err() {
            return;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::rehearsal;

    #[test]
    fn pictures_come_one_by_one_as_there_is_credit_and_end_with_the_next_screen() {
        let (app, _folder) = rehearsal::app();
        let pictures = Pictures::default();
        let listen = || {
            let (sent, shown) = mpsc::channel::<Vec<u8>>();
            let channel = Channel::new(move |body| {
                let InvokeResponseBody::Raw(bytes) = body else { panic!("a picture is bytes") };
                sent.send(bytes).ok();
                Ok(())
            });
            (channel, shown)
        };
        let number = |bytes: &[u8], at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        let (channel, first) = listen();
        pictures.send_to(app.clone(), channel).unwrap();
        let (mut captured_unix_us, mut frames) = (0, 0);
        for sequence in 1..=10 {
            let picture = first.recv().unwrap();
            assert_eq!(number(&picture, 0), sequence);
            assert!(number(&picture, 8) > captured_unix_us && number(&picture, 24) > frames);
            (captured_unix_us, frames) = (number(&picture, 8), number(&picture, 24));
            let side = |at: usize| u32::from_le_bytes(picture[at..at + 4].try_into().unwrap()) as usize;
            assert_eq!(picture.len(), 32 + side(16) * side(20) * 3 / 2);
            pictures.shown(sequence);
        }

        let (channel, second) = listen();
        pictures.send_to(app, channel).unwrap();
        assert_eq!(number(&second.recv().unwrap(), 0), 1);
        // Its end is in its being dropped.
        while first.recv().is_ok() {}
    }
}
