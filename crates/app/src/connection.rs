//! What a test of the connection found, as the screen is told.

use publisher::connection::{ConnectionError, ConnectionReport, DownloadError, Invitation, Outcome, Step};

use crate::api::{self, ConnectionStep, Problem, ProblemCode, StepName, StepOutcome};
use crate::problem::sentence;

impl From<ConnectionReport> for api::ConnectionReport {
    fn from(report: ConnectionReport) -> Self {
        let step = |(step, outcome): (Step, Outcome)| {
            let name = match step {
                Step::Name => StepName::Name,
                Step::Connect => StepName::Connect,
                Step::Tls => StepName::Tls,
                Step::Version => StepName::Version,
                Step::Token => StepName::Token,
            };
            let outcome = match outcome {
                Outcome::Passed { detail } => StepOutcome::Passed { detail },
                Outcome::Failed(error) => StepOutcome::Failed { problem: (&error).into() },
                Outcome::Skipped => StepOutcome::Skipped,
            };
            ConnectionStep { name, outcome }
        };
        Self { server: report.server, steps: report.steps.into_iter().map(step).collect() }
    }
}

impl From<Invitation> for api::Invitation {
    fn from(Invitation { link, ends_unix_ms, is_local }: Invitation) -> Self {
        Self { link: link.expose().to_owned(), ends_unix_ms, is_local }
    }
}

impl From<&DownloadError> for Problem {
    fn from(error: &DownloadError) -> Self {
        let code = match error {
            DownloadError::Connection(error) => return error.into(),
            DownloadError::Refused { status: 401 | 403, .. } => ProblemCode::Unauthorized,
            DownloadError::Refused { status: 404, .. } => ProblemCode::UnsupportedVersion,
            DownloadError::Refused { .. } => ProblemCode::ServerRefused,
            _ => ProblemCode::Unreachable,
        };
        let retryable = code == ProblemCode::Unreachable;
        Self { code, message: sentence(&error.to_string()), retryable }
    }
}

impl From<&ConnectionError> for Problem {
    fn from(error: &ConnectionError) -> Self {
        use ConnectionError as E;
        use ProblemCode as C;
        let (code, retryable) = match error {
            E::Address(error) => return error.into(),
            E::ServerRefused(error) => return error.into(),
            E::NameUnknown { .. } => (C::NameUnknown, false),
            E::NameTimedOut { .. } => (C::NameUnknown, true),
            E::Refused { .. }
            | E::ConnectTimedOut { .. }
            | E::Unreachable { .. }
            | E::AnswerTimedOut { .. }
            | E::Unavailable { .. } => (C::Unreachable, true),
            E::NotAServer { .. } | E::Moved { .. } => (C::NotAServer, false),
            E::OtherVersion { .. } => (C::UnsupportedVersion, false),
            E::TokenMissing | E::TokenWrong => (C::Unauthorized, false),
            E::OwnAuthority(_)
            | E::UnknownAuthority { .. }
            | E::OtherName { .. }
            | E::Expired { .. }
            | E::NotYetValid { .. }
            | E::Certificate { .. }
            | E::TlsRefused { .. }
            | E::NotTls { .. }
            | E::TlsTimedOut { .. }
            | E::SpeaksPlainHttp { .. }
            | E::SpeaksTls { .. } => (C::TlsFailed, false),
            _ => (C::ServerRefused, false),
        };
        Self { code, message: sentence(&error.to_string()), retryable }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_keeps_its_place_and_a_failure_says_what_to_do() {
        let outcomes = [
            Outcome::Passed { detail: "127.0.0.1".into() },
            Outcome::Passed { detail: "connected".into() },
            Outcome::Skipped,
            Outcome::Passed { detail: "0.1.0".into() },
            Outcome::Failed(ConnectionError::TokenWrong),
        ];
        let steps = Step::ALL.into_iter().zip(outcomes).collect();
        let report = api::ConnectionReport::from(ConnectionReport { server: "http://a:1".into(), steps });
        let kinds: Vec<_> = report
            .steps
            .iter()
            .map(|step| serde_json::to_value(step).expect("a value"))
            .map(|step| format!("{} {}", step["name"], step["outcome"]["kind"]).replace('"', ""))
            .collect();
        assert_eq!(kinds, ["name passed", "connect passed", "tls skipped", "version passed", "token failed"]);
        let StepOutcome::Failed { problem } = &report.steps[4].outcome else { panic!("failed") };
        assert_eq!(problem.code, ProblemCode::Unauthorized);
        assert!(problem.message.starts_with("The server does not accept this access token; give"));
    }
}
