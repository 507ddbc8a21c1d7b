//! How either side dies, and how connections end.

use ingest_server::ingest::ConnectionId;
use publisher::track::SocketEvent;

use crate::network::Up;
use crate::scenario::Death;
use crate::world::{Event, World};

impl World {
    /// One more input or output is done. Says whether somebody has died of it.
    pub(crate) fn is_fatal(&mut self) -> bool {
        self.step += 1;
        self.outcome.steps += 1;
        let mut somebody_died = false;
        if let Some(&(at, away)) = self.scenario.server_crashes.first()
            && self.step >= at
            && self.ingests.is_some()
        {
            self.scenario.server_crashes.remove(0);
            self.crash_server();
            self.at(self.now + away, Event::ServerRestart);
            somebody_died = true;
        }
        if let Some(&(at, death, away)) = self.scenario.publisher_crashes.first()
            && self.step >= at
            && self.publisher.program.is_some()
        {
            self.scenario.publisher_crashes.remove(0);
            self.crash_publisher(death);
            self.at(self.now + away, Event::PublisherRestart);
            somebody_died = true;
        }
        somebody_died
    }

    /// The publisher gives a connection up. Its system goes on sending what was written, or says that it is gone, or
    /// nothing.
    pub(crate) fn abandon(&mut self, id: u64) {
        match self.rng.u8(0..4) {
            0 => self.network.cut(id),
            1 => {
                self.network.cut(id);
                if let Some(connection) = self.connections.get_mut(&id)
                    && self.network.weather.outage_at(self.now).is_none()
                {
                    connection.server_open = false;
                    let track = connection.track;
                    if let Some(ingests) = &mut self.ingests {
                        ingests[track as usize].disconnect(ConnectionId(id));
                    }
                }
            }
            _ => self.network.write(self.now, id, 60, Up::Gone),
        }
    }

    /// The device's network goes: its system closes all connections, and the server hears nothing.
    pub(crate) fn reset(&mut self) {
        let Some(program) = &mut self.publisher.program else { return };
        for side in &mut program.sides {
            if let Some(id) = side.current {
                self.network.cut(id);
                side.is_open = false;
                let reason = "the network is unreachable".into();
                side.machine.socket(self.now, SocketEvent::Closed { code: None, reason });
            }
        }
    }

    fn crash_server(&mut self) {
        self.outcome.server_crashes += 1;
        self.watch.disturbances += 1;
        self.watch.died_at = self.now;
        self.ingests = None;
        self.heard.clear();
        for (disk, made) in self.disks.iter_mut().zip(&self.made) {
            disk.crash(&mut self.rng, self.now, made);
        }
        // The system of a killed program resets its connections; that of a dead machine says nothing.
        let says_so = self.rng.bool();
        for (id, connection) in std::mem::take(&mut self.connections) {
            if says_so && let Some(at) = self.network.down(self.now, id) {
                let reason = "connection reset".into();
                self.at(at, Event::Down(id, SocketEvent::Closed { code: None, reason }));
            }
            self.network.cut(id);
            // One that is being opened goes on.
            let is_opening = self.publisher.owner(id).is_some() && !connection.greeted;
            if is_opening {
                self.connections.insert(id, connection);
            }
        }
    }

    fn crash_publisher(&mut self, death: Death) {
        self.outcome.publisher_crashes += 1;
        self.watch.disturbances += 1;
        self.watch.died_at = self.now;
        self.is_recording = false;
        let sides = self.publisher.program.as_ref().map(|program| &program.sides);
        let ids: Vec<u64> = sides.into_iter().flatten().filter_map(|side| side.current).collect();
        for id in ids {
            match death {
                Death::Kill => self.abandon(id),
                Death::PowerCut => self.network.cut(id),
            }
        }
        self.publisher.die(&mut self.rng, death);
    }
}
