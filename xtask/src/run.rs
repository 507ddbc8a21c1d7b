//! Running another program to its end, with its command line shown and its failure an error.

use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// Shows the command, runs it with this terminal, and fails unless it succeeds.
pub(crate) fn checked(command: &mut Command) -> anyhow::Result<()> {
    println!("$ {}", shown(command));
    // Lines printed so far must stand before the program's own, also in a file.
    std::io::Write::flush(&mut std::io::stdout()).ok();
    let status = command.status().with_context(|| format!("cannot start {}", name(command)))?;
    if !status.success() {
        bail!("{} failed: {status}", name(command));
    }
    Ok(())
}

/// Runs the command quietly and returns what it printed; its complaints become the error when it fails.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<String> {
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {}", name(command)))?;
    if !output.status.success() {
        bail!(
            "`{}` failed ({}): {}",
            shown(command),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// True if the command starts and succeeds; nothing is shown.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    output(command).is_ok()
}

/// The command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let mut words = vec![name(command)];
    for arg in command.get_args() {
        let arg = arg.to_string_lossy();
        if arg.is_empty() || arg.contains(|letter: char| letter.is_whitespace() || letter == '\'') {
            words.push(format!("{arg:?}"));
        } else {
            words.push(arg.into_owned());
        }
    }
    words.join(" ")
}

fn name(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    program.file_name().unwrap_or(command.get_program()).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        let mut command = Command::new("/usr/bin/ffmpeg");
        command.args(["-i", "a b.h264", "-"]);
        assert_eq!(shown(&command), "ffmpeg -i \"a b.h264\" -");
    }

    #[test]
    fn a_program_that_does_not_exist_is_an_error_with_its_name() {
        let error = checked(&mut Command::new("longtake-no-such-program")).expect_err("absent");
        assert!(format!("{error:#}").contains("longtake-no-such-program"));
    }
}
