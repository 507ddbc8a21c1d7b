//! Figures as people write them: `2M`, `60s`, and the reverse.

use std::time::Duration;

/// A bit rate: a number of bit/s, or with `k` or `M` behind it.
pub(crate) fn parse_bitrate(text: &str) -> Result<u32, String> {
    let text = text.trim();
    let (number, factor) = match text.char_indices().next_back() {
        Some((at, 'k' | 'K')) => (&text[..at], 1e3),
        Some((at, 'm' | 'M')) => (&text[..at], 1e6),
        _ => (text, 1.0),
    };
    match number.parse::<f64>() {
        Ok(number) if number > 0.0 && number * factor <= 1e9 => Ok((number * factor).round() as u32),
        _ => Err("a bit rate is written 800k, 2M or 2000000 (bit/s)".to_owned()),
    }
}

/// An amount of bytes: a number, or with `k`, `M` or `G` behind it, by powers of 1024.
pub(crate) fn parse_bytes(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let (number, factor) = match text.char_indices().next_back() {
        Some((at, 'k' | 'K')) => (&text[..at], 1 << 10),
        Some((at, 'm' | 'M')) => (&text[..at], 1 << 20),
        Some((at, 'g' | 'G')) => (&text[..at], 1 << 30),
        _ => (text, 1),
    };
    match number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)) {
        Some(bytes) if (1 << 20..=1 << 50).contains(&bytes) => Ok(bytes),
        _ => Err("an amount is written 512M or 4G, from 1M on".to_owned()),
    }
}

/// An amount of bytes as people read it.
pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// A duration: a number of seconds, or with `ms`, `s`, `m`, `h` or `d` behind it.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let factor = match unit {
        "ms" => Some(1e-3),
        "" | "s" => Some(1.0),
        "m" | "min" => Some(60.0),
        "h" => Some(3_600.0),
        "d" => Some(86_400.0),
        _ => None,
    };
    match (number.trim().parse::<f64>(), factor) {
        (Ok(number), Some(factor)) if (0.0..=1e7).contains(&number) => {
            Ok(Duration::from_secs_f64(number * factor))
        }
        _ => Err("a duration is written 500ms, 60s, 5m or 1h".to_owned()),
    }
}

/// `mm:ss`, with hours when there are any.
pub(crate) fn clock_face(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes:02}:{seconds:02}")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn bit_rates_are_read_as_people_write_them() {
        for (text, bps) in [("800k", 800_000), ("2M", 2_000_000), ("2.5M", 2_500_000), ("64000", 64_000)] {
            assert_eq!(parse_bitrate(text).unwrap(), bps, "{text}");
        }
        for text in ["", "k", "-1k", "0", "NaN", "inf", "2 M b", "9999M", "2G"] {
            assert!(parse_bitrate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn amounts_are_read_as_people_write_them() {
        for (text, bytes) in [("4G", 4 << 30), ("512m", 512 << 20), ("2048k", 2 << 20), ("1048576", 1 << 20)]
        {
            assert_eq!(parse_bytes(text).unwrap(), bytes, "{text}");
        }
        for text in ["", "G", "-1G", "1.5G", "99999999999G", "100k", "0"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
        assert_eq!(mebibytes(1_572_864), "1.5 MiB");
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, ms) in [
            ("60", 60_000),
            ("60s", 60_000),
            ("1.5m", 90_000),
            ("1h", 3_600_000),
            ("2d", 172_800_000),
            ("20ms", 20),
            ("0", 0),
        ] {
            assert_eq!(parse_duration(text).unwrap(), Duration::from_millis(ms), "{text}");
        }
        for text in ["", "s", "-1s", "1 day", "1e99h", "NaN"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_clock_shows_hours_only_when_there_are_any() {
        assert_eq!(clock_face(Duration::from_secs(59)), "00:59");
        assert_eq!(clock_face(Duration::from_secs(3_723)), "1:02:03");
    }
}
