//! The file's values become the defaults of a clap command's flags.
//!
//! Each value is first tried with the flag's own value parser: clap treats a default that does not parse as a mistake
//! of the programmer and panics, while here it is a mistake in the user's file.

use std::any::TypeId;
use std::path::PathBuf;

use clap::{Arg, ArgAction, Command};
use toml::Value;

use crate::file::{Entry, File};
use crate::{CONFIG_FLAG, Error};

/// Returns `command` with every entry of `file` as a default, or the first entry that does not fit.
pub(crate) fn apply(mut command: Command, file: &File) -> Result<Command, Error> {
    let known = known_keys(&command);
    for entry in &file.entries {
        if !known.contains(&entry.key) {
            return Err(unknown(file, entry, known));
        }
        command = apply_entry(command, file, entry)?;
    }
    Ok(command)
}

fn apply_entry(mut command: Command, file: &File, entry: &Entry) -> Result<Command, Error> {
    let ids: Vec<clap::Id> = command
        .get_arguments()
        .filter(|arg| arg.get_long() == Some(&entry.key))
        .map(|arg| arg.get_id().clone())
        .collect();
    for id in ids {
        let mut failure = None;
        command = command.mut_arg(id, |arg| match texts(&arg, file, entry) {
            Ok(texts) => {
                let is_secret = arg.is_hide_env_values_set();
                // A value from the file satisfies a flag that must be given, and `--help` must not show a secret.
                let arg = arg.required(false).default_values(texts);
                if is_secret { arg.hide_default_value(true) } else { arg }
            }
            Err(error) => {
                failure = Some(error);
                arg
            }
        });
        if let Some(error) = failure {
            return Err(error);
        }
    }
    let names: Vec<String> =
        command.get_subcommands().map(|subcommand| subcommand.get_name().to_owned()).collect();
    for name in names {
        let mut failure = None;
        command = command.mut_subcommand(name, |subcommand| {
            let unchanged = subcommand.clone();
            apply_entry(subcommand, file, entry).unwrap_or_else(|error| {
                failure = Some(error);
                unchanged
            })
        });
        if let Some(error) = failure {
            return Err(error);
        }
    }
    Ok(command)
}

/// The entry's value as the texts that stand for it on a command line, each accepted by the flag's parser.
fn texts(arg: &Arg, file: &File, entry: &Entry) -> Result<Vec<String>, Error> {
    let takes_many = matches!(arg.get_action(), ArgAction::Append)
        || arg.get_value_delimiter().is_some()
        || arg.get_num_args().is_some_and(|range| range.max_values() > 1);
    let values: Vec<&Value> = match &entry.value {
        Value::Array(values) if takes_many => values.iter().collect(),
        value => vec![value],
    };
    values
        .into_iter()
        .map(|value| {
            let text = text(arg, value).map_err(|expected| Error::WrongType {
                path: file.path.clone(),
                line: entry.line,
                key: entry.key.clone(),
                expected,
                found: type_name(value),
            })?;
            accepted(arg, text, value).map_err(|message| Error::InvalidValue {
                path: file.path.clone(),
                line: entry.line,
                key: entry.key.clone(),
                message,
            })
        })
        .collect()
}

/// The value as a command line would carry it, or what the flag takes instead.
///
/// Where the flag's Rust type is known to be a text, a number or a boolean, TOML must have the same; a flag of any
/// other type (an address, a choice) takes a string or a number and judges it itself. A number may have a parser of
/// its own, as `"5m"` for a count of seconds, and so a string that is no number in quotes is left to it too.
fn text(arg: &Arg, value: &Value) -> Result<String, &'static str> {
    let expected = if is_switch(arg) {
        "true or false"
    } else if matches!(arg.get_action(), ArgAction::Count) {
        "a whole number"
    } else {
        expected_type(arg)
    };
    match (expected, value) {
        (_, Value::Table(_) | Value::Array(_)) => Err(expected),
        ("true or false", Value::Boolean(is_on)) => Ok(is_on.to_string()),
        ("a whole number", Value::Integer(number)) => Ok(number.to_string()),
        ("a number", Value::Integer(number)) => Ok(number.to_string()),
        ("a number", Value::Float(number)) => Ok(number.to_string()),
        ("a number" | "a whole number", Value::String(text)) if text.parse::<f64>().is_err() => {
            Ok(text.clone())
        }
        ("a string", Value::String(text)) => Ok(text.clone()),
        ("a string or a number", Value::String(text)) => Ok(text.clone()),
        ("a string or a number", Value::Integer(number)) => Ok(number.to_string()),
        ("a string or a number", Value::Float(number)) => Ok(number.to_string()),
        _ => Err(expected),
    }
}

