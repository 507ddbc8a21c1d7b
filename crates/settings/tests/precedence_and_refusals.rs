//! What a program sees of its flags, its environment and its file, and what it says about a wrong file.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use settings::{Error, File};

#[derive(clap::Parser, Debug)]
#[command(name = "example")]
struct Cli {
    /// Shared by all subcommands.
    #[arg(long, global = true, default_value = "info")]
    log: String,
    #[command(subcommand)]
    command: Sub,
}

#[derive(clap::Subcommand, Debug)]
enum Sub {
    Serve(Serve),
    Check {
        #[arg(long, default_value = "./recordings")]
        data_dir: PathBuf,
    },
}

#[derive(clap::Args, Debug)]
struct Serve {
    #[arg(long, env = "SETTINGS_TEST_PORT", default_value_t = 8000)]
    port: u16,
    #[arg(long)]
    data_dir: PathBuf,
    #[arg(long, value_delimiter = ',')]
    origins: Vec<String>,
    #[arg(long = "label")]
    labels: Vec<String>,
    #[arg(long)]
    json: bool,
    #[arg(long, default_value_t = 1.0)]
    ratio: f64,
    #[arg(long)]
    quality: Option<Quality>,
    #[arg(long, value_parser = seconds, default_value = "5m")]
    idle: u64,
    #[arg(long, env = "SETTINGS_TEST_TOKEN", hide_env_values = true, value_parser = token)]
    token: Option<String>,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq)]
enum Quality {
    Low,
    High,
}

fn seconds(text: &str) -> Result<u64, String> {
    let (number, factor) = match text.strip_suffix('m') {
        Some(minutes) => (minutes, 60),
        None => (text.trim_end_matches('s'), 1),
    };
    number.parse::<u64>().map(|number| number * factor).map_err(|_| "write it as 30s or 5m".to_owned())
}

fn token(text: &str) -> Result<String, String> {
    if text.len() < 8 {
        return Err(format!("{text} is too short"));
    }
    Ok(text.to_owned())
}

fn parsed(args: &str, toml: &str) -> Result<Cli, Error> {
    let file = File::parse(Path::new("example.toml"), toml)?;
    let args = std::iter::once("example").chain(args.split_whitespace());
    settings::parse_from(args.map(OsString::from), Some(&file), "SETTINGS_TEST_CONFIG")
}

fn served(args: &str, toml: &str) -> Serve {
    match parsed(&format!("serve {args}"), toml) {
        Ok(Cli { command: Sub::Serve(serve), .. }) => serve,
        other => panic!("not served: {other:?}"),
    }
}

fn refused(toml: &str) -> String {
    parsed("serve --data-dir d", toml).expect_err("must be refused").to_string()
}

#[test]
fn a_key_of_the_file_stands_behind_its_flag_and_before_the_built_in_default() {
    assert_eq!(served("--data-dir d", "").port, 8000);
    assert_eq!(served("--data-dir d", "port = 9000").port, 9000);
    assert_eq!(served("--data-dir d --port 9001", "port = 9000").port, 9001);
}

#[test]
fn the_environment_stands_between_the_command_line_and_the_file() {
    /// Reads a variable that cargo sets for every test, since a test cannot safely set one.
    #[derive(clap::Parser)]
    struct Cli {
        #[arg(long, env = "CARGO_PKG_NAME")]
        name: String,
    }
    let file = File::parse(Path::new("example.toml"), "name = 'file'").expect("valid");
    let name = |args: &[&str]| {
        let args = args.iter().map(OsString::from);
        settings::parse_from::<Cli>(args, Some(&file), "SETTINGS_TEST_CONFIG").expect("valid").name
    };
    assert_eq!(name(&["example"]), "settings");
    assert_eq!(name(&["example", "--name", "flag"]), "flag");
}

#[test]
fn every_kind_of_flag_can_be_written_in_the_file() {
    let serve = served(
        "",
        r#"
        data-dir = "/var/lib/longtake"
        origins = ["https://a.example", "https://b.example"]
        label = ["one, two", "three"]
        json = true
        ratio = 2
        quality = "high"
        idle = "2m"
        token = "a-long-secret"
        "#,
    );
    assert_eq!(serve.data_dir, Path::new("/var/lib/longtake"));
    assert_eq!(serve.origins, ["https://a.example", "https://b.example"]);
    assert_eq!(serve.labels, ["one, two", "three"]);
    assert!(serve.json);
    assert!((serve.ratio - 2.0).abs() < f64::EPSILON);
    assert_eq!(serve.quality, Some(Quality::High));
    assert_eq!(serve.idle, 120);
    assert_eq!(serve.token.as_deref(), Some("a-long-secret"));
}

