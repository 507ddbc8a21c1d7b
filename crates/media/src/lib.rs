//! What lies between an encoder and a file: H.264 and Opus framing, and the fMP4 that parts,
//! segments and recordings are made of.
//!
//! | from | to | where |
//! | --- | --- | --- |
//! | encoder output (Annex B) | a unit's payload | [`h264::access_unit_from_annexb`] |
//! | a peer's unit | accepted or refused | [`h264::check_access_unit`], [`opus::packet_duration_48k`] |
//! | a peer's codec parameters | accepted or refused | [`params::check_parameters`] |
//! | units | parts, one fMP4 fragment each | [`part::PartAssembler`] |
//! | parts | segments | [`segment::SegmentRule`] |
//! | stored parts | one seekable MP4 | [`mp4::recording::layout`] |
//!
//! This crate does no I/O, starts no task and reads no clock. Nothing in it panics on what a peer
//! or a file contains, or allocates more than in proportion to the bytes it was given.

pub mod h264;
pub mod mp4;
pub mod opus;
pub mod params;
pub mod part;
pub mod segment;
pub mod time;