fn is_switch(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::SetTrue | ArgAction::SetFalse)
}

fn expected_type(arg: &Arg) -> &'static str {
    let parser = arg.get_value_parser();
    let is = |types: &[TypeId]| types.iter().any(|wanted| parser.type_id() == *wanted);
    if is(&[TypeId::of::<bool>()]) {
        "true or false"
    } else if is(&[TypeId::of::<String>(), TypeId::of::<PathBuf>()]) {
        "a string"
    } else if is(&[TypeId::of::<f32>(), TypeId::of::<f64>()]) {
        "a number"
    } else if is(&[
        TypeId::of::<u8>(),
        TypeId::of::<u16>(),
        TypeId::of::<u32>(),
        TypeId::of::<u64>(),
        TypeId::of::<usize>(),
        TypeId::of::<i8>(),
        TypeId::of::<i16>(),
        TypeId::of::<i32>(),
        TypeId::of::<i64>(),
        TypeId::of::<isize>(),
    ]) {
        "a whole number"
    } else {
        "a string or a number"
    }
}

/// Gives `text` back when the flag's own parser takes it, else the parser's objection.
fn accepted(arg: &Arg, text: String, value: &Value) -> Result<String, String> {
    if let Some(delimiter) = arg.get_value_delimiter().filter(|one| text.contains(*one)) {
        // clap would cut the default in two. Only an array says plainly where one value ends.
        return Err(format!("a value must not contain `{delimiter}`; write an array"));
    }
    if is_switch(arg) || matches!(value, Value::Boolean(_)) {
        return Ok(text);
    }
    // The flag alone, without what ties it to others: groups, requirements, conflicts.
    let alone = Arg::new("value")
        .long("value")
        .action(ArgAction::Set)
        .allow_hyphen_values(true)
        .value_parser(arg.get_value_parser().clone());
    let attempt = Command::new("settings")
        .no_binary_name(true)
        .arg(alone)
        .try_get_matches_from([format!("--value={text}")]);
    match attempt {
        Ok(_) => Ok(text),
        Err(_) if arg.is_hide_env_values_set() => Err("the value is not valid".to_owned()),
        Err(error) => Err(objection(&error, &text)),
    }
}

/// clap's reason without its usage lines and without the name of the stand-in flag.
fn objection(error: &clap::Error, text: &str) -> String {
    use clap::error::{ContextKind, ContextValue};
    let detail = match (std::error::Error::source(error), error.get(ContextKind::ValidValue)) {
        (Some(source), _) => format!(": {source}"),
        (None, Some(ContextValue::Strings(valid))) => {
            format!("; it must be one of {}", valid.join(", "))
        }
        _ => String::new(),
    };
    format!("`{text}` is not valid{detail}")
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a string",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a number with a fraction",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date or time",
        Value::Array(_) => "an array",
        Value::Table(_) => "a table (the file is flat)",
    }
}

/// Every long flag of the command and its subcommands that means something in a file.
fn known_keys(command: &Command) -> Vec<String> {
    let mut known: Vec<String> = command
        .get_arguments()
        .filter_map(Arg::get_long)
        .filter(|long| ![CONFIG_FLAG, "help", "version"].contains(long))
        .map(str::to_owned)
        .chain(command.get_subcommands().flat_map(known_keys))
        .collect();
    known.sort();
    known.dedup();
    known
}

fn unknown(file: &File, entry: &Entry, known: Vec<String>) -> Error {
    /// Below this likeness (0 to 1) a proposal confuses more than it helps.
    const LIKENESS_MIN: f64 = 0.7;
    let likeness = |name: &String| strsim::jaro_winkler(name, &entry.key);
    let closest = known
        .iter()
        .filter(|name| likeness(name) >= LIKENESS_MIN)
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
        .cloned();
    Error::UnknownKey { path: file.path.clone(), line: entry.line, key: entry.key.clone(), closest, known }
}