#[test]
fn the_command_line_replaces_a_list_of_the_file_and_does_not_extend_it() {
    let serve = served("--data-dir d --label x --origins y", "label = ['a', 'b']\norigins = ['c']");
    assert_eq!(serve.labels, ["x"]);
    assert_eq!(serve.origins, ["y"]);
}

#[test]
fn one_value_may_stand_for_a_list_of_one_and_an_empty_list_is_a_list() {
    assert_eq!(served("--data-dir d", "label = 'a'").labels, ["a"]);
    assert!(served("--data-dir d", "label = []").labels.is_empty());
}

#[test]
fn a_key_applies_to_each_subcommand_that_has_the_flag_and_to_global_flags() {
    let toml = "data-dir = 'here'\nlog = 'trace'\nport = 1";
    assert_eq!(served("", toml).data_dir, Path::new("here"));
    let cli = parsed("check", toml).expect("check has no port, and that is no error");
    assert_eq!(cli.log, "trace");
    assert!(matches!(cli.command, Sub::Check { data_dir } if data_dir == Path::new("here")));
}

#[test]
fn a_required_flag_that_nobody_gives_is_still_an_error() {
    let error = parsed("serve", "port = 1").expect_err("data-dir is missing");
    assert!(matches!(&error, Error::Arguments(clap) if clap.exit_code() == 2), "{error}");
    assert!(error.to_string().contains("--data-dir"), "{error}");
}

#[test]
fn help_shows_the_files_defaults_and_the_config_flag_but_no_secret() {
    let error = parsed("serve --help", "port = 9000\ntoken = 'a-long-secret'").expect_err("help");
    assert!(matches!(&error, Error::Arguments(clap) if clap.exit_code() == 0));
    let help = error.to_string();
    assert!(help.contains("[default: 9000]"), "{help}");
    assert!(help.contains("--config <FILE>"), "{help}");
    assert!(!help.contains("a-long-secret"), "{help}");
}

#[test]
fn a_wrong_file_is_refused_with_the_place_the_key_and_what_to_do() {
    for (toml, expected) in [
        (
            "prot = 1",
            "example.toml:1: unknown setting `prot`, did you mean `port`?; the known settings are data-dir, idle,",
        ),
        ("\n\ndata_dir = 'x'", "example.toml:3: unknown setting `data_dir`, did you mean `data-dir`?"),
        ("zzz = 1", "example.toml:1: unknown setting `zzz`; the known settings are"),
        ("help = true", "unknown setting `help`"),
        ("config = 'x.toml'", "unknown setting `config`"),
        ("[serve]\nport = 1", "example.toml:1: unknown setting `serve`"),
        ("port = '8000'", "example.toml:1: `port` must be a whole number, not a string"),
        ("port = 1.5", "`port` must be a whole number, not a number with a fraction"),
        ("port = [1]", "`port` must be a whole number, not an array"),
        ("port = {a = 1}", "`port` must be a whole number, not a table (the file is flat)"),
        ("port = 70000", "`port`: `70000` is not valid: 70000 is not in 0..=65535"),
        ("port = -1", "`port`: `-1` is not valid"),
        ("json = 'yes'", "`json` must be true or false, not a string"),
        ("json = 1", "`json` must be true or false, not a whole number"),
        ("log = 3", "`log` must be a string, not a whole number"),
        ("ratio = 'x'", "`ratio`: `x` is not valid: invalid float literal"),
        ("label = [1]", "`label` must be a string, not a whole number"),
        ("label = [['a']]", "`label` must be a string, not an array"),
        ("idle = 1979-05-27", "`idle` must be a whole number, not a date or time"),
        ("idle = 'soon'", "`idle`: `soon` is not valid: write it as 30s or 5m"),
        ("quality = 'best'", "`quality`: `best` is not valid; it must be one of low, high"),
        ("origins = 'a,b'", "`origins`: a value must not contain `,`; write an array"),
        ("token = 'short'", "`token`: the value is not valid"),
        ("port = 1\nport = 2", "example.toml is not valid TOML"),
        ("port = ", "example.toml is not valid TOML"),
    ] {
        let message = refused(toml);
        assert!(message.contains(expected), "{toml:?} gave: {message}");
        assert!(!message.contains("short"), "a secret in: {message}");
    }
}
