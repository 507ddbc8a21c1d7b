//! What the screen is told, on a channel that it gave.

use std::sync::{Mutex, PoisonError};

use app::App;
use app::api::Update;
use tauri::async_runtime::{self, JoinHandle};
use tauri::ipc::Channel;

/// The screen that is told. There is one: one that is loaded anew takes the place of the one before.
#[derive(Default)]
pub struct Updates(Mutex<Option<JoinHandle<()>>>);

impl Updates {
    /// Tells this channel from now on, beginning with the present state.
    pub(crate) fn tell(&self, app: App, channel: Channel<Update>) {
        let task = async_runtime::spawn(tell(app, channel));
        if let Some(before) = self.0.lock().unwrap_or_else(PoisonError::into_inner).replace(task) {
            before.abort();
        }
    }
}

async fn tell(app: App, channel: Channel<Update>) {
    let (mut state, mut levels, mut room) = (app.state(), app.levels(), app.room());
    state.mark_changed();
    room.mark_changed();
    loop {
        let update = tokio::select! {
            // A level may be there already when the first state is told, which comes first all the same.
            biased;
            Ok(()) = state.changed() => Update::State(Box::new(state.borrow_and_update().clone())),
            Ok(()) = room.changed() => Update::Room(room.borrow_and_update().clone().map(Box::new)),
            Ok(()) = levels.changed() => Update::Level(*levels.borrow_and_update()),
            // The app has ended.
            else => return,
        };
        if channel.send(update).is_err() {
            return;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::mpsc;

    use serde_json::Value;
    use tauri::ipc::InvokeResponseBody;

    use super::*;
    use crate::rehearsal;

    #[test]
    fn a_screen_is_told_the_state_first_then_the_room_and_levels_as_they_come_until_another_takes_its_place()
    {
        let (app, _folder) = rehearsal::app();
        let updates = Updates::default();
        let listen = || {
            let (told, updates) = mpsc::channel::<Value>();
            let channel = Channel::new(move |body| {
                let InvokeResponseBody::Json(json) = body else { panic!("an update is JSON") };
                told.send(serde_json::from_str(&json)?).ok();
                Ok(())
            });
            (channel, updates)
        };
        let (channel, first) = listen();
        updates.tell(app.clone(), channel);
        let update = first.recv().unwrap();
        assert_eq!(update["kind"], "state");
        assert_eq!(update["content"]["version"], "0.0.0");
        assert!(first.iter().any(|update| update["kind"] == "room" && update["content"].is_null()));
        assert!(first.iter().any(|update| update["kind"] == "level"));

        let (channel, second) = listen();
        updates.tell(app, channel);
        assert_eq!(second.recv().unwrap()["kind"], "state");
        // Its end is in its being dropped.
        while first.recv().is_ok() {}
    }
}
