CREATE INDEX session_by_room ON session (room, id);

-- Ended by who moderates the room: their publishers may not come back.
CREATE TABLE ended_session (
    id            BLOB    NOT NULL PRIMARY KEY,
    ended_unix_ms INTEGER NOT NULL
);

-- Made beforehand.
CREATE TABLE room (
    name         TEXT    NOT NULL PRIMARY KEY,
    made_unix_ms INTEGER NOT NULL
);

CREATE TABLE ban (
    room          TEXT NOT NULL,
    viewer        TEXT NOT NULL,
    -- NULL: for good.
    until_unix_ms INTEGER,
    PRIMARY KEY (room, viewer)
);

CREATE TABLE audit (
    number     INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    at_unix_ms INTEGER NOT NULL,
    role       TEXT    NOT NULL,
    -- Whose token it was; never the token.
    name       TEXT    NOT NULL,
    action     TEXT    NOT NULL,
    room       TEXT,
    target     TEXT
);
