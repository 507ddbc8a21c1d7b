//! Just enough HTTP to ask our own server on this machine: one GET over a plain socket.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};

/// The answer's status and body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    length_bytes: Option<u64>,
    body: BufReader<TcpStream>,
}

/// Asks `127.0.0.1:port` for `path`.
pub(crate) fn get(port: u16, path: &str) -> anyhow::Result<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    // HTTP/1.0 asks for a body that ends with the connection, so that no transfer coding is needed here.
    let request = format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    Answer::read(BufReader::new(stream))
}

impl Answer {
    fn read(mut body: BufReader<TcpStream>) -> anyhow::Result<Self> {
        let mut line = String::new();
        body.read_line(&mut line)?;
        let status = line
            .split_whitespace()
            .nth(1)
            .and_then(|code| code.parse().ok())
            .with_context(|| format!("not an HTTP answer: {line:?}"))?;
        let mut length_bytes = None;
        loop {
            line.clear();
            body.read_line(&mut line)?;
            let header = line.trim_end();
            if header.is_empty() {
                break;
            }
            if let Some((name, value)) = header.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length_bytes = Some(value.trim().parse()?);
            }
        }
        Ok(Self { status, length_bytes, body })
    }

    /// The whole body as JSON.
    pub(crate) fn json(mut self) -> anyhow::Result<serde_json::Value> {
        let mut text = String::new();
        self.body.read_to_string(&mut text)?;
        serde_json::from_str(&text).with_context(|| format!("not JSON: {text:?}"))
    }

    /// Writes the body to a file and returns its length; a body shorter than announced is an error.
    pub(crate) fn save(mut self, path: &Path) -> anyhow::Result<u64> {
        let mut file =
            std::fs::File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
        let saved_bytes = std::io::copy(&mut self.body, &mut file)?;
        match self.length_bytes {
            Some(expected) if expected != saved_bytes => {
                bail!("the server announced {expected} bytes and sent {saved_bytes}")
            }
            _ => Ok(saved_bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// Serves one canned answer and returns its port.
    fn server(answer: &'static str) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("one client");
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).expect("a request");
            stream.write_all(answer.as_bytes()).expect("answered");
        });
        port
    }

    #[test]
    fn an_answers_status_and_json_are_read() {
        let port = server("HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{\"a\":1}");
        let answer = get(port, "/").expect("an answer");
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json().expect("JSON")["a"], 1);
    }

    #[test]
    fn a_body_cut_short_is_an_error() {
        let port = server("HTTP/1.0 200 OK\r\ncontent-length: 9\r\n\r\nabc");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let error = get(port, "/")
            .and_then(|answer| answer.save(&folder.path().join("a.mp4")))
            .expect_err("six bytes are missing");
        assert!(error.to_string().contains("9 bytes"), "{error}");
    }
}
