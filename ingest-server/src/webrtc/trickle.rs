//! The body of a `PATCH`: candidates that a peer found after its offer (RFC 8840), in a fragment of SDP.
//!
//! The server is an ICE-lite agent: it answers whoever knows its password and tries no address by itself, so that a peer's
//! candidates need no place here. They are read to tell a peer that is wrong that it is.

/// Why a fragment is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum TrickleError {
    #[error("the body is no SDP fragment of candidates")]
    NotAFragment,
    #[error("ICE restarts are not supported; open the session anew")]
    Restart,
}

/// Checks a fragment from the peer of this name.
pub(super) fn check(fragment: &str, remote_ufrag: Option<&str>) -> Result<(), TrickleError> {
    let mut lines = fragment.lines().map(str::trim_end).filter(|line| !line.is_empty()).peekable();
    if lines.peek().is_none() {
        return Err(TrickleError::NotAFragment);
    }
    for line in lines {
        match line.split_once('=') {
            Some(("a", attribute)) => {
                if let Some(ufrag) = attribute.strip_prefix("ice-ufrag:")
                    && remote_ufrag.is_some_and(|known| known != ufrag.trim())
                {
                    return Err(TrickleError::Restart);
                }
            }
            Some(("m", _)) => {}
            _ => return Err(TrickleError::NotAFragment),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_are_taken_and_a_restart_is_not() {
        let fragment = "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=candidate:1 1 UDP 2130706431 host.local 5000 typ host\r\na=end-of-candidates\r\n";
        assert_eq!(check(fragment, Some("EsAw")), Ok(()));
        assert_eq!(check(fragment, None), Ok(()));
        assert_eq!(check(fragment, Some("Other")), Err(TrickleError::Restart));
        for garbage in ["", "\r\n", "{}", "candidate", "v=0\r\n", "a=mid:0\r\n\u{0}"] {
            assert_eq!(check(garbage, Some("EsAw")), Err(TrickleError::NotAFragment), "{garbage:?}");
        }
    }
}
