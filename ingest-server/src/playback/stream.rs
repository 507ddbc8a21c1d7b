//! The bytes of a recording, read as they are wanted.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{Stream, try_unfold};

use super::recording::Recording;
use crate::store::{SegmentKey, Store, StoreError};

/// Payloads read at once, so that those of one segment share a read.
const READ_PIECES: usize = 32;
const READ_BYTES: u64 = 1 << 20;

struct Reader {
    recording: Arc<Recording>,
    store: Arc<dyn Store>,
    /// What is still to come, in bytes of the recording.
    rest: Range<u64>,
    ready: VecDeque<Bytes>,
}

impl Recording {
    /// A range of the recording's bytes, which must lie within it.
    pub(crate) fn bytes(
        self: Arc<Self>,
        store: Arc<dyn Store>,
        range: Range<u64>,
    ) -> impl Stream<Item = Result<Bytes, StoreError>> + Send + 'static {
        let reader = Reader { recording: self, store, rest: range, ready: VecDeque::new() };
        try_unfold(reader, |mut reader| async move {
            if reader.ready.is_empty() {
                reader.fill().await?;
            }
            Ok(reader.ready.pop_front().map(|bytes| (bytes, reader)))
        })
    }
}

impl Reader {
    async fn fill(&mut self) -> Result<(), StoreError> {
        let header = &self.recording.header;
        if self.rest.is_empty() {
            return Ok(());
        }
        if self.rest.start < header.len() as u64 {
            let end = self.rest.end.min(header.len() as u64);
            self.ready.push_back(header.slice(self.rest.start as usize..end as usize));
            self.rest.start = end;
            return Ok(());
        }
        let pieces = &self.recording.pieces;
        let first = pieces.partition_point(|piece| piece.at <= self.rest.start).saturating_sub(1);
        // Reads by segment, and the order in which their results are handed out.
        let mut reads: HashMap<SegmentKey, Vec<Range<u64>>> = HashMap::new();
        let mut order = Vec::new();
        let limit = self.rest.end.min(self.rest.start + READ_BYTES);
        for piece in pieces[first..].iter().take(READ_PIECES) {
            if piece.at >= limit {
                break;
            }
            let skipped = self.rest.start.saturating_sub(piece.at);
            let length = piece.bytes.end - piece.bytes.start;
            let wanted = length.min(self.rest.end - piece.at);
            let ranges = reads.entry(piece.segment).or_default();
            order.push((piece.segment, ranges.len()));
            ranges.push(piece.bytes.start + skipped..piece.bytes.start + wanted);
            self.rest.start = piece.at + wanted;
        }
        let mut results: HashMap<SegmentKey, Vec<Bytes>> = HashMap::new();
        for (segment, ranges) in reads {
            results.insert(segment, self.store.read(segment, ranges).await?);
        }
        let in_order = order.iter().filter_map(|(segment, at)| results.get(segment)?.get(*at).cloned());
        self.ready.extend(in_order.filter(|bytes| !bytes.is_empty()));
        Ok(())
    }
}
