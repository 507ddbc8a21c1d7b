-- Tokens that are kept out. Only half of a digest of each is known here.
CREATE TABLE token_ban (
    token         TEXT    NOT NULL,
    -- Empty: everywhere, that is, the token is revoked.
    room          TEXT    NOT NULL,
    -- NULL: for good.
    until_unix_ms INTEGER,
    PRIMARY KEY (token, room)
);
