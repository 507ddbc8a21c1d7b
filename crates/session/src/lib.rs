//! From tap to stop: a capture session and a publisher joined, for every program that has both.
//!
//! ```text
//! capture::Session ──▶ Feed ──▶ publisher::TrackHandle
//! capture::Controls ◀── answer_keyframe_requests, follow_network ◀── publisher::Publisher
//! ```
//! [`sources`] is how a person names a camera or a microphone, and what that comes to on this machine.

mod feed;
mod keyframes;
mod ledger;
mod network;
mod publishing_device;
pub mod sources;

pub use feed::{Ended, Feed};
pub use keyframes::answer_keyframe_requests;
pub use ledger::clock_drift_text;
pub use network::follow_network;
pub use publishing_device::publishing_device;
