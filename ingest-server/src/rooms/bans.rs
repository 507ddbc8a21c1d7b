//! Who may not come back. Pure.

use std::collections::HashMap;

use protocol::RoomName;
use protocol::room::ViewerId;

/// A viewer who may not be in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ban {
    /// The room.
    pub room: RoomName,
    /// Who.
    pub viewer: ViewerId,
    /// Until when, in ms since 1970; without it, for good.
    pub until_unix_ms: Option<u64>,
}

/// All bans.
#[derive(Debug, Default)]
pub(super) struct Bans(HashMap<(RoomName, ViewerId), Option<u64>>);

impl Bans {
    pub(super) fn new(bans: impl IntoIterator<Item = Ban>) -> Self {
        let mut all = Self::default();
        bans.into_iter().for_each(|ban| all.insert(ban));
        all
    }

    pub(super) fn insert(&mut self, ban: Ban) {
        self.0.insert((ban.room, ban.viewer), ban.until_unix_ms);
    }

    /// Says whether there was such a ban.
    pub(super) fn lift(&mut self, room: &RoomName, viewer: &ViewerId) -> bool {
        self.0.remove(&(room.clone(), viewer.clone())).is_some()
    }

    pub(super) fn holds(&self, room: &RoomName, viewer: &ViewerId, unix_ms: u64) -> bool {
        let until = self.0.get(&(room.clone(), viewer.clone()));
        until.is_some_and(|until| until.is_none_or(|until| unix_ms < until))
    }

    /// Forgets bans that have ended.
    pub(super) fn expire(&mut self, unix_ms: u64) {
        self.0.retain(|_, until| until.is_none_or(|until| unix_ms < until));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ban_holds_for_one_viewer_in_one_room_until_it_ends() {
        let (studio, stage): (RoomName, RoomName) = ("studio".parse().unwrap(), "stage".parse().unwrap());
        let (one, other) = (ViewerId::from_bytes([1; 16]), ViewerId::from_bytes([2; 16]));
        let ban = |viewer: &ViewerId, until_unix_ms| Ban {
            room: studio.clone(),
            viewer: viewer.clone(),
            until_unix_ms,
        };
        let mut bans = Bans::new([ban(&one, None), ban(&other, Some(100))]);
        for (room, viewer, unix_ms, expected) in [
            (&studio, &one, 0, true),
            (&studio, &one, u64::MAX, true),
            (&stage, &one, 0, false),
            (&studio, &other, 99, true),
            (&studio, &other, 100, false),
        ] {
            assert_eq!(bans.holds(room, viewer, unix_ms), expected, "{room} {viewer} {unix_ms}");
        }
        bans.expire(100);
        assert!(!bans.lift(&studio, &other) && bans.lift(&studio, &one));
        assert!(!bans.holds(&studio, &one, 0));
    }
}
