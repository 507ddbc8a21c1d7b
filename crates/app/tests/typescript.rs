//! The committed TypeScript types are those that the Rust types generate.
//!
//! `UPDATE_GENERATED=1` writes them anew.

use std::fs;
use std::path::PathBuf;

use app::api::{
    Arrival, Condition, ConnectionReport, ConnectionStep, DeviceList, DeviceOption, Input, Invitation, Level,
    Problem, ProblemCode, Quality, QualityPreset, RoomPhase, RoomView, Session, SessionPhase, Settings,
    SettingsChange, Source, State, StepName, StepOutcome, TokenChange, Track, TrackPhase, Unfinished,
    UnfinishedPhase, Update, WhenFull, WhenSlow,
};
use ts_rs::{Config, TS};

fn declarations() -> String {
    let config = Config::new();
    let mut text = String::from(
        "// Generated from crates/app by `cargo xtask codegen`. Do not edit.\n\
         import type { ChatMessage, ClockDrift, RoomName, RoomSession, SessionId, ViewerId } from '../protocol/types';\n",
    );
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
        Update,
        State,
        Level,
        Input,
        Source,
        Condition,
        DeviceOption,
        DeviceList,
        Session,
        SessionPhase,
        Track,
        TrackPhase,
        Arrival,
        RoomView,
        RoomPhase,
        Settings,
        SettingsChange,
        TokenChange,
        WhenSlow,
        WhenFull,
        Quality,
        QualityPreset,
        Invitation,
        ConnectionReport,
        ConnectionStep,
        StepName,
        StepOutcome,
        Problem,
        ProblemCode,
        Unfinished,
        UnfinishedPhase,
    );
    text
}

#[test]
fn the_committed_types_are_current() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../ui/src/lib/platform/types.ts");
    let generated = declarations();
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folder can be made");
        fs::write(&path, &generated).expect("the file can be written");
    }
    let committed = fs::read_to_string(&path).expect("ui/src/lib/platform/types.ts exists");
    assert!(committed == generated, "ui/src/lib/platform/types.ts is stale; run `cargo xtask codegen`");
}
