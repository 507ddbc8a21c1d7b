// Generated from crates/protocol by `cargo xtask codegen`. Do not edit.

/**
 * A session: from tap to stop, one publisher's take. A UUID, version 7 by whoever makes one.
 *
 * Parsing accepts only the hyphenated form, so that the text is safe as a file name and each
 * session has one spelling.
 */
export type SessionId = string;

/**
 * A room: a named place that sessions and viewers join.
 */
export type RoomName = string;

/**
 * What proves that a reconnecting publisher is the one that began the session.
 *
 * The publisher draws it once per session from a secure source and presents it in every `hello`, on
 * both sockets; the server binds it to the session at the first and keeps only a hash. It is a
 * secret: `Debug` hides it.
 */
export type ResumeKey = string;

/**
 * One codec's sequence of units in a session.
 */
export type Track = "video" | "audio";

/**
 * Consecutive unit numbers, both ends included. On the wire `[first, last]`.
 */
export type UnitRange = [number, number];

/**
 * A set of unit numbers as sorted, disjoint, non-adjacent ranges. On the wire `[[first, last], …]`.
 *
 * Adding is idempotent and commutative, so that acknowledgements may repeat or overlap. Input from
 * the wire may list ranges in any order.
 */
export type UnitRanges = Array<[number, number]>;

/**
 * Whether a unit is part of the newest run or of what an outage left behind.
 */
export type Lane = "live" | "backfill";

/**
 * Bytes, written in JSON as standard Base64 with padding.
 */
export type Base64 = string;

/**
 * What a decoder needs before a track's first unit.
 */
export type CodecParameters = { "codec": "h264", 
/**
 * Coded picture width in pixels after cropping.
 */
width: number, 
/**
 * Coded picture height in pixels after cropping.
 */
height: number, 
/**
 * The nominal time between two frames, in 1/90000 s: 3000 at 30 frames per second.
 */
frame_duration_90k: number, 
/**
 * The `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15 §5.3.3.1) with SPS and PPS.
 */
avcc: Base64, } | { "codec": "opus", 
/**
 * 1 or 2.
 */
channels: number, 
/**
 * PCM samples at 48 kHz that a decoder discards at the start (RFC 7845 §4.2).
 */
pre_skip_48k: number, };

/**
 * Codec parameters and the unit from which they hold.
 */
export type Params = { 
/**
 * The first unit that needs these parameters.
 */
from_unit: number, 
/**
 * The parameters.
 */
parameters: CodecParameters, };

/**
 * Why something was refused or failed. The JSON form is snake case.
 */
export type ErrorCode = "unauthorized" | "forbidden_origin" | "forbidden" | "removed" | "room_closed" | "room_full" | "bad_request" | "not_found" | "unsupported_version" | "unknown_message" | "invalid_message" | "too_large" | "track_mismatch" | "session_taken" | "superseded" | "session_ended" | "invalid_unit" | "unit_out_of_range" | "invalid_params" | "digest_mismatch" | "too_many_sessions" | "rate_limited" | "idle_timeout" | "storage_unavailable" | "shutting_down" | "internal";

/**
 * The public form of every error: in the API's bodies and in the socket's `error` message.
 */
export type ErrorBody = { 
/**
 * What kind of error it is, for programs.
 */
code: ErrorCode, 
/**
 * What happened and what to do, for people.
 */
message: string, 
/**
 * Whether the same may succeed later by itself.
 */
retryable: boolean, };

/**
 * What publishes: for people who look at a list of sessions.
 */
export type Device = { 
/**
 * A name that a person gave or would recognise.
 */
name: string, 
/**
 * The operating system.
 */
platform: string, 
/**
 * The publishing program and its version, such as `longtake 0.1.0`.
 */
app: string, };

/**
 * The kinds of [`Event`].
 */
export type EventKind = "device_lost" | "device_restored" | "device_switched" | "muted" | "unmuted" | "quality_changed" | "frames_dropped" | "units_lost" | "interrupted" | "resumed" | "sound_resynchronised" | "rate_lowered" | "rate_restored" | "clock_drift";

/**
 * The detail of [`EventKind::ClockDrift`](crate::control::EventKind::ClockDrift): the microphone's clock, measured
 * against the session's, such as `drift_ppm=12.3 offset_us_max=1200 offset_us_last=-300`.
 */
export type ClockDrift = { 
/**
 * How much faster than the session's clock the microphone's runs, in parts per 10⁹. It was corrected. None when it
 * was not observed long enough.
 */
drift_ppb: number | null, 
/**
 * The largest distance between the sound and the clock that the picture is on, in µs.
 */
offset_us_max: number, 
/**
 * The distance at last, in µs: positive when the sound's time is too early.
 */
offset_us_last: number, };

