//! A program's configuration from flags, the environment and one TOML file, with the same names for all three.
//!
//! The program's clap derive struct is the only list of settings. A key in the file is a long flag's name, and its
//! value becomes that flag's default *before* clap parses. So the order of precedence is clap's own:
//!
//! 1. the flag on the command line,
//! 2. the environment variable that the flag names,
//! 3. the file,
//! 4. the default written in the struct.
//!
//! ```no_run
//! #[derive(clap::Parser)]
//! struct Cli {
//!     /// The port to listen on.
//!     #[arg(long, env = "PORT", default_value_t = 8000)]
//!     port: u16,
//! }
//!
//! // `port = 9000` in longtake-ingest.toml now stands behind `--port` and PORT.
//! let cli: Cli = settings::parse(Some("longtake-ingest.toml".as_ref()), "LONGTAKE_INGEST_CONFIG");
//! ```
//!
//! The file is flat: a key applies to every (sub)command that has a flag of that name. Lists are arrays. A switch (a
//! flag without a value) is a boolean. An unknown key, a table or a value of the wrong type is an error, because a
//! setting that is silently ignored is worse than a program that does not start.

mod defaults;
mod error;
mod file;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub use error::Error;
pub use file::File;

/// The flag that names the file. It is added to every command, so that no program has to declare it.
const CONFIG_FLAG: &str = "config";

/// Parses this program's command line, or prints what is wrong and exits with code 2.
///
/// `default_path` is read when neither `--config FILE` nor the environment variable `env_name` names a file. It may be
/// absent; a file that the user named may not. `--help` and `--version` print and exit with code 0.
pub fn parse<Cli: clap::Parser>(default_path: Option<&Path>, env_name: &'static str) -> Cli {
    let args: Vec<OsString> = std::env::args_os().collect();
    let location = Location::find(&args, std::env::var_os(env_name), default_path);
    let outcome = location.read().and_then(|file| parse_from(args, file.as_ref(), env_name));
    match outcome {
        Ok(cli) => cli,
        Err(Error::Arguments(error)) => error.exit(),
        Err(error) => {
            eprintln!("error: {error}");
            std::process::exit(2);
        }
    }
}

/// Parses `args` (the program's name first) over the settings of `file`: the pure middle of [`parse`].
///
/// Nothing is read here but the environment variables that the command's own flags name, by clap.
///
/// # Errors
/// [`Error::Arguments`] for everything clap reports, `--help` included; the other variants when `file` does not fit
/// the command.
pub fn parse_from<Cli: clap::Parser>(
    args: impl IntoIterator<Item = OsString>,
    file: Option<&File>,
    env_name: &'static str,
) -> Result<Cli, Error> {
    let mut command = with_config_flag(Cli::command(), env_name);
    if let Some(file) = file {
        command = defaults::apply(command, file)?;
    }
    let mut matches = command.clone().try_get_matches_from(args).map_err(Error::Arguments)?;
    Cli::from_arg_matches_mut(&mut matches).map_err(|error| Error::Arguments(error.format(&mut command)))
}

fn with_config_flag(command: clap::Command, env_name: &'static str) -> clap::Command {
    if command.get_arguments().any(|arg| arg.get_long() == Some(CONFIG_FLAG)) {
        return command;
    }
    command.arg(
        clap::Arg::new(CONFIG_FLAG)
            .long(CONFIG_FLAG)
            .value_name("FILE")
            .env(env_name)
            .global(true)
            .value_parser(clap::value_parser!(PathBuf))
            .help("A TOML file of settings; its keys are the long flags' names"),
    )
}

/// Where the file is, and whether the user asked for it by name.
#[derive(Debug, PartialEq, Eq)]
enum Location {
    /// By `--config` or the environment: its absence is an error.
    Named(PathBuf),
    /// The program's default place: its absence is normal.
    Default(PathBuf),
    /// The program has no default place, and nobody named a file.
    Nowhere,
}

impl Location {
    /// The flag wins over the environment, which wins over the default. Of several flags the last one counts, as in
    /// shells' habit of appending to an alias. An empty environment variable counts as unset.
    fn find(args: &[OsString], env: Option<OsString>, default_path: Option<&Path>) -> Self {
        let mut named = env.filter(|path| !path.is_empty()).map(PathBuf::from);
        let mut rest = args.iter().skip(1);
        while let Some(arg) = rest.next() {
            if arg == "--" {
                break;
            } else if arg == "--config" {
                named = rest.next().map(PathBuf::from).or(named);
            } else if let Some(path) = arg.to_str().and_then(|arg| arg.strip_prefix("--config=")) {
                named = Some(PathBuf::from(path));
            }
        }
        match (named, default_path) {
            (Some(path), _) => Self::Named(path),
            (None, Some(path)) => Self::Default(path.to_owned()),
            (None, None) => Self::Nowhere,
        }
    }

    fn read(&self) -> Result<Option<File>, Error> {
        let (path, may_be_absent) = match self {
            Self::Named(path) => (path, false),
            Self::Default(path) => (path, true),
            Self::Nowhere => return Ok(None),
        };
        match std::fs::read_to_string(path) {
            Ok(text) => File::parse(path, &text).map(Some),
            Err(error) if may_be_absent && error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::Unreadable { path: path.clone(), source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(args: &[&str], env: Option<&str>, default_path: Option<&str>) -> Location {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        Location::find(&args, env.map(OsString::from), default_path.map(Path::new))
    }

    #[test]
    fn the_flag_wins_over_the_environment_and_that_over_the_default_place() {
        let named = |path: &str| Location::Named(path.into());
        for (args, env, default_path, expected) in [
            (vec!["x", "--config", "a.toml"], Some("b.toml"), Some("c.toml"), named("a.toml")),
            (vec!["x", "--config=a.toml"], None, None, named("a.toml")),
            (vec!["x", "sub", "--config=a", "--config", "b"], None, None, named("b")),
            (vec!["x"], Some("b.toml"), Some("c.toml"), named("b.toml")),
            (vec!["x"], Some(""), Some("c.toml"), Location::Default("c.toml".into())),
            (vec!["x", "--", "--config", "a"], None, None, Location::Nowhere),
            (vec!["x", "--config"], None, None, Location::Nowhere),
        ] {
            assert_eq!(found(&args, env, default_path), expected, "{args:?}");
        }
    }

    #[test]
    fn only_a_file_that_nobody_named_may_be_absent() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let absent = folder.path().join("absent.toml");
        assert!(matches!(Location::Default(absent.clone()).read(), Ok(None)));
        let error = Location::Named(absent).read().expect_err("must be an error");
        assert!(error.to_string().contains("absent.toml"), "{error}");
    }
}
