CREATE TABLE session (
    id                    BLOB    NOT NULL PRIMARY KEY,
    room                  TEXT    NOT NULL,
    resume_key_sha256     BLOB    NOT NULL,
    device_name           TEXT    NOT NULL,
    device_platform       TEXT    NOT NULL,
    device_app            TEXT    NOT NULL,
    started_unix_ms       INTEGER NOT NULL,
    last_activity_unix_ms INTEGER NOT NULL,
    status                TEXT    NOT NULL CHECK (status IN ('active', 'interrupted', 'completed', 'abandoned'))
);

CREATE INDEX session_by_status ON session (status);

-- What publishers may still ask for after a session was deleted.
CREATE TABLE deleted_session (
    id              BLOB    NOT NULL PRIMARY KEY,
    deleted_unix_ms INTEGER NOT NULL
);

CREATE TABLE track (
    session_id    BLOB    NOT NULL REFERENCES session (id) ON DELETE CASCADE,
    track         TEXT    NOT NULL CHECK (track IN ('video', 'audio')),
    -- The publisher's word that the track has ended, and whether its digest is that of the units.
    finish        TEXT,
    is_proven     INTEGER NOT NULL DEFAULT 0,
    -- What is durable, as of the last change of the session's status; NULL before the first.
    durable       TEXT,
    durable_bytes INTEGER,
    start_90k     INTEGER,
    end_90k       INTEGER,
    PRIMARY KEY (session_id, track)
);

CREATE TABLE params (
    session_id BLOB    NOT NULL,
    track      TEXT    NOT NULL,
    from_unit  INTEGER NOT NULL,
    parameters TEXT    NOT NULL,
    PRIMARY KEY (session_id, track, from_unit),
    FOREIGN KEY (session_id, track) REFERENCES track (session_id, track) ON DELETE CASCADE
);

CREATE TABLE event (
    session_id BLOB    NOT NULL,
    track      TEXT    NOT NULL,
    number     INTEGER NOT NULL,
    event      TEXT    NOT NULL,
    PRIMARY KEY (session_id, track, number),
    FOREIGN KEY (session_id, track) REFERENCES track (session_id, track) ON DELETE CASCADE
);

CREATE TABLE segment (
    session_id BLOB    NOT NULL,
    track      TEXT    NOT NULL,
    first_unit INTEGER NOT NULL,
    init_bytes INTEGER NOT NULL,
    parameters TEXT    NOT NULL,
    PRIMARY KEY (session_id, track, first_unit),
    FOREIGN KEY (session_id, track) REFERENCES track (session_id, track) ON DELETE CASCADE
);

CREATE TABLE part (
    session_id         BLOB    NOT NULL,
    track              TEXT    NOT NULL,
    first_unit         INTEGER NOT NULL,
    unit_count         INTEGER NOT NULL,
    segment_first_unit INTEGER NOT NULL,
    offset_bytes       INTEGER NOT NULL,
    length_bytes       INTEGER NOT NULL,
    payload_bytes      INTEGER NOT NULL,
    pts_90k            INTEGER NOT NULL,
    duration_90k       INTEGER NOT NULL,
    key                INTEGER NOT NULL,
    crc32              INTEGER NOT NULL,
    capture_us         INTEGER NOT NULL,
    stored_unix_ms     INTEGER NOT NULL,
    -- 16 bytes a unit.
    digests            BLOB    NOT NULL,
    PRIMARY KEY (session_id, track, first_unit),
    FOREIGN KEY (session_id, track, segment_first_unit)
        REFERENCES segment (session_id, track, first_unit) ON DELETE CASCADE
) WITHOUT ROWID;

-- Of sessions that are complete.
CREATE TABLE certificate (
    session_id BLOB NOT NULL PRIMARY KEY REFERENCES session (id) ON DELETE CASCADE,
    -- The exact text that is signed.
    statement  TEXT NOT NULL,
    key        TEXT NOT NULL,
    signature  TEXT NOT NULL
);
