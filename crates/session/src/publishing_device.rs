use protocol::control::Device;
use protocol::limits::MAX_TEXT_BYTES;

/// What the server's list of sessions shows: this machine under `name`, or under its own when there is none. `app` is
/// the publishing program and its version.
#[must_use]
pub fn publishing_device(name: Option<&str>, app: &str) -> Device {
    let bounded = |text: &str| text[..text.floor_char_boundary(MAX_TEXT_BYTES)].to_owned();
    Device {
        name: bounded(name.unwrap_or(&machine_name())),
        platform: std::env::consts::OS.to_owned(),
        app: bounded(app),
    }
}

fn machine_name() -> String {
    let told = ["COMPUTERNAME", "HOSTNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    let on_disk = || std::fs::read_to_string("/etc/hostname").ok();
    let name = told.or_else(on_disk).map(|name| name.trim().to_owned());
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "longtake".to_owned())
}
