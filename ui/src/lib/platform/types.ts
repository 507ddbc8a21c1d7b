// Generated from crates/app by `cargo xtask codegen`. Do not edit.
import type { ChatMessage, ClockDrift, RoomName, RoomSession, SessionId, ViewerId } from '../protocol/types';

/**
 * What the screen is told.
 */
export type Update = { "kind": "state", "content": State } | { "kind": "level", "content": Level } | { "kind": "room", "content": RoomView | null };

/**
 * Everything that the screen shows, but the level and the pictures.
 */
export type State = { 
/**
 * The camera.
 */
camera: Input, 
/**
 * The microphone.
 */
microphone: Input, 
/**
 * The session that runs, or the last one until it is dismissed.
 */
session: Session | null, 
/**
 * Sessions of earlier runs that their servers do not have completely, the oldest first.
 */
unfinished: Array<Unfinished>, 
/**
 * What is remembered.
 */
settings: Settings, 
/**
 * The named qualities, from the lowest to the highest.
 */
presets: Array<QualityPreset>, 
/**
 * A server that was found on this machine and is not in the settings.
 */
local_server: string | null, 
/**
 * What a person should know beside all that, such as settings that could not be read.
 */
notices: Array<Problem>, 
/**
 * The window was asked to close while a session runs: the screen has to ask.
 */
closing: boolean, 
/**
 * The app's version.
 */
version: string, };

/**
 * How loud the microphone is. Silence is −100.
 */
export type Level = { 
/**
 * The largest PCM sample since the level before, in dBFS.
 */
peak_dbfs: number, 
/**
 * The root mean square since the level before, in dBFS.
 */
rms_dbfs: number, 
/**
 * Whether a sample reached full scale.
 */
clipped: boolean, };

/**
 * The camera or the microphone, as it is.
 */
export type Input = { 
/**
 * What is chosen.
 */
source: Source, 
/**
 * The plain name of what is open.
 */
name: string | null, 
/**
 * Whether a person has it on: a camera that is off sends a dark picture, a microphone that is off silence.
 */
on: boolean, 
/**
 * How it is.
 */
condition: Condition, };

/**
 * Where pictures or sound come from, as chosen.
 */
export type Source = { "kind": "auto" } | { "kind": "device", 
/**
 * The id of a [`DeviceOption`].
 */
id: string, } | { "kind": "synthetic" };

/**
 * How a device is.
 */
export type Condition = { "kind": "closed" } | { "kind": "opening" } | { "kind": "delivering" } | { "kind": "lost", 
/**
 * Why.
 */
problem: Problem, } | { "kind": "failed", 
/**
 * Why.
 */
problem: Problem, };

/**
 * A device that can be chosen.
 */
export type DeviceOption = { 
/**
 * Stays the same when the machine restarts.
 */
id: string, 
/**
 * A plain name.
 */
name: string, };

/**
 * The devices of this machine.
 */
export type DeviceList = { 
/**
 * Cameras, by name.
 */
cameras: Array<DeviceOption>, 
/**
 * Why cameras cannot be listed, if so.
 */
camera_problem: Problem | null, 
/**
 * Microphones, the system's preferred one first.
 */
microphones: Array<DeviceOption>, 
/**
 * Why microphones cannot be listed, if so.
 */
microphone_problem: Problem | null, };

/**
 * The session that runs, or the last one.
 */
export type Session = { 
/**
 * Its id.
 */
id: SessionId, 
/**
 * The room it is in.
 */
room: RoomName, 
/**
 * The server's address.
 */
server: string, 
/**
 * Where the recording can be fetched, also while it runs.
 */
recording_url: string, 
/**
 * When it was started, in ms since the Unix epoch.
 */
started_unix_ms: number, 
/**
 * How long it has lasted, in ms; it stands still once the session is stopped.
 */
elapsed_ms: number, 
/**
 * Where it is.
 */
phase: SessionPhase, 
/**
 * How many people watch, when the server has told.
 */
viewers: number | null, 
/**
 * Why this device cannot keep what waits, or soon cannot; none while there is room.
 */
storage: Problem | null, 
/**
 * The picture's track.
 */
video: Track | null, 
/**
 * The sound's track.
 */
audio: Track | null, };

/**
 * Where a session is.
 */
export type SessionPhase = { "kind": "running" } | { "kind": "finishing" } | { "kind": "complete" } | { "kind": "incomplete", 
/**
 * Why, and what is missing.
 */
problem: Problem, };

/**
 * One track of a session.
 */
