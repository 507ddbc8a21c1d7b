//! What bodies and answers look like, inferred from values of the real types: what serde writes is what is described.

use std::collections::{BTreeMap, BTreeSet};

use protocol::api::{Health, Ready, ServerKey, Session, SessionList, SessionStatus, TrackState};
use protocol::certificate::{Certificate, DigestRun, Signed};
use protocol::codec::{Base64, CodecParameters};
use protocol::control::{Device, Event, EventKind};
use protocol::error::{ErrorBody, ErrorCode};
use protocol::room::{
    AuditAction, AuditEntry, AuditList, BanRequest, ChatMessage, IssuedToken, Rights, Role, Room, RoomList,
    RoomMessage, RoomSession, RoomTrack, TokenBan, TokenBanList, TokenRequest, Viewer, ViewerId, ViewerList,
    ViewerMessage,
};
use protocol::{Hex, RoomName, SessionId, Track, UnitRange, UnitRanges};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Fields whose texts are one of a list, of which the samples show every one.
const LISTED: &[&str] = &["status", "role", "action", "code", "type", "codec", "track", "kind"];

/// The schema of every named body, by name.
pub(super) fn all() -> Value {
    let schemas = samples().into_iter().map(|(name, values)| (name.to_owned(), schema(name, &values)));
    Value::Object(schemas.collect())
}

/// One example of every named body, as JSON for people.
pub(super) fn examples() -> Vec<(&'static str, String)> {
    let text = |value: &Value| serde_json::to_string_pretty(value).unwrap_or_default();
    samples().into_iter().map(|(name, values)| (name, text(&values[0]))).collect()
}

/// What all these values are instances of.
fn schema(name: &str, values: &[Value]) -> Value {
    let objects: Vec<&Map<String, Value>> = values.iter().filter_map(Value::as_object).collect();
    // Messages are told apart by their tag.
    if objects.len() > 1 && objects.iter().all(|object| object.contains_key("type")) {
        let mut kinds: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for value in values {
            kinds.entry(value["type"].to_string()).or_default().push(value.clone());
        }
        return json!({"oneOf": kinds.values().map(|values| object(values)).collect::<Vec<_>>()});
    }
    let mut types: BTreeSet<&str> = values.iter().map(type_of).collect();
    if types.contains("number") {
        types.remove("integer");
    }
    if types.contains("object") {
        let described: Vec<Value> = values.iter().filter(|value| value.is_object()).cloned().collect();
        let mut schema = object(&described);
        schema["type"] = json!(types);
        return schema;
    }
    let mut schema = json!({"type": types});
    if types.contains("array") {
        let items: Vec<Value> = values.iter().filter_map(Value::as_array).flatten().cloned().collect();
        schema["items"] = if items.is_empty() { json!({}) } else { self::schema(name, &items) };
    } else if types.contains("string") && LISTED.contains(&name) {
        let texts: BTreeSet<&str> = values.iter().filter_map(Value::as_str).collect();
        schema["enum"] = json!(texts);
    }
    schema
}