/**
 * Why a session was interrupted.
 */
export type InterruptionReason = "sleep" | "phone_call" | "permission_withdrawn" | "thermal" | "camera_lost" | "background" | "connection_lost";

/**
 * Something that a viewer of the recording should know, at a time of the session.
 *
 * A publisher repeats its events after every `welcome`; the server keeps one per number.
 */
export type Event = { 
/**
 * Its place among the track's events, from 0.
 */
number: number, 
/**
 * When, in 1/90000 s since the session's start.
 */
at_90k: number, 
/**
 * What.
 */
kind: EventKind, 
/**
 * More about it in words, such as the new device's name; may be empty. Some [kinds](EventKind) say its form.
 */
detail: string, };

/**
 * Opens a connection, for a new session or for one that already has durable units.
 */
export type Hello = { 
/**
 * The publisher's protocol version.
 */
version: number, 
/**
 * The session; the publisher made the id up.
 */
session: SessionId, 
/**
 * Proves that this is the publisher that began the session.
 */
resume_key: ResumeKey, 
/**
 * The room that the session is in.
 */
room: RoomName, 
/**
 * The track; must be the socket's.
 */
track: Track, 
/**
 * All codec parameters of the track so far, ascending by `from_unit`; at least one.
 */
params: Array<Params>, 
/**
 * What publishes.
 */
device: Device, 
/**
 * The wall clock at the session's start, in ms since 1970, as the device believes it.
 */
started_unix_ms: number, };

/**
 * Ends a track.
 */
export type Finish = { 
/**
 * How many units the track has: one more than the last unit's number, 0 for none.
 */
units: number, 
/**
 * Units that the publisher has given up and will never send.
 */
lost: UnitRanges, 
/**
 * Units that the server holds and of which the publisher has lost the digests, in a power cut; else empty.
 */
unwitnessed: UnitRanges, 
/**
 * The digest of all units but those in `lost` and `unwitnessed`.
 */
digest: string, 
/**
 * The device's key.
 */
device_key: string, 
/**
 * The device's signature of the [`DeviceStatement`] that these fields make.
 */
signature: string, };

/**
 * What a publisher says.
 */
export type PublisherMessage = { "type": "hello" } & Hello | { "type": "params" } & Params | { "type": "event" } & Event | { "type": "finish" } & Finish;

/**
 * What a server accepts on one connection.
 */
export type Limits = { 
/**
 * The largest message, in bytes.
 */
message_bytes: number, 
/**
 * The largest unit payload, in bytes.
 */
unit_bytes: number, 
/**
 * A connection on which the publisher says nothing for this long is closed, in ms; a WebSocket
 * ping counts as saying something.
 */
idle_ms: number, };

/**
 * Answers `hello`: where to go on, and within which limits.
 */
export type Welcome = { 
/**
 * The server's protocol version.
 */
version: number, 
/**
 * The units of this track that are durable already.
 */
durable: UnitRanges, 
/**
 * What the server accepts.
 */
limits: Limits, 
/**
 * The server's wall clock, in ms since 1970.
 */
server_unix_ms: number, };

/**
 * What the server says.
 */
export type ServerMessage = { "type": "welcome" } & Welcome | { "type": "ack", 
/**
 * The units that became durable; may repeat earlier ones.
 */
durable: UnitRanges, } | { "type": "keyframe_request", } | { "type": "viewers", 
/**
 * The number of viewers in the room.
 */
count: number, } | { "type": "notice" } & ErrorBody | { "type": "complete", 
/**
 * Units of the track, as `finish` said.
 */
units: number, 
/**
 * Units that are durable.
 */
durable_units: number, 
/**
 * The digest of what the server holds; it is the one in `finish`.
 */
digest: string, } | { "type": "error" } & ErrorBody;

/**
 * Where a session is in its life.
 */
export type SessionStatus = "active" | "interrupted" | "completed" | "abandoned";

/**
 * One track of a session.
 */
export type TrackState = { 
/**
 * Units that the track is known to have: one more than the highest number seen or finished.
 */
units: number, 
/**
 * Units that are durable.
 */
durable_units: number, 
/**
 * Payload bytes that are durable.
 */
durable_bytes: number, 
/**
 * From the first durable unit's start to the last one's end, in ms.
 */
duration_ms: number, 
/**
 * The newest codec parameters.
 */
codec: CodecParameters, 
/**
 * The RFC 6381 codec string.
 */
codec_string: string, 
/**
 * Whether a publisher's socket for this track is open.
 */
connected: boolean, 
/**
 * Whether the publisher has said that the track has ended.
 */
finished: boolean, 
/**
 * Units that are not durable yet.
 */
gaps: UnitRanges, 
/**
 * The part of the gaps that will never come, by the publisher's word.
 */
lost: UnitRanges, 
/**
 * What the publisher told about the track.
 */
events: Array<Event>, };

