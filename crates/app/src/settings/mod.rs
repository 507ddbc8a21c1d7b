//! What a person has chosen, as it is remembered and as this run overrides it.

mod choices;
mod file;
mod overrides;

pub(crate) use choices::{Change, Choices, presets};
pub(crate) use file::{load, save};
pub use overrides::Overrides;
