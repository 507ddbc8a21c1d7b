//! The committed TypeScript types are those that the Rust types generate.
//!
//! `UPDATE_GENERATED=1` writes them anew.

use std::fs;
use std::path::PathBuf;

use protocol::{
    ClockDrift, InterruptionReason, ResumeKey, RoomName, SessionId, Track, UnitRange, UnitRanges, api, codec,
    control, error, room, unit,
};
use ts_rs::{Config, TS};

fn declarations() -> String {
    let config = Config::new();
    let mut text = String::from("// Generated from crates/protocol by `cargo xtask codegen`. Do not edit.\n");
    macro_rules! declare {
        ($($type:ty),* $(,)?) => {
            $(
                text.push('\n');
                if let Some(docs) = <$type as TS>::docs() {
                    text.push_str(&docs);
                }
                text.push_str("export ");
                text.push_str(&<$type as TS>::decl(&config));
                text.push('\n');
            )*
        };
    }
    declare!(
        SessionId,
        RoomName,
        ResumeKey,
        Track,
        UnitRange,
        UnitRanges,
        unit::Lane,
        codec::Base64,
        codec::CodecParameters,
        codec::Params,
        error::ErrorCode,
        error::ErrorBody,
        control::Device,
        control::EventKind,
        ClockDrift,
        InterruptionReason,
        control::Event,
        control::Hello,
        control::Finish,
        control::PublisherMessage,
        control::Limits,
        control::Welcome,
        control::ServerMessage,
        api::SessionStatus,
        api::TrackState,
        api::Session,
        api::SessionList,
        api::Health,
        api::ServerKey,
        api::Ready,
        room::ViewerId,
        room::ViewerMessage,
        room::Rights,
        room::RoomTrack,
        room::RoomSession,
        room::Room,
        room::ChatMessage,
        room::RoomMessage,
        room::RoomList,
        room::Viewer,
        room::ViewerList,
        room::BanRequest,
        room::Role,
        room::TokenRequest,
        room::IssuedToken,
        room::TokenBan,
        room::TokenBanList,
        room::AuditAction,
        room::AuditEntry,
        room::AuditList,
    );
    text
}

#[test]
fn the_committed_types_are_current() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../ui/src/lib/protocol/types.ts");
    let generated = declarations();
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folder can be made");
        fs::write(&path, &generated).expect("the file can be written");
    }
    let committed = fs::read_to_string(&path).expect("ui/src/lib/protocol/types.ts exists");
    assert!(committed == generated, "ui/src/lib/protocol/types.ts is stale; run `cargo xtask codegen`");
}