export type Track = { 
/**
 * Where it is.
 */
phase: TrackPhase, 
/**
 * What was made, what has arrived, and what waits here.
 */
arrival: Arrival, 
/**
 * The bit rate that the encoder makes, over the last two seconds, in bit/s.
 */
bitrate_bps: number, 
/**
 * The bit rate that it is asked for now, in bit/s: less than the full one where the network carries less.
 */
wanted_bitrate_bps: number, 
/**
 * The bit rate of the quality that was chosen, in bit/s.
 */
full_bitrate_bps: number, 
/**
 * The picture does not go live for now, as the network carries only the sound. It is kept here.
 */
is_paused: boolean, 
/**
 * Units per second that the encoder makes, over the last two seconds: frames of a picture.
 */
units_per_second: number, 
/**
 * Frames or runs of sound that were dropped before they were encoded, since the start.
 */
dropped: number, 
/**
 * The part of real time that encoding takes, 0 to 1 and above, over the last two seconds.
 */
encoder_load: number, 
/**
 * The newest time from a question to the server to its answer, in ms.
 */
round_trip_ms: number | null, 
/**
 * The microphone's clock, and how far the sound is from the picture; none for the picture's track.
 */
clock: ClockDrift | null, };

/**
 * Whether a track arrives.
 */
export type TrackPhase = { "kind": "waiting" } | { "kind": "connecting" } | { "kind": "live" } | { "kind": "catching_up" } | { "kind": "offline", 
/**
 * Why, for a person.
 */
reason: string, } | { "kind": "complete" } | { "kind": "incomplete" } | { "kind": "refused", 
/**
 * What happened and what to do.
 */
problem: Problem, };

/**
 * What a track's units have come to. A unit is an encoded picture or an Opus packet.
 */
export type Arrival = { 
/**
 * Made by the encoder.
 */
units: number, 
/**
 * Durable on the server.
 */
durable_units: number, 
/**
 * Given up because too many were waiting.
 */
lost_units: number, 
/**
 * Units that are kept here.
 */
backlog_units: number, 
/**
 * Their bytes.
 */
backlog_bytes: number, 
/**
 * Their duration, in ms.
 */
backlog_ms: number, };

/**
 * The room on the server, as somebody in it sees it.
 */
export type RoomView = { 
/**
 * Its name.
 */
name: RoomName, 
/**
 * Where the visit is. What stands below is what was known last.
 */
phase: RoomPhase, 
/**
 * Who this app is in the room; none before it was let in.
 */
viewer: ViewerId | null, 
/**
 * How many watch.
 */
viewers: number, 
/**
 * The sessions that are active or interrupted, the app's own among them, oldest first.
 */
sessions: Array<RoomSession>, 
/**
 * The latest chat messages, oldest first; as many as the server keeps.
 */
chat: Array<ChatMessage>, 
/**
 * Why the server refused what was said last; none once something is heard in the chat.
 */
refusal: string | null, };

/**
 * Where a visit to a room is.
 */
export type RoomPhase = { "kind": "connecting" } | { "kind": "open" } | { "kind": "reconnecting", 
/**
 * Why, as a sentence.
 */
reason: string, } | { "kind": "left", 
/**
 * Why, and what to do.
 */
problem: Problem, };

/**
 * What is remembered across runs. The access token is not in it: only whether there is one.
 */
export type Settings = { 
/**
 * The server's address as it was typed; none before the first one.
 */
server: string | null, 
/**
 * Whether an access token is kept for it.
 */
has_token: boolean, 
/**
 * Whether the token is in the system's keyring; otherwise it is in a file that only this user may read.
 */
token_in_keyring: boolean, 
/**
 * The room.
 */
room: string, 
/**
 * By what name this person chats in rooms; none before the first one.
 */
alias: string | null, 
/**
 * The camera.
 */
camera: Source, 
/**
 * The microphone.
 */
microphone: Source, 
/**
 * The picture's and the sound's quality.
 */
quality: Quality, 
/**
 * What gives way when the network carries less than that.
 */
when_slow: WhenSlow, 
/**
 * How much of a session may wait on this device, in bytes.
 */
spool_bytes: number, 
/**
 * What is done when as much waits.
 */
when_full: WhenFull, 
/**
 * Whether the preview is shown as in a mirror. What is sent never is.
 */
mirrored: boolean, };

/**
 * A change of settings: what is left out stays.
 */
export type SettingsChange = { 
/**
 * The server's address; an empty text forgets it.
 */
server?: string, 
/**
 * The access token.
 */
token?: TokenChange, 
/**
 * The room.
 */
room?: string, 
/**
 * By what name this person chats in rooms; an empty text forgets it.
 */
alias?: string, 
/**
 * The camera; while a session runs, it is switched.
 */
camera?: Source, 
/**
 * The microphone; while a session runs, it is switched.
 */
microphone?: Source, 
/**
 * The quality; while a session runs, it changes at the next frame.
 */
quality?: Quality, 
/**
 * What gives way when the network carries less; while a session runs, it changes at once.
 */
when_slow?: WhenSlow, 
/**
 * How much of a session may wait on this device, in bytes, 1 MiB to 1 TiB; holds from the next session on.
 */
spool_bytes?: number, 
/**
 * What is done when as much waits; holds from the next session on.
 */
when_full?: WhenFull, 
/**
 * Whether the preview is mirrored.
 */
mirrored?: boolean, };

