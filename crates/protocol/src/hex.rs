use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// `N` bytes, written as `2 N` lower-case hexadecimal digits: digests, public keys, signatures.
///
/// There is one spelling, so that equal texts and equal bytes are the same thing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hex<const N: usize>(pub [u8; N]);

/// The text is not [`Hex`] of the right length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{digits} lower-case hexadecimal digits are expected")]
pub struct HexError {
    digits: usize,
}

impl<const N: usize> fmt::Display for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl<const N: usize> fmt::Debug for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<const N: usize> FromStr for Hex<N> {
    type Err = HexError;

    fn from_str(text: &str) -> Result<Self, HexError> {
        let error = HexError { digits: 2 * N };
        if text.len() != 2 * N {
            return Err(error);
        }
        let digit = |digit: u8| match digit {
            b'0'..=b'9' => Ok(digit - b'0'),
            b'a'..=b'f' => Ok(digit - b'a' + 10),
            _ => Err(error),
        };
        let mut bytes = [0; N];
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = digit(digits[0])? << 4 | digit(digits[1])?;
        }
        Ok(Self(bytes))
    }
}

impl<const N: usize> TryFrom<String> for Hex<N> {
    type Error = HexError;

    fn try_from(text: String) -> Result<Self, HexError> {
        text.parse()
    }
}

impl<const N: usize> From<Hex<N>> for String {
    fn from(bytes: Hex<N>) -> Self {
        bytes.to_string()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_spelling() {
        let bytes: Hex<3> = "00a5ff".parse().unwrap();
        assert_eq!((bytes.0, bytes.to_string().as_str()), ([0, 0xa5, 0xff], "00a5ff"));
        for bad in ["", "00a5f", "00a5ff0", "00A5FF", "00a5fg", "ä5ff0", "0x00a5"] {
            assert!(bad.parse::<Hex<3>>().is_err(), "{bad:?}");
        }
    }
}
