//! The shipped programs find each other by a pairing link, and the publisher says what stands in the way.
#![allow(clippy::unwrap_used)]

use std::process::{Command, Output};

use anyhow::Result;
use testkit::child::{PATIENCE, Running, Server, free_port, program};

const TOKEN: &str = "correct-horse";

fn run(name: &str, args: &[&str], env: &[(&str, &str)]) -> Result<Output> {
    let mut command = Command::new(program(name)?);
    command.args(args).env_remove("STREAMING_ACCESS_TOKEN").env_remove("LONGTAKE_PAIR");
    Ok(command.envs(env.iter().copied()).current_dir(std::env::temp_dir()).output()?)
}

fn test_connection(args: &[&str], env: &[(&str, &str)]) -> Result<(i32, String, String)> {
    let output = run("longtake", &[&["test-connection"], args].concat(), env)?;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ok((output.status.code().unwrap(), text(output.stdout), text(output.stderr)))
}

#[test]
fn a_link_leads_to_the_server_that_made_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let port = free_port()?;
    let listen = ["--listen", "127.0.0.1", "--streaming-access-token", TOKEN, "--pairing-room", "stage"];
    let server = Server::start(folder.path(), port, &listen)?;
    let made = run("longtake-ingest", &[&["pair", "--port", &port.to_string()][..], &listen].concat(), &[])?;
    let link = String::from_utf8(made.stdout)?;
    let link = link.trim();

    let (code, steps, errors) = test_connection(&[], &[("LONGTAKE_PAIR", link)])?;
    assert_eq!(code, 0, "{steps}{errors}");
    for line in [
        "name     ok",
        "connect  ok",
        "tls      -",
        "version  ok      longtake-ingest",
        "token    ok      accepted",
    ] {
        assert!(steps.contains(line), "{line}: {steps}");
    }
    let address = format!("127.0.0.1:{port}");
    for (token, hint) in [("", "asks for an access token"), ("wrong", "does not accept this access token")] {
        let (code, steps, errors) = test_connection(&["--server", &address], &[("LONGTAKE_TOKEN", token)])?;
        assert_eq!(code, 3, "{steps}{errors}");
        assert!(steps.contains("token    failed") && errors.contains(hint), "{steps}{errors}");
    }
    let wrong_path = format!("http://{address}/elsewhere");
    let (code, steps, errors) = test_connection(&["--server", &wrong_path], &[("LONGTAKE_TOKEN", TOKEN)])?;
    assert!(code == 3 && steps.contains("version  failed"), "{steps}{errors}");
    let (code, json, _) = test_connection(&["--json", "--server", &address], &[("LONGTAKE_TOKEN", TOKEN)])?;
    let json: serde_json::Value = serde_json::from_str(&json)?;
    assert_eq!((code, &json["passed"], &json["steps"][4]["step"]), (0, &true.into(), &"token".into()));

    let args = ["publish", "--camera", "none", "--microphone", "synthetic", "--duration", "1s", "--json"];
    let mut publisher = Running::start("longtake", &args, &[("LONGTAKE_PAIR", link)])?;
    let status = publisher.wait(PATIENCE)?;
    assert!(status.success(), "{}", publisher.output());
    assert!(publisher.output().contains(r#""room":"stage""#), "{}", publisher.output());
    assert!(!publisher.output().contains(TOKEN) && !server.process.output().contains(TOKEN));
    Ok(())
}

#[test]
fn a_bad_link_or_nobody_there_ends_with_its_own_code() -> Result<()> {
    let bad = "longtake://pair?token=correct-horse";
    let (code, _, errors) = test_connection(&["--pair", bad], &[])?;
    assert!(code == 2 && errors.contains("names no server") && !errors.contains(TOKEN), "{errors}");
    let nobody = format!("127.0.0.1:{}", free_port()?);
    let (code, steps, errors) = test_connection(&["--server", &nobody], &[])?;
    assert!(code == 3 && steps.contains("connect  failed") && errors.contains("nothing listens"), "{errors}");
    Ok(())
}
