//! What is wrong on purpose, to prove that the checks see it.

/// One fault, in one part of a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// The server tells that a record is durable when it begins to write it.
    AcksEarly,
    /// The server says that a part is durable and does not have it.
    ForgetsParts,
    /// The server stores something else than what came.
    AltersPayloads,
    /// After a restart the server does not know which units it has.
    ForgetsRanges,
    /// A killed publisher loses what was not synced.
    SpoolsInMemory,
    /// The publisher's disk says that it has synced, and has not.
    SkipsSync,
    /// The publisher's log drops the digests of what is acknowledged.
    DropsDigests,
    /// The publisher's spool takes more than it is told to.
    OverfillsSpool,
    /// The publisher writes more than it is told to without an ack.
    OverfillsFlight,
    /// The server never stops taking what its disk does not.
    OverfillsServer,
    /// Pings seem to take no time, so that the publisher fills every queue.
    HidesQueues,
    /// The publisher's driver tries to connect every ten seconds.
    ConnectsRarely,
    /// The word that a track is complete never arrives.
    SwallowsComplete,
}
