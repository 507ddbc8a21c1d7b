//! The commands as the screen calls them, without a desktop.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use app::api::{Source, State};
use app::{App, FileTokens, Options, Overrides};
use serde_json::{Value, json};
use tauri::ipc::{CallbackFn, InvokeBody};
use tauri::test::{INVOKE_KEY, MockRuntime, get_ipc_response, mock_builder, mock_context, noop_assets};
use tauri::webview::InvokeRequest;
use tauri::{Manager, WebviewWindow, WebviewWindowBuilder, async_runtime};
use tempfile::TempDir;
use tokio::time::timeout;

/// The shell without a window, around an app with synthetic devices.
struct Shell {
    tauri: tauri::App<MockRuntime>,
    window: WebviewWindow<MockRuntime>,
    _folder: TempDir,
}

impl Shell {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let overrides = Overrides {
            camera: Some(Source::Synthetic),
            microphone: Some(Source::Synthetic),
            ..Overrides::default()
        };
        let options = Options {
            folder: folder.path().to_owned(),
            spool: folder.path().join("spool"),
            tokens: Arc::new(FileTokens::new(folder.path())),
            overrides,
            notices: Vec::new(),
            local_ports: Vec::new(),
            version: "0.0.0".to_owned(),
        };
        let app = async_runtime::block_on(async { App::start(options) }).unwrap();
        let builder = longtake_app_lib::with_commands(mock_builder()).manage(app);
        let tauri = builder.build(mock_context(noop_assets())).unwrap();
        let window = WebviewWindowBuilder::new(&tauri, "main", Default::default()).build().unwrap();
        Self { tauri, window, _folder: folder }
    }

    /// Calls a command as the screen does.
    fn call(&self, command: &str, arguments: Value) -> Result<Value, Value> {
        let request = InvokeRequest {
            cmd: command.to_owned(),
            callback: CallbackFn(0),
            error: CallbackFn(1),
            url: if cfg!(windows) { "http://tauri.localhost" } else { "tauri://localhost" }.parse().unwrap(),
            body: InvokeBody::Json(arguments),
            headers: Default::default(),
            invoke_key: INVOKE_KEY.to_owned(),
        };
        get_ipc_response(&self.window, request).map(|body| body.deserialize().unwrap())
    }

    /// Waits for a state of this kind.
    fn until(&self, reached: impl Fn(&State) -> bool) -> State {
        let mut states = self.tauri.state::<App>().state();
        async_runtime::block_on(async {
            timeout(std::time::Duration::from_secs(60), states.wait_for(reached))
                .await
                .unwrap()
                .unwrap()
                .clone()
        })
    }
}

fn code(answer: Result<Value, Value>) -> Value {
    answer.unwrap_err()["code"].clone()
}

#[test]
fn a_session_is_set_up_begun_and_ended_by_commands() {
    let shell = Shell::open();
    assert_eq!(code(shell.call("start", json!({}))), "no_server");
    let change =
        json!({"server": "127.0.0.1:9", "room": "stage", "token": {"kind": "set", "token": "secret"}});
    shell.call("change_settings", json!({"change": change})).unwrap();
    shell.until(|state| state.settings.has_token && state.settings.room == "stage");
    shell.call("set_muted", json!({"muted": true})).unwrap();
    shell.call("set_camera_on", json!({"on": false})).unwrap();
    shell.until(|state| !state.microphone.on && !state.camera.on);
    shell.call("start", json!({})).unwrap();
    shell.until(|state| state.session.is_some());
    assert_eq!(code(shell.call("start", json!({}))), "not_now");
    shell.call("reconnect", json!({})).unwrap();
    shell.call("stop", json!({})).unwrap();
    assert_eq!(code(shell.call("stop", json!({}))), "not_now");
    shell.call("dismiss", json!({})).unwrap();
    shell.call("dismiss", json!({})).unwrap();
    shell.until(|state| state.session.is_none());
    shell.call("close", json!({"answer": "keep"})).unwrap();
}

#[test]
fn the_room_is_visited_without_a_session_and_a_name_is_remembered() {
    let shell = Shell::open();
    assert_eq!(code(shell.call("open_room", json!({}))), "no_server");
    let change = json!({"server": "127.0.0.1:9", "alias": " Ada "});
    shell.call("change_settings", json!({"change": change})).unwrap();
    shell.until(|state| state.settings.alias.as_deref() == Some("Ada"));
    shell.call("open_room", json!({})).unwrap();
    let mut room = shell.tauri.state::<App>().room();
    let mut until = |visited| {
        async_runtime::block_on(async {
            let reached = room.wait_for(|room| room.is_some() == visited);
            timeout(std::time::Duration::from_secs(60), reached).await.unwrap().unwrap().clone()
        })
    };
    assert_eq!(until(true).unwrap().name.as_str(), "studio");
    // Nobody listens at that port.
    assert_eq!(code(shell.call("say", json!({"text": "Hello"}))), "not_now");
    shell.call("close_room", json!({})).unwrap();
    assert!(until(false).is_none());
}

#[test]
fn what_the_screen_asks_for_is_answered() {
    let shell = Shell::open();
    let devices = shell.call("devices", json!({})).unwrap();
    assert!(devices["cameras"].is_array() && devices["microphones"].is_array(), "{devices}");
    let report = shell.call("test_connection", json!({"server": "127.0.0.1:9", "token": null})).unwrap();
    assert_eq!(report["server"], "http://127.0.0.1:9");
    assert_eq!(report["steps"][1]["outcome"]["kind"], "failed", "{report}");
    shell.call("watch", json!({"channel": "__CHANNEL__:7"})).unwrap();
    shell.call("preview", json!({"channel": "__CHANNEL__:8"})).unwrap();
    shell.call("preview_shown", json!({"sequence": 1})).unwrap();
}

#[test]
fn what_cannot_be_is_a_problem_with_a_code() {
    let shell = Shell::open();
    let change = |change: Value| code(shell.call("change_settings", json!({"change": change})));
    assert_eq!(change(json!({"server": "rtmp://a"})), "bad_address");
    assert_eq!(change(json!({"room": "a b"})), "bad_setting");
    assert_eq!(code(shell.call("pair", json!({"link": "https://example.org"}))), "bad_pairing_link");
    assert_eq!(code(shell.call("use_local_server", json!({}))), "no_server");
    assert_eq!(code(shell.call("reconnect", json!({}))), "not_now");
    shell.call("dismiss_notice", json!({"code": "no_device"})).unwrap();
    // What no screen of ours sends is refused by its form.
    for (command, arguments) in [
        ("change_settings", json!({"change": {"colour": "red"}})),
        ("close", json!({"answer": "kill"})),
        ("dismiss_notice", json!({"code": "no_such_code"})),
        ("no_such_command", json!({})),
    ] {
        assert!(shell.call(command, arguments).is_err(), "{command}");
    }
}
