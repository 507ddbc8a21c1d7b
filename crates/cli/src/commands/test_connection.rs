//! `longtake test-connection`: what stands between this machine and the server.

use publisher::connection::{self, ConnectionError, ConnectionReport, Outcome};
use serde_json::{Value, json};

use super::runtime;
use crate::arguments::TestConnectionOptions;
use crate::exit::Failure;

/// Tests the connection and prints each step.
pub(crate) fn run(options: &TestConnectionOptions) -> Result<(), Failure> {
    let to = options.reach.destination(None)?;
    let address = to.server.to_string();
    let runtime = runtime()?;
    let report = runtime.block_on(connection::test(&address, to.token.as_ref(), to.own_authority.as_deref()));
    // A name service that does not answer must not keep the program from ending.
    runtime.shutdown_background();
    if options.json {
        println!("{}", to_json(&report));
    } else {
        print!("{}", text(&report));
    }
    match report.failure() {
        None => Ok(()),
        Some((_, error @ ConnectionError::OwnAuthority(_))) => Err(Failure::Usage(error.to_string())),
        Some((_, error)) => Err(Failure::Server(error.to_string())),
    }
}

/// One line a step. What failed is said on standard error, as by every command.
fn text(report: &ConnectionReport) -> String {
    let mut text = format!("{}\n", report.server);
    for (step, outcome) in &report.steps {
        let (mark, detail) = match outcome {
            Outcome::Passed { detail } => ("ok", detail.as_str()),
            Outcome::Failed(_) => ("failed", ""),
            Outcome::Skipped => ("-", ""),
        };
        let line = format!("  {:8} {mark:6}  {detail}", step.name());
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn to_json(report: &ConnectionReport) -> Value {
    let step = |(step, outcome): &(connection::Step, Outcome)| match outcome {
        Outcome::Passed { detail } => json!({ "step": step.name(), "outcome": "passed", "detail": detail }),
        Outcome::Failed(error) => {
            json!({ "step": step.name(), "outcome": "failed", "reason": error.to_string() })
        }
        Outcome::Skipped => json!({ "step": step.name(), "outcome": "skipped" }),
    };
    let steps: Vec<Value> = report.steps.iter().map(step).collect();
    json!({ "type": "connection", "server": report.server, "passed": report.failure().is_none(), "steps": steps })
}