/**
 * One session, as `GET /api/sessions/{id}` shows it.
 */
export type Session = { 
/**
 * The session's id.
 */
id: SessionId, 
/**
 * Its room.
 */
room: RoomName, 
/**
 * Where it is in its life.
 */
status: SessionStatus, 
/**
 * What publishes it.
 */
device: Device, 
/**
 * When it began by the publisher's wall clock, in ms since 1970.
 */
started_unix_ms: number, 
/**
 * When the server last heard of it, in ms since 1970.
 */
last_activity_unix_ms: number, 
/**
 * The picture, if the session has one.
 */
video: TrackState | null, 
/**
 * The sound, if the session has one.
 */
audio: TrackState | null, };

/**
 * A page of sessions, newest first.
 */
export type SessionList = { 
/**
 * The sessions of this page.
 */
sessions: Array<Session>, 
/**
 * What to pass as `before` for the next page, if there is one.
 */
next_before: SessionId | null, };

/**
 * The answer of `/health`: the process is up, and what it is. Every version of the server answers with at least
 * these fields, so that a publisher can tell what it has reached before it says anything else.
 */
export type Health = { 
/**
 * Always `ok`.
 */
status: string, 
/**
 * Always [`SERVER_NAME`].
 */
server: string, 
/**
 * The server's version.
 */
version: string, 
/**
 * The version of the wire protocol that the server speaks.
 */
protocol_version: number, };

/**
 * The answer of `/api/server-key`.
 */
export type ServerKey = { 
/**
 * The key that the server signs certificates with.
 */
server_key: string, };

/**
 * The answer of `/ready`: whether the server can record.
 */
export type Ready = { 
/**
 * Whether everything below is.
 */
ready: boolean, 
/**
 * Whether the database answers.
 */
database: boolean, 
/**
 * Whether the store takes writes.
 */
store: boolean, 
/**
 * Whether the server is on its way out.
 */
shutting_down: boolean, };

/**
 * Names one viewer of one room: 32 hexadecimal digits that the server drew. It is no secret.
 */
export type ViewerId = string;

/**
 * What a viewer says.
 */
export type ViewerMessage = { "type": "join", 
/**
 * The token of an earlier visit to the same room: who comes back stays the same viewer.
 */
viewer_token: string | null, 
/**
 * What others see; required to chat, 1 to [`MAX_ALIAS_CHARS`] characters.
 */
alias: string | null, 
/**
 * Whether it counts as a viewer: it does, unless this is false, as for a publisher who follows the chat.
 */
watches: boolean | null, } | { "type": "alias", 
/**
 * 1 to [`MAX_ALIAS_CHARS`] characters.
 */
alias: string, } | { "type": "chat", 
/**
 * 1 to [`MAX_CHAT_CHARS`] characters, shown as text and never as markup.
 */
text: string, };

/**
 * What a connection may do in a room.
 */
export type Rights = { 
/**
 * Whether it may publish to the room.
 */
publish: boolean, 
/**
 * Whether it may moderate the room.
 */
administer: boolean, };

/**
 * One track of a session in a room.
 */
export type RoomTrack = { 
/**
 * The newest codec parameters.
 */
codec: CodecParameters, 
/**
 * Whether the publisher's socket for it is open.
 */
connected: boolean, };

/**
 * A session as the viewers of its room see it.
 */
export type RoomSession = { 
/**
 * Its id.
 */
id: SessionId, 
/**
 * The name of the device that publishes.
 */
name: string, 
/**
 * Where it is in its life: `active` or `interrupted`.
 */
status: SessionStatus, 
/**
 * When it began by the publisher's wall clock, in ms since 1970.
 */
started_unix_ms: number, 
/**
 * The picture, if there is one.
 */
video: RoomTrack | null, 
/**
 * The sound, if there is some.
 */
audio: RoomTrack | null, };

/**
 * A room.
 */
export type Room = { 
/**
 * Its name.
 */
name: RoomName, 
/**
 * The sessions that are active or interrupted, oldest first.
 */
sessions: Array<RoomSession>, 
/**
 * How many watch.
 */
viewers: number, };

/**
 * Something that somebody said.
 */
export type ChatMessage = { 
/**
 * Its place among the room's messages.
 */
number: number, 
/**
 * Who said it.
 */
viewer: ViewerId, 
/**
 * By what name.
 */
alias: string, 
/**
 * What, as plain text.
 */
text: string, 
/**
 * When, in ms since 1970.
 */
at_unix_ms: number, };

