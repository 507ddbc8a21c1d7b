//! What a request may do. Pure.

use protocol::RoomName;
use protocol::error::{ErrorBody, ErrorCode};
use protocol::room::{Rights, Role, TokenId, TokenRequest, ViewerId};

use crate::rooms::shown_name;

/// How long a token lasts that is asked for without a time, and how long at the most.
const DEFAULT_TOKEN_S: u32 = 24 * 3_600;
const MAX_TOKEN_S: u32 = 366 * 24 * 3_600;

/// What a request's credentials allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// What it may do.
    pub role: Role,
    /// In which room; without one, in all.
    pub room: Option<RoomName>,
    /// Which viewer it is, if its token is one that a room gave it.
    pub viewer: Option<ViewerId>,
    /// The token that was given out: the one that is shown, or, with a viewer's, the one by which that came. None if it was the
    /// shared one, or none was asked for.
    pub token: Option<TokenId>,
    /// The rooms that the token is kept out of.
    pub barred: Vec<RoomName>,
    /// By what name the audit log knows it.
    pub name: String,
    /// When it ends, in ms since 1970.
    pub ends_unix_ms: Option<u64>,
}

impl Grant {
    /// Everything, everywhere, for good.
    #[must_use]
    pub fn everything(name: &str) -> Self {
        Self {
            role: Role::Administer,
            room: None,
            viewer: None,
            token: None,
            barred: Vec::new(),
            name: name.to_owned(),
            ends_unix_ms: None,
        }
    }

    /// What a new token allows, asked for at `unix_ms` by somebody whose own grant ends at `at_the_latest`: nobody gives
    /// away what it will not have itself.
    ///
    /// # Errors
    /// [`ErrorCode::BadRequest`] for a token that lasts no time or longer than a year, or a bad name.
    pub fn issued(
        request: &TokenRequest,
        unix_ms: u64,
        at_the_latest: Option<u64>,
    ) -> Result<Self, ErrorBody> {
        let refused = |message: String| Err(ErrorBody::new(ErrorCode::BadRequest, message));
        let lasts_s = request.lasts_s.unwrap_or(DEFAULT_TOKEN_S);
        if !(1..=MAX_TOKEN_S).contains(&lasts_s) {
            return refused(format!("a token lasts from 1 s to {MAX_TOKEN_S} s, a year"));
        }
        let name = match &request.name {
            None => uuid::Uuid::now_v7().simple().to_string(),
            Some(name) => shown_name(name)?,
        };
        let ends = unix_ms + u64::from(lasts_s) * 1_000;
        let ends_unix_ms = Some(at_the_latest.map_or(ends, |latest| latest.min(ends)));
        Ok(Self { role: request.role, room: request.room.clone(), ends_unix_ms, ..Self::everything(&name) })
    }

    /// Whether it may watch the room.
    ///
    /// # Errors
    /// [`ErrorCode::Forbidden`].
    pub fn may_view(&self, room: &RoomName) -> Result<(), ErrorBody> {
        self.may(Role::View, Some(room))
    }

    /// Whether it may publish to the room.
    ///
    /// # Errors
    /// [`ErrorCode::Forbidden`].
    pub fn may_publish(&self, room: &RoomName) -> Result<(), ErrorBody> {
        self.may(Role::Publish, Some(room))
    }

    /// Whether it may moderate the room; without one, every room.
    ///
    /// # Errors
    /// [`ErrorCode::Forbidden`].
    pub fn may_administer(&self, room: Option<&RoomName>) -> Result<(), ErrorBody> {
        self.may(Role::Administer, room)
    }

    /// Whether it may make a token of this role for this room, or for all. Who publishes may invite viewers to one room;
    /// who administers may give away what it has.
    ///
    /// # Errors
    /// [`ErrorCode::Forbidden`].
    pub fn may_issue(&self, role: Role, room: Option<&RoomName>) -> Result<(), ErrorBody> {
        match (role, room) {
            (Role::View, Some(room)) => self.may_publish(room),
            _ => self.may_administer(room),
        }
    }

    /// What it may do in the room besides watching.
    #[must_use]
    pub fn rights(&self, room: &RoomName) -> Rights {
        Rights {
            publish: self.may_publish(room).is_ok(),
            administer: self.may_administer(Some(room)).is_ok(),
        }
    }

