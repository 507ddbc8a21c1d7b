//! Which tokens are kept out, of a room or of everything. Pure.

use std::collections::BTreeMap;

use protocol::RoomName;
use protocol::room::{TokenBan, TokenId};

/// All bans of tokens.
#[derive(Debug, Default)]
pub(super) struct TokenBans(BTreeMap<(TokenId, Option<String>), TokenBan>);

impl TokenBans {
    pub(super) fn new(bans: impl IntoIterator<Item = TokenBan>) -> Self {
        let mut all = Self::default();
        bans.into_iter().for_each(|ban| all.insert(ban));
        all
    }

    pub(super) fn insert(&mut self, ban: TokenBan) {
        self.0.insert((ban.token, ban.room.clone().map(String::from)), ban);
    }

    /// Says whether there was such a ban.
    pub(super) fn lift(&mut self, token: TokenId, room: Option<&RoomName>) -> bool {
        self.0.remove(&(token, room.map(|room| room.to_string()))).is_some()
    }

    /// Whether the token opens nothing any more.
    pub(super) fn is_revoked(&self, token: TokenId, unix_ms: u64) -> bool {
        self.0.get(&(token, None)).is_some_and(|ban| holds(ban, unix_ms))
    }

    /// The rooms that the token is kept out of.
    pub(super) fn rooms(&self, token: TokenId, unix_ms: u64) -> Vec<RoomName> {
        let bans = self.0.range((token, None)..).take_while(|((of, _), _)| *of == token);
        bans.filter(|(_, ban)| holds(ban, unix_ms)).filter_map(|(_, ban)| ban.room.clone()).collect()
    }

    /// All that hold, by token and room.
    pub(super) fn all(&self, unix_ms: u64) -> impl Iterator<Item = &TokenBan> {
        self.0.values().filter(move |ban| holds(ban, unix_ms))
    }

    /// Takes in revocations that somebody else has stored; gives those that are new. Nothing lifts one, so that what is stored holds,
    /// whatever is under way here.
    pub(super) fn learn(&mut self, stored: Vec<TokenBan>) -> Vec<TokenBan> {
        let is_new = |ban: &TokenBan| ban.room.is_none() && !self.0.contains_key(&(ban.token, None));
        let news: Vec<TokenBan> = stored.into_iter().filter(is_new).collect();
        news.iter().for_each(|ban| self.insert(ban.clone()));
        news
    }
}

fn holds(ban: &TokenBan, unix_ms: u64) -> bool {
    ban.until_unix_ms.is_none_or(|until| unix_ms < until)
}

#[cfg(test)]
mod tests {
    use protocol::Hex;

    use super::*;

    #[test]
    fn a_token_is_kept_out_of_one_room_or_revoked() {
        let (studio, stage): (RoomName, RoomName) = ("studio".parse().unwrap(), "stage".parse().unwrap());
        let (one, other) = (Hex([1; 16]), Hex([2; 16]));
        let ban = |token, room: Option<&RoomName>, until_unix_ms| TokenBan {
            token,
            room: room.cloned(),
            until_unix_ms,
        };
        let first =
            vec![ban(one, Some(&studio), None), ban(one, Some(&stage), Some(100)), ban(other, None, None)];
        let mut bans = TokenBans::new(first.clone());
        assert_eq!((bans.is_revoked(one, 0), bans.is_revoked(other, 0)), (false, true));
        assert_eq!(bans.rooms(one, 99), [stage.clone(), studio.clone()]);
        assert_eq!(bans.rooms(one, 100), std::slice::from_ref(&studio));
        assert_eq!(bans.rooms(other, 0), []);
        assert_eq!((bans.all(99).count(), bans.all(100).count()), (3, 2));
        assert!(bans.lift(one, Some(&studio)) && !bans.lift(one, Some(&studio)) && !bans.lift(one, None));
        let revoked = ban(one, None, None);
        let stored = vec![first[0].clone(), first[2].clone(), revoked.clone()];
        assert_eq!(bans.learn(stored.clone()), [revoked], "a lifted ban does not come back");
        assert_eq!(bans.learn(stored), []);
        assert!(bans.is_revoked(one, 0));
    }
}