/**
 * What the server says to a viewer.
 */
export type RoomMessage = { "type": "joined", 
/**
 * Who the viewer is.
 */
viewer: ViewerId, 
/**
 * What it shows as `Authorization: Bearer` or `?token=` to watch this room (WHEP, HLS, recordings). It ends with
 * a ban.
 */
viewer_token: string, 
/**
 * What it may do.
 */
rights: Rights, 
/**
 * The room as it is.
 */
room: Room, 
/**
 * The latest chat messages, oldest first.
 */
chat: Array<ChatMessage>, } | { "type": "session" } & RoomSession | { "type": "session_ended", 
/**
 * Which.
 */
id: SessionId, } | { "type": "viewers", 
/**
 * Viewers of the room, this one included.
 */
count: number, } | { "type": "chat" } & ChatMessage | { "type": "chat_deleted", 
/**
 * Its number.
 */
number: number, } | { "type": "refused" } & ErrorBody | { "type": "error" } & ErrorBody;

/**
 * The answer of `GET /api/rooms`.
 */
export type RoomList = { 
/**
 * The rooms that somebody publishes to or watches, or that were made beforehand, by name.
 */
rooms: Array<Room>, };

/**
 * Somebody who watches a room.
 */
export type Viewer = { 
/**
 * Who.
 */
viewer: ViewerId, 
/**
 * What others see, if it gave a name.
 */
alias: string | null, 
/**
 * Whether it counts as a viewer.
 */
watches: boolean, 
/**
 * The id of the token by which it came in; none if that was the server's own, or none was asked for.
 */
token: string | null, };

/**
 * The answer of `GET /api/rooms/{room}/viewers`.
 */
export type ViewerList = { 
/**
 * Those with an open socket of the room.
 */
viewers: Array<Viewer>, };

/**
 * The body of `POST /api/rooms/{room}/viewers/{viewer}/ban`.
 */
export type BanRequest = { 
/**
 * For how long from now, in s; without it, for good.
 */
lasts_s: number | null, };

/**
 * What a token allows. Each role may do what the ones before it may.
 */
export type Role = "view" | "publish" | "administer";

/**
 * The body of `POST /api/tokens`.
 */
export type TokenRequest = { 
/**
 * What it allows.
 */
role: Role, 
/**
 * In which room; without one, in all.
 */
room: RoomName | null, 
/**
 * For how long from now, in s; without it, a day.
 */
lasts_s: number | null, 
/**
 * Who gets it, for the audit log: 1 to [`MAX_ALIAS_CHARS`] characters; without it, a number is drawn.
 */
name: string | null, };

/**
 * The answer of `POST /api/tokens`.
 */
export type IssuedToken = { 
/**
 * The token.
 */
token: string, 
/**
 * What it is banned or revoked by. No secret.
 */
id: string, 
/**
 * By what name the audit log knows its bearer.
 */
name: string, 
/**
 * When it ends, in ms since 1970.
 */
ends_unix_ms: number, };

/**
 * A token that is kept out.
 */
export type TokenBan = { 
/**
 * Which.
 */
token: string, 
/**
 * From which room; without one, it is revoked: it opens nothing any more.
 */
room: RoomName | null, 
/**
 * Until when, in ms since 1970; without it, for good.
 */
until_unix_ms: number | null, };

/**
 * The answer of `GET /api/tokens/banned`.
 */
export type TokenBanList = { 
/**
 * By token and room.
 */
bans: Array<TokenBan>, };

/**
 * What somebody did to sessions, rooms, viewers and tokens.
 */
export type AuditAction = "token_issued" | "session_ended" | "session_deleted" | "room_made" | "room_closed" | "viewer_removed" | "viewer_banned" | "ban_lifted" | "chat_deleted" | "token_banned" | "token_ban_lifted";

/**
 * One line of the audit log.
 */
export type AuditEntry = { 
/**
 * Its place in the log.
 */
number: number, 
/**
 * When, in ms since 1970.
 */
at_unix_ms: number, 
/**
 * With which role.
 */
role: Role, 
/**
 * Who: the name of its token. Never the token.
 */
name: string, 
/**
 * What was done.
 */
action: AuditAction, 
/**
 * In which room.
 */
room: RoomName | null, 
/**
 * To what: the id of a session or viewer, the number of a chat message, or the name or id of a token.
 */
target: string | null, };

/**
 * The answer of `GET /api/audit`: a page of entries, newest first.
 */
export type AuditList = { 
/**
 * The entries of this page.
 */
entries: Array<AuditEntry>, 
/**
 * What to pass as `before` for the next page, if there is one.
 */
next_before: number | null, };
