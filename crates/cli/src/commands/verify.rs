//! `longtake verify`: is every unit of a recording there, and as the device made it?

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, Write as _};
use std::path::Path;

use protocol::Secret;
use protocol::certificate::{Certificate, ReadCertificate};
use publisher::ServerAddress;
use publisher::connection::{DownloadError, download};

use super::runtime;
use crate::arguments::VerifyOptions;
use crate::exit::Failure;
use crate::verify::{check_signatures, compare};

/// The certificate of some days takes less.
const MAX_CERTIFICATE_BYTES: u64 = 1 << 30;

/// Compares and prints what was found.
pub(crate) fn run(options: &VerifyOptions) -> Result<(), Failure> {
    let is_url = ["http://", "https://"].iter().any(|scheme| options.recording.starts_with(scheme));
    if is_url {
        return verify_session(options);
    }
    let Some(path) = &options.certificate else {
        let text = "a file is checked with its certificate: --certificate FILE, from \
                    http://SERVER/api/sessions/ID/certificate";
        return Err(Failure::Usage(text.to_owned()));
    };
    let certificate = read_certificate(open(path)?)?;
    let recording = open(options.recording.as_ref())?;
    judge(options, &certificate, BufReader::new(recording))
}

/// Fetches the session's certificate and recording, the latter into a file that vanishes with the program.
fn verify_session(options: &VerifyOptions) -> Result<(), Failure> {
    let usage = || {
        let text = "the address of a session is http://SERVER/api/sessions/ID";
        Failure::Usage(text.to_owned())
    };
    let (base, id) = options.recording.split_once("/api/sessions/").ok_or_else(usage)?;
    let server: ServerAddress = base.parse().map_err(|error| Failure::Usage(format!("{error}")))?;
    let id: protocol::SessionId = id.trim_end_matches('/').parse().map_err(|_| usage())?;
    let shared = || std::env::var("STREAMING_ACCESS_TOKEN").ok().map(Secret::new);
    let token = options.token.clone().or_else(shared).filter(|token| !token.expose().is_empty());

    let fault = |error: io::Error| Failure::Fault(format!("no room for what is downloaded: {error}"));
    let runtime = runtime()?;
    let fetch = |what: &str| {
        let mut file = tempfile::tempfile().map_err(fault)?;
        let path = format!("/api/sessions/{id}/{what}");
        let take = |bytes: &[u8]| file.write_all(bytes);
        let download = download(&server, &path, token.as_ref(), options.ca_file.as_deref(), take);
        match runtime.block_on(download) {
            Ok(()) => file.rewind().map(|()| file).map_err(fault),
            Err(DownloadError::Keep(error)) => Err(fault(error)),
            Err(error) => Err(Failure::Server(error.to_string())),
        }
    };
    let certificate = match &options.certificate {
        Some(path) => open(path)?,
        None => fetch("certificate")?,
    };
    let certificate = read_certificate(certificate)?;
    if certificate.statement.session != id {
        return Err(Failure::Fault("the certificate is another session's".to_owned()));
    }
    let recording = fetch("recording.mp4")?;
    judge(options, &certificate, BufReader::new(recording))
}

fn open(path: &Path) -> Result<File, Failure> {
    File::open(path).map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))
}

fn read_certificate(file: File) -> Result<ReadCertificate, Failure> {
    let mut text = String::new();
    let read = file.take(MAX_CERTIFICATE_BYTES).read_to_string(&mut text);
    read.map_err(|error| Failure::Fault(format!("the certificate cannot be read: {error}")))?;
    Certificate::read(&text).map_err(|error| Failure::Fault(error.to_string()))
}

fn judge(
    options: &VerifyOptions,
    certificate: &ReadCertificate,
    recording: impl Read + Seek,
) -> Result<(), Failure> {
    let fault = |error: crate::verify::VerifyError| Failure::Fault(error.to_string());
    check_signatures(certificate, options.server_key.as_ref()).map_err(fault)?;
    let verdict = compare(recording, certificate).map_err(fault)?;
    for remark in verdict.remarks() {
        println!("{remark}");
    }
    if !verdict.is_complete() {
        return Err(Failure::Fault(verdict.to_string()));
    }
    println!("{verdict}");
    Ok(())
}
