//! The sessions that the server holds in memory: those with a publisher, and those whose publisher may come back.

mod changes;
mod lifecycle;
mod registry;
mod session;

pub use lifecycle::{Facts, Lifecycle};
pub(crate) use registry::{DeleteError, Earlier, Sessions, SessionsConfig};
pub(crate) use session::{Attached, LiveSession};
