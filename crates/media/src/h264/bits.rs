//! Bits of a raw byte sequence payload: emulation prevention bytes removed, Exp-Golomb decoded.

/// Reads the payload of a NAL unit bit by bit (§7.3.1, §9.1). Every read is `None` behind the end.
#[derive(Debug)]
pub(super) struct BitReader<'a> {
    rest: &'a [u8],
    zeros: u8,
    byte: u8,
    bits_left: u8,
}

impl<'a> BitReader<'a> {
    /// A reader of what follows the NAL unit's header byte.
    pub(super) const fn new(payload: &'a [u8]) -> Self {
        Self { rest: payload, zeros: 0, byte: 0, bits_left: 0 }
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        if self.bits_left == 0 {
            self.byte = self.next_byte()?;
            self.bits_left = 8;
        }
        self.bits_left -= 1;
        Some(self.byte >> self.bits_left & 1 == 1)
    }

    fn next_byte(&mut self) -> Option<u8> {
        let (mut byte, mut rest) = self.rest.split_first()?;
        if self.zeros == 2 && *byte == 3 {
            (byte, rest) = rest.split_first()?;
            self.zeros = 0;
        }
        self.zeros = if *byte == 0 { (self.zeros + 1).min(2) } else { 0 };
        self.rest = rest;
        Some(*byte)
    }

    /// An unsigned number of `count` bits, at most 32.
    pub(super) fn bits(&mut self, count: u8) -> Option<u32> {
        debug_assert!(count <= 32);
        let mut value = 0u32;
        for _ in 0..count {
            value = value << 1 | u32::from(self.flag()?);
        }
        Some(value)
    }

    /// `ue(v)`: at most 2³² − 2.
    pub(super) fn unsigned(&mut self) -> Option<u32> {
        let mut leading_zeros = 0;
        while !self.flag()? {
            leading_zeros += 1;
            if leading_zeros == 32 {
                return None;
            }
        }
        let suffix = self.bits(leading_zeros)?;
        Some(((1u32 << leading_zeros) - 1).saturating_add(suffix))
    }

    /// `se(v)`.
    pub(super) fn signed(&mut self) -> Option<i64> {
        let code = i64::from(self.unsigned()?);
        Some(if code % 2 == 1 { (code + 1) / 2 } else { -(code / 2) })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Writes what [`BitReader`] reads, for round trips.
    #[derive(Debug, Default)]
    pub(in crate::h264) struct BitWriter {
        bits: Vec<bool>,
    }

    impl BitWriter {
        pub(in crate::h264) fn bits(&mut self, value: u32, count: u8) -> &mut Self {
            self.bits.extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
            self
        }

        pub(in crate::h264) fn unsigned(&mut self, value: u32) -> &mut Self {
            let code = u64::from(value) + 1;
            let length = 64 - code.leading_zeros() as u8;
            self.bits.extend(std::iter::repeat_n(false, usize::from(length) - 1));
            self.bits.extend((0..length).rev().map(|bit| code >> bit & 1 == 1));
            self
        }

        pub(in crate::h264) fn signed(&mut self, value: i32) -> &mut Self {
            self.unsigned(if value > 0 { value as u32 * 2 - 1 } else { value.unsigned_abs() * 2 })
        }

        /// The bytes with a stop bit and emulation prevention.
        pub(in crate::h264) fn escaped(&self) -> Vec<u8> {
            let mut bits = self.bits.clone();
            bits.push(true);
            let mut bytes: Vec<u8> = Vec::new();
            for eight in bits.chunks(8) {
                let byte =
                    eight.iter().enumerate().fold(0, |byte, (at, &bit)| byte | u8::from(bit) << (7 - at));
                if byte <= 3 && bytes.ends_with(&[0, 0]) {
                    bytes.push(3);
                }
                bytes.push(byte);
            }
            bytes
        }
    }

    #[test]
    fn numbers_of_too_many_zeros_end_the_reading() {
        assert_eq!(BitReader::new(&[0; 64]).unsigned(), None);
        assert_eq!(BitReader::new(&[0, 0, 3, 0, 0, 3, 1, 0xff, 0xff, 0xff, 0xff, 0xff]).unsigned(), None);
        assert_eq!(BitReader::new(&[]).flag(), None);
        assert_eq!(BitReader::new(&[0, 0, 3]).bits(24), None);
    }

    proptest! {
        #[test]
        fn numbers_survive_escaping(
            unsigned in prop::collection::vec(prop_oneof![0..10u32, 0..=u32::MAX / 2 - 1], 1..20),
            signed in prop::collection::vec(prop_oneof![-3..4i32, -1_000_000..1_000_000i32], 1..20),
        ) {
            let mut writer = BitWriter::default();
            unsigned.iter().for_each(|&value| { writer.unsigned(value); });
            signed.iter().for_each(|&value| { writer.signed(value); });
            let bytes = writer.escaped();
            let mut reader = BitReader::new(&bytes);
            for value in unsigned {
                prop_assert_eq!(reader.unsigned(), Some(value));
            }
            for value in signed {
                prop_assert_eq!(reader.signed(), Some(i64::from(value)));
            }
        }

        #[test]
        fn any_bytes_are_read_to_their_end(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let mut reader = BitReader::new(&bytes);
            let mut reads = 0;
            while reader.signed().is_some() {
                reads += 1;
            }
            prop_assert!(reads <= bytes.len() * 8);
        }
    }
}