/**
 * What to do with the access token.
 */
export type TokenChange = { "kind": "clear" } | { "kind": "set", "token": string };

/**
 * What gives way when the network carries less than the picture needs.
 */
export type WhenSlow = "keep-quality" | "keep-up";

/**
 * What is done when as much of a session waits on this device as may.
 */
export type WhenFull = "stop" | "drop-oldest";

/**
 * A quality, in figures.
 */
export type Quality = { 
/**
 * In pixels, 64 to 3840.
 */
width: number, 
/**
 * In pixels, 64 to 2160.
 */
height: number, 
/**
 * Frames per second, 1 to 120.
 */
fps: number, 
/**
 * In bit/s, 50,000 to 100,000,000.
 */
video_bitrate_bps: number, 
/**
 * In bit/s, 6,000 to 510,000.
 */
audio_bitrate_bps: number, 
/**
 * 1 for mono, 2 for stereo.
 */
channels: number, };

/**
 * A named quality.
 */
export type QualityPreset = { 
/**
 * What it is called: `720p`.
 */
name: string, 
/**
 * What it means.
 */
quality: Quality, };

/**
 * A link by which others watch the room that the app records to.
 */
export type Invitation = { 
/**
 * The address of the room's page; it may hold a token that allows to watch.
 */
link: string, 
/**
 * When it ends, in ms since 1970; never on a server without tokens.
 */
ends_unix_ms: number | null, 
/**
 * Whether only this machine can follow it.
 */
is_local: boolean, };

/**
 * What a test of the connection found: its steps in order. After a step that failed, the rest is not tried.
 */
export type ConnectionReport = { 
/**
 * The address, written out: scheme, host and port.
 */
server: string, 
/**
 * Each step, in order.
 */
steps: Array<ConnectionStep>, };

/**
 * One step of a test of the connection.
 */
export type ConnectionStep = { 
/**
 * Which.
 */
name: StepName, 
/**
 * How it went.
 */
outcome: StepOutcome, };

/**
 * The steps, in the order in which they are taken.
 */
export type StepName = "name" | "connect" | "tls" | "version" | "token";

/**
 * How a step went.
 */
export type StepOutcome = { "kind": "passed", 
/**
 * What was found, for people who like to know: addresses, a version, a time.
 */
detail: string, } | { "kind": "failed", 
/**
 * What is wrong and what to do.
 */
problem: Problem, } | { "kind": "skipped" };

/**
 * What went wrong, said so that a person knows what to do.
 */
export type Problem = { 
/**
 * What kind of problem.
 */
code: ProblemCode, 
/**
 * One or two sentences: what happened and what to do.
 */
message: string, 
/**
 * Whether trying the same again can succeed without a person doing something.
 */
retryable: boolean, };

/**
 * The kinds of problem. The JSON form is snake case.
 */
export type ProblemCode = "no_device" | "device_not_found" | "permission_denied" | "device_busy" | "device_unplugged" | "device_stalled" | "device_unsupported" | "device_failed" | "file_unusable" | "encoder_failed" | "nothing_to_capture" | "no_server" | "bad_address" | "bad_pairing_link" | "paired_by_link" | "bad_setting" | "name_unknown" | "unreachable" | "tls_failed" | "not_a_server" | "unauthorized" | "unsupported_version" | "server_storage" | "server_refused" | "device_storage" | "device_storage_low" | "units_lost" | "settings_unusable" | "not_now" | "unsupported" | "internal";

/**
 * A session of an earlier run that its server does not have completely. It is sent while nothing is recorded.
 */
export type Unfinished = { 
/**
 * Its id.
 */
id: SessionId, 
/**
 * The room it is in.
 */
room: RoomName, 
/**
 * The server's address.
 */
server: string, 
/**
 * When it was started, in ms since the Unix epoch.
 */
started_unix_ms: number, 
/**
 * Where it is.
 */
phase: UnfinishedPhase, 
/**
 * What waits on this device, in bytes.
 */
backlog_bytes: number, 
/**
 * How long the longer of its tracks waits, in ms.
 */
backlog_ms: number, };

/**
 * Where an unfinished session is.
 */
export type UnfinishedPhase = { "kind": "waiting" } | { "kind": "sending" } | { "kind": "refused", 
/**
 * What happened and what to do.
 */
problem: Problem, };
