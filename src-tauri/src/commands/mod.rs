//! What the screen may call. Each command makes one call on the [`App`](app::App) handle; each fails with a
//! [`Problem`](app::api::Problem).

pub mod inputs;
pub mod room;
pub mod screen;
pub mod session;
pub mod settings;