    fn may(&self, role: Role, room: Option<&RoomName>) -> Result<(), ErrorBody> {
        if room.is_some_and(|room| self.barred.contains(room)) {
            return Err(barred());
        }
        let refused = |message: String| Err(ErrorBody::new(ErrorCode::Forbidden, message));
        if self.role < role {
            let (has, needs) = (self.role.name(), role.name());
            return refused(format!(
                "the token's role is {has}, and this needs {needs}; ask for another token"
            ));
        }
        match &self.room {
            Some(own) if room != Some(own) => refused(format!("the token is for room {own} only")),
            _ => Ok(()),
        }
    }
}

/// To whoever shows a token that is kept out of the room.
pub(crate) fn barred() -> ErrorBody {
    let message = "who moderates this room has banned the token from it; ask for another one";
    ErrorBody::new(ErrorCode::Removed, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(role: Role, room: Option<&str>) -> Grant {
        Grant { role, room: room.map(|room| room.parse().unwrap()), ..Grant::everything("test") }
    }

    #[test]
    fn a_role_may_what_lower_ones_may_and_a_room_bounds_all_of_it() {
        use Role::{Administer, Publish, View};
        let (studio, stage) = ("studio".parse().unwrap(), "stage".parse().unwrap());
        // May: view studio, publish to studio, administer studio, view the stage, administer everything.
        for (role, room, expected) in [
            (View, None, [true, false, false, true, false]),
            (Publish, None, [true, true, false, true, false]),
            (Administer, None, [true, true, true, true, true]),
            (View, Some("studio"), [true, false, false, false, false]),
            (Publish, Some("studio"), [true, true, false, false, false]),
            (Administer, Some("studio"), [true, true, true, false, false]),
            (Administer, Some("stage"), [false, false, false, true, false]),
        ] {
            let grant = grant(role, room);
            let found = [
                grant.may_view(&studio),
                grant.may_publish(&studio),
                grant.may_administer(Some(&studio)),
                grant.may_view(&stage),
                grant.may_administer(None),
            ];
            assert_eq!(found.each_ref().map(Result::is_ok), expected, "{role:?} {room:?}");
            for refused in found.into_iter().filter_map(Result::err) {
                assert_eq!((refused.code, refused.retryable), (ErrorCode::Forbidden, false));
            }
            let rights = grant.rights(&studio);
            assert_eq!((rights.publish, rights.administer), (expected[1], expected[2]));
        }
    }

    #[test]
    fn a_token_ends_with_its_issuer_and_lasts_a_day_unless_told_otherwise() {
        let request = |lasts_s, name: Option<&str>| TokenRequest {
            role: Role::View,
            room: None,
            lasts_s,
            name: name.map(str::to_owned),
        };
        for (lasts_s, latest, ends) in [
            (None, None, Some(86_401_000)),
            (Some(60), None, Some(61_000)),
            (Some(60), Some(30_000), Some(30_000)),
            (Some(60), Some(u64::MAX), Some(61_000)),
            (Some(0), None, None),
            (Some(MAX_TOKEN_S + 1), None, None),
        ] {
            let issued = Grant::issued(&request(lasts_s, None), 1_000, latest).ok();
            assert_eq!(issued.and_then(|grant| grant.ends_unix_ms), ends, "{lasts_s:?} {latest:?}");
        }
        let named =
            |name: &str| Grant::issued(&request(None, Some(name)), 0, None).ok().map(|grant| grant.name);
        assert_eq!(named(" Anna\nfrom \u{202e}the stage").as_deref(), Some("Anna from the stage"));
        assert_eq!((named(""), named(&"a".repeat(41))), (None, None));
        let drawn = || Grant::issued(&request(None, None), 0, None).unwrap().name;
        assert_ne!(drawn(), drawn());
    }

    #[test]
    fn nobody_gives_away_more_than_it_has() {
        use Role::{Administer, Publish, View};
        let (studio, stage) = ("studio".parse().unwrap(), "stage".parse().unwrap());
        let rooms = [None, Some(&studio), Some(&stage)];
        // View, publish and administer tokens, each for all rooms, the studio and the stage.
        for (role, room, expected) in [
            (View, None, [[false; 3]; 3]),
            (View, Some("studio"), [[false; 3]; 3]),
            (Publish, None, [[false, true, true], [false; 3], [false; 3]]),
            (Publish, Some("studio"), [[false, true, false], [false; 3], [false; 3]]),
            (Administer, None, [[true; 3]; 3]),
            (Administer, Some("studio"), [[false, true, false]; 3]),
        ] {
            let grant = grant(role, room);
            let found = Role::ALL.map(|wanted| rooms.map(|room| grant.may_issue(wanted, room).is_ok()));
            assert_eq!(found, expected, "{role:?} {room:?}");
        }
    }
}
