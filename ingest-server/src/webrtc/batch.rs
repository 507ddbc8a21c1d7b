//! Datagrams on their way out, put together so that one system call sends many (GSO: the system cuts one buffer into
//! datagrams of equal length). Pure.

use std::net::{IpAddr, SocketAddr};

use str0m::net::Protocol;

/// Bytes of one call, below what a datagram of UDP may have at the most.
const MAX_RUN_BYTES: usize = 60_000;
/// What a batch keeps of its memory when it is empty: most pictures fit.
const KEPT_BYTES: usize = 32 * 1024;

/// What a datagram goes along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) protocol: Protocol,
    /// The address of this machine.
    pub(super) here: IpAddr,
    /// The peer's.
    pub(super) there: SocketAddr,
}

/// Datagrams along one path, of equal length but for the last, which may be shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) path: Path,
    /// The length of all but the last.
    pub(super) segment_bytes: usize,
    pub(super) bytes: usize,
    pub(super) datagrams: usize,
}

/// Datagrams in the order in which they go out. Its owner empties it after each thing it does; one picture is the most that it
/// holds.
#[derive(Debug, Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    runs: Vec<Run>,
}

impl Run {
    /// The datagrams that its bytes are.
    pub(super) fn datagrams<'a>(&self, bytes: &'a [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        bytes.chunks(self.segment_bytes.max(1))
    }
}

impl Batch {
    /// Adds a datagram; `max_datagrams` is how many the system takes at once.
    pub(super) fn push(&mut self, path: Path, datagram: &[u8], max_datagrams: usize) {
        let bytes = datagram.len();
        self.bytes.extend_from_slice(datagram);
        if let Some(run) = self.runs.last_mut()
            && run.path == path
            && run.bytes == run.datagrams * run.segment_bytes
            && bytes <= run.segment_bytes
            && run.datagrams < max_datagrams
            && run.bytes + bytes <= MAX_RUN_BYTES
        {
            run.bytes += bytes;
            run.datagrams += 1;
        } else {
            self.runs.push(Run { path, segment_bytes: bytes, bytes, datagrams: 1 });
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The runs with their bytes.
    pub(super) fn runs(&self) -> impl Iterator<Item = (Run, &[u8])> {
        let mut start = 0;
        self.runs.iter().map(move |run| {
            let bytes = &self.bytes[start..start + run.bytes];
            start += run.bytes;
            (*run, bytes)
        })
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES);
        self.runs.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn to(port: u16) -> Path {
        Path { protocol: Protocol::Udp, here: [127, 0, 0, 1].into(), there: ([192, 0, 2, 1], port).into() }
    }

    #[test]
    fn a_picture_is_one_run_and_other_lengths_and_addresses_begin_another() {
        let mut batch = Batch::default();
        for (port, bytes) in [(1, 100), (1, 100), (1, 40), (1, 40), (1, 100), (2, 100), (2, 100)] {
            batch.push(to(port), &vec![7; bytes], 64);
        }
        let runs: Vec<_> = batch
            .runs()
            .map(|(run, bytes)| (run.path.there.port(), run.segment_bytes, bytes.len()))
            .collect();
        assert_eq!(runs, [(1, 100, 240), (1, 40, 40), (1, 100, 100), (2, 100, 200)]);
        batch.clear();
        batch.push(to(1), &[7; 100], 64);
        batch.push(Path { protocol: Protocol::Tcp, ..to(1) }, &[7; 100], 64);
        assert_eq!(batch.runs().count(), 2, "UDP and TCP are apart");
        batch.clear();
        assert!(batch.is_empty() && batch.runs().next().is_none());
    }

    proptest! {
        #[test]
        fn datagrams_come_out_as_they_went_in(
            datagrams in prop::collection::vec((1_u16..3, prop::collection::vec(any::<u8>(), 1..1_500)), 0..200),
            max_datagrams in 1_usize..65,
        ) {
            let mut batch = Batch::default();
            for (port, datagram) in &datagrams {
                batch.push(to(*port), datagram, max_datagrams);
            }
            let mut out = Vec::new();
            for (run, bytes) in batch.runs() {
                prop_assert!(run.datagrams <= max_datagrams && bytes.len() <= MAX_RUN_BYTES);
                prop_assert_eq!(run.datagrams(bytes).count(), run.datagrams);
                out.extend(run.datagrams(bytes).map(|one| (run.path.there.port(), one.to_vec())));
            }
            prop_assert_eq!(out, datagrams);
        }
    }
}
