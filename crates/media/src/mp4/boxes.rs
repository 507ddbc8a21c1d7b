//! The walk over boxes that the readers share. It descends only where a reader asks it to, so that
//! nothing in a file can make it recurse.

use super::{BoxName, Mp4Error};

/// One box: where it is and what it holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct BoxView<'a> {
    pub(super) name: BoxName,
    /// Where the box starts, in bytes from the start of what the reader was given.
    pub(super) offset: u64,
    pub(super) header_bytes: u64,
    pub(super) body: &'a [u8],
}

/// A box's header.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) name: BoxName,
    pub(super) header_bytes: u64,
    /// Header and body.
    pub(super) total_bytes: u64,
}

/// Reads the header at the start of `bytes`, which lie at `offset`.
///
/// A size of zero, "to the end of the file", is not accepted: this crate always writes sizes.
pub(super) fn head(bytes: &[u8], offset: u64) -> Result<Head, Mp4Error> {
    let truncated = Mp4Error::Truncated { box_name: BoxName(*b"????"), offset };
    let Some((size, rest)) = bytes.split_first_chunk::<4>() else { return Err(truncated) };
    let Some((name, rest)) = rest.split_first_chunk::<4>() else { return Err(truncated) };
    let box_name = BoxName(*name);
    let (header_bytes, total_bytes) = match u32::from_be_bytes(*size) {
        1 => match rest.first_chunk::<8>() {
            Some(large) => (16, u64::from_be_bytes(*large)),
            None => return Err(Mp4Error::Truncated { box_name, offset }),
        },
        small => (8, u64::from(small)),
    };
    if total_bytes < header_bytes {
        return Err(Mp4Error::Broken { box_name, offset, reason: "its size is less than its header's" });
    }
    Ok(Head { name: box_name, header_bytes, total_bytes })
}

/// The box at the start of `bytes`, which lie at `offset`; and what follows it.
pub(super) fn split_box(bytes: &[u8], offset: u64) -> Result<(BoxView<'_>, &[u8]), Mp4Error> {
    let Head { name, header_bytes, total_bytes } = head(bytes, offset)?;
    let truncated = Mp4Error::Truncated { box_name: name, offset };
    let Ok(length) = usize::try_from(total_bytes) else { return Err(truncated) };
    let Some((whole, rest)) = bytes.split_at_checked(length) else { return Err(truncated) };
    Ok((BoxView { name, offset, header_bytes, body: &whole[header_bytes as usize..] }, rest))
}

impl<'a> BoxView<'a> {
    /// The boxes in this box, behind `fields_bytes` of its own fields.
    pub(super) fn children(
        &self,
        fields_bytes: usize,
    ) -> impl Iterator<Item = Result<BoxView<'a>, Mp4Error>> + use<'a> {
        let mut rest = self.body.get(fields_bytes..).unwrap_or_default();
        let mut offset = self.offset + self.header_bytes + fields_bytes as u64;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let split = split_box(rest, offset);
            match split {
                Ok((view, after)) => {
                    offset += (rest.len() - after.len()) as u64;
                    rest = after;
                    Some(Ok(view))
                }
                Err(error) => {
                    rest = &[];
                    Some(Err(error))
                }
            }
        })
    }

    /// The one child of this name; another of the same name, or none, is a fault.
    pub(super) fn child(&self, fields_bytes: usize, name: &[u8; 4]) -> Result<BoxView<'a>, Mp4Error> {
        let mut found = None;
        for child in self.children(fields_bytes) {
            let child = child?;
            if child.name.0 == *name && found.replace(child).is_some() {
                return Err(child.broken("it is there twice"));
            }
        }
        found.ok_or_else(|| self.broken("a box that belongs in it is missing"))
    }

    /// Decodes the body with the box library, which must use all of it.
    pub(super) fn decode<A: mp4_atom::Atom>(&self) -> Result<A, Mp4Error> {
        let mut rest = self.body;
        match A::decode_body(&mut rest) {
            Ok(atom) if rest.is_empty() => Ok(atom),
            _ => Err(self.broken("its fields cannot be read")),
        }
    }

    pub(super) const fn broken(&self, reason: &'static str) -> Mp4Error {
        Mp4Error::Broken { box_name: self.name, offset: self.offset, reason }
    }
}