fn object(values: &[Value]) -> Value {
    let objects: Vec<&Map<String, Value>> = values.iter().filter_map(Value::as_object).collect();
    let names: BTreeSet<&String> = objects.iter().flat_map(|object| object.keys()).collect();
    let mut properties = Map::new();
    let mut required = Vec::new();
    for name in names {
        let found: Vec<Value> = objects.iter().filter_map(|object| object.get(name)).cloned().collect();
        // What may be null may be left out.
        if found.len() == objects.len() && !found.iter().any(Value::is_null) {
            required.push(name.clone());
        }
        properties.insert(name.clone(), schema(name, &found));
    }
    json!({"type": ["object"], "properties": properties, "required": required})
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn to_values<T: Serialize>(values: impl IntoIterator<Item = T>) -> Vec<Value> {
    values.into_iter().map(|value| serde_json::to_value(value).unwrap_or_default()).collect()
}

/// Values of every named body that show all of its forms; the first is the example.
fn samples() -> Vec<(&'static str, Vec<Value>)> {
    let rooms = RoomSamples::new();
    let (session, list) = sessions(&rooms);
    let signed = Signed { statement: "{…}".to_owned(), key: Hex([7; 32]), signature: Hex([8; 64]) };
    let run = |track| DigestRun { track, first_unit: 0, digests: Base64(vec![0; 16]) };
    let certificate = Certificate { certificate: signed, unit_digests: Track::ALL.map(run).to_vec() };
    let ready = Ready { ready: true, database: true, store: true, shutting_down: false };
    let errors = ErrorCode::ALL.map(|code| ErrorBody::new(code, "what happened and what to do"));
    let token = |role, room: Option<RoomName>| TokenRequest {
        role,
        lasts_s: room.as_ref().map(|_| 7_200),
        name: room.as_ref().map(|_| "Anna".to_owned()),
        room,
    };
    let mut requests = vec![token(Role::View, Some(rooms.room.clone()))];
    requests.extend(Role::ALL.map(|role| token(role, None)));
    let ban = |room, until_unix_ms| TokenBan { token: Hex([7; 16]), room, until_unix_ms };
    let bans = [ban(Some(rooms.room.clone()), Some(rooms.unix_ms)), ban(None, None)];
    let issued = IssuedToken {
        token: "eyJ0…".to_owned(),
        id: Hex([7; 16]),
        name: "Anna".to_owned(),
        ends_unix_ms: rooms.unix_ms,
    };
    vec![
        ("ErrorBody", to_values(errors)),
        ("Health", to_values([Health::ok(env!("CARGO_PKG_VERSION"))])),
        ("Ready", to_values([ready])),
        ("ServerKey", to_values([ServerKey { server_key: Hex([7; 32]) }])),
        ("Session", session),
        ("SessionList", list),
        ("Certificate", to_values([certificate])),
        ("Room", to_values([rooms.view()])),
        ("RoomList", to_values([RoomList { rooms: vec![rooms.view()] }])),
        ("ViewerList", to_values([ViewerList { viewers: rooms.viewers() }])),
        ("BanRequest", to_values([BanRequest { lasts_s: Some(600) }, BanRequest { lasts_s: None }])),
        ("TokenRequest", to_values(requests)),
        ("IssuedToken", to_values([issued])),
        ("TokenBanList", to_values([TokenBanList { bans: bans.into() }])),
        ("AuditList", to_values(rooms.audit())),
        ("ViewerMessage", to_values(rooms.viewer_messages())),
        ("RoomMessage", to_values(rooms.room_messages())),
    ]
}

/// A session with everything, and ones without, in every status.
fn sessions(rooms: &RoomSamples) -> (Vec<Value>, Vec<Value>) {
    let device =
        Device { name: "Desk".to_owned(), platform: "linux".to_owned(), app: "longtake 0.1.0".to_owned() };
    let track = |codec: CodecParameters| TrackState {
        units: 100,
        durable_units: 99,
        durable_bytes: 90_000,
        duration_ms: 2_000,
        codec_string: codec.rfc6381(),
        codec,
        connected: true,
        finished: false,
        gaps: [UnitRange::new(40, 40)].into_iter().collect(),
        lost: UnitRanges::new(),
        events: vec![Event { number: 0, at_90k: 90_000, kind: EventKind::Muted, detail: String::new() }],
    };
    let session = |status, has_tracks: bool| Session {
        id: rooms.session.id,
        room: rooms.room.clone(),
        status,
        device: device.clone(),
        started_unix_ms: rooms.unix_ms,
        last_activity_unix_ms: rooms.unix_ms,
        video: has_tracks.then(|| track(picture())),
        audio: has_tracks.then(|| track(sound())),
    };
    use SessionStatus::{Abandoned, Active, Completed, Interrupted};
    let all = [
        session(Active, true),
        session(Interrupted, false),
        session(Completed, false),
        session(Abandoned, false),
    ];
    let list = |sessions: Vec<Session>, next_before| SessionList { sessions, next_before };
    let lists = [list(vec![all[0].clone()], Some(rooms.session.id)), list(all.to_vec(), None)];
    (to_values(all), to_values(lists))
}

fn picture() -> CodecParameters {
    CodecParameters::H264 {
        width: 1_280,
        height: 720,
        frame_duration_90k: 3_000,
        avcc: Base64(vec![1, 66, 192, 31]),
    }
}

const fn sound() -> CodecParameters {
    CodecParameters::Opus { channels: 1, pre_skip_48k: 312 }
}

/// What the samples of rooms have in common.
struct RoomSamples {
    room: RoomName,
    viewer: ViewerId,
    session: RoomSession,
    chat: ChatMessage,
    unix_ms: u64,
}

impl RoomSamples {
    fn new() -> Self {
        let unix_ms = 1_700_000_000_000;
        let viewer = ViewerId::from_bytes([0x1a; 16]);
        let session = RoomSession {
            id: SessionId::v7(unix_ms, [7; 10]),
            name: "Desk".to_owned(),
            status: SessionStatus::Active,
            started_unix_ms: unix_ms,
            video: Some(RoomTrack { codec: picture(), connected: true }),
            audio: Some(RoomTrack { codec: sound(), connected: true }),
        };
        let chat = ChatMessage {
            number: 1,
            viewer: viewer.clone(),
            alias: "Anna".to_owned(),
            text: "hello".to_owned(),
            at_unix_ms: unix_ms,
        };
        // A name that is written here is one.
        let room = "studio".parse().expect("studio is a room's name");
        Self { room, viewer, session, chat, unix_ms }
    }

    fn away(&self) -> RoomSession {
        RoomSession { status: SessionStatus::Interrupted, video: None, audio: None, ..self.session.clone() }
    }

    fn view(&self) -> Room {
        Room { name: self.room.clone(), sessions: vec![self.session.clone(), self.away()], viewers: 2 }
    }

    fn viewers(&self) -> Vec<Viewer> {
        let viewer = |alias: Option<&str>| Viewer {
            viewer: self.viewer.clone(),
            alias: alias.map(str::to_owned),
            watches: true,
            token: alias.map(|_| Hex([7; 16])),
        };
        vec![viewer(Some("Anna")), viewer(None)]
    }

    fn audit(&self) -> [AuditList; 2] {
        let entry = |action, role, room: Option<&RoomName>| AuditEntry {
            number: 1,
            at_unix_ms: self.unix_ms,
            role,
            name: "shared token".to_owned(),
            action,
            target: room.map(|_| self.viewer.to_string()),
            room: room.cloned(),
        };
        let first = entry(AuditAction::ViewerBanned, Role::Administer, Some(&self.room));
        let mut entries: Vec<AuditEntry> =
            AuditAction::ALL.map(|action| entry(action, Role::Publish, None)).into();
        entries.push(entry(AuditAction::TokenIssued, Role::View, None));
        [AuditList { entries: vec![first], next_before: Some(1) }, AuditList { entries, next_before: None }]
    }

    fn viewer_messages(&self) -> [ViewerMessage; 4] {
        let join = |text: Option<&str>| ViewerMessage::Join {
            viewer_token: text.map(|_| "eyJ0…".to_owned()),
            alias: text.map(str::to_owned),
            watches: text.map(|_| true),
        };
        [
            join(Some("Anna")),
            join(None),
            ViewerMessage::Alias { alias: "Anna B".to_owned() },
            ViewerMessage::Chat { text: "hello".to_owned() },
        ]
    }

    fn room_messages(&self) -> Vec<RoomMessage> {
        let mut messages = vec![
            RoomMessage::Joined {
                viewer: self.viewer.clone(),
                viewer_token: "eyJ0…".to_owned(),
                rights: Rights { publish: false, administer: false },
                room: self.view(),
                chat: vec![self.chat.clone()],
            },
            RoomMessage::Session(self.session.clone()),
            RoomMessage::Session(self.away()),
            RoomMessage::SessionEnded { id: self.session.id },
            RoomMessage::Viewers { count: 2 },
            RoomMessage::Chat(self.chat.clone()),
            RoomMessage::ChatDeleted { number: 1 },
        ];
        for code in ErrorCode::ALL {
            messages.push(RoomMessage::Refused(ErrorBody::new(code, "what happened")));
            messages.push(RoomMessage::Error(ErrorBody::new(code, "what happened")));
        }
        messages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_says_what_may_be_missing_and_which_words_there_are() {
        let all = all();
        let request = &all["TokenRequest"];
        assert_eq!(request["required"], json!(["role"]));
        assert_eq!(request["properties"]["role"]["enum"], json!(["administer", "publish", "view"]));
        assert_eq!(request["properties"]["room"]["type"], json!(["null", "string"]));
        assert_eq!(all["BanRequest"]["required"], json!([]));
        assert_eq!(all["RoomMessage"]["oneOf"].as_array().unwrap().len(), 8);
        assert_eq!(all["ViewerMessage"]["oneOf"].as_array().unwrap().len(), 3);
        assert_eq!(
            all["ErrorBody"]["properties"]["code"]["enum"].as_array().unwrap().len(),
            ErrorCode::ALL.len()
        );
        assert_eq!(all["Session"]["properties"]["status"]["enum"].as_array().unwrap().len(), 4);
    }
}
