CREATE TABLE groups (
    id INTEGER PRIMARY KEY,
    queue INTEGER NOT NULL REFERENCES queues(id),
    name TEXT NOT NULL,
    head INTEGER NOT NULL,
    ready_at INTEGER NOT NULL,
    UNIQUE (queue, name)
) STRICT;
CREATE INDEX groups_ready ON groups (queue, ready_at, head);
CREATE TABLE messages (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    queue INTEGER NOT NULL REFERENCES queues(id),
    grp INTEGER NOT NULL,
    id TEXT NOT NULL,
    dedup_id TEXT NOT NULL,
    sent_at INTEGER NOT NULL,
    retained_from INTEGER NOT NULL,
    visible_at INTEGER NOT NULL,
    receive_count INTEGER NOT NULL DEFAULT 0,
    first_received_at INTEGER,
    received_at INTEGER,
    nonce INTEGER,
    source TEXT,
    group_tag TEXT,
    trace TEXT,
    attributes TEXT NOT NULL,
    body TEXT NOT NULL
, route TEXT, reason TEXT, received_before INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE INDEX messages_group ON messages (grp, seq);
CREATE INDEX messages_queue ON messages (queue, seq);
CREATE TABLE dedup (
    queue INTEGER NOT NULL,
    scope TEXT NOT NULL,
    dedup_id TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    message_id TEXT NOT NULL,
    seq INTEGER NOT NULL, sent_group TEXT,
    PRIMARY KEY (queue, scope, dedup_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX dedup_expiry ON dedup (expires_at);
CREATE TABLE attempts (
    queue INTEGER NOT NULL,
    attempt_id TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    received TEXT NOT NULL,
    PRIMARY KEY (queue, attempt_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX attempts_expiry ON attempts (expires_at);
CREATE TABLE notes (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
CREATE TABLE counts (
    queue INTEGER NOT NULL,
    route TEXT NOT NULL,
    reason TEXT NOT NULL,
    messages INTEGER NOT NULL,
    PRIMARY KEY (queue, route, reason)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER messages_counted AFTER INSERT ON messages BEGIN
    INSERT INTO counts VALUES (NEW.queue, coalesce(NEW.route, ''), coalesce(NEW.reason, ''), 1)
    ON CONFLICT DO UPDATE SET messages = messages + 1;
END;
CREATE TABLE queues (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    settings TEXT NOT NULL
) STRICT;
CREATE TABLE removed (
    name TEXT PRIMARY KEY,
    removed_at INTEGER NOT NULL
) STRICT;
CREATE TABLE moves (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    handle TEXT NOT NULL UNIQUE,
    source INTEGER NOT NULL,
    destination INTEGER,
    destination_name TEXT,
    per_second INTEGER,
    status TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    to_move INTEGER NOT NULL,
    moved INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    failure TEXT
) STRICT;
CREATE INDEX messages_moved ON messages (queue, retained_from) WHERE source IS NOT NULL;
CREATE TABLE purges (
    queue INTEGER PRIMARY KEY,
    purged_at INTEGER NOT NULL,
    last_seq INTEGER
) STRICT;
CREATE TRIGGER messages_discounted AFTER DELETE ON messages BEGIN
    UPDATE counts SET messages = messages - 1
    WHERE queue = OLD.queue AND route = coalesce(OLD.route, '') AND reason = coalesce(OLD.reason, '');
    DELETE FROM counts
    WHERE queue = OLD.queue AND route = coalesce(OLD.route, '') AND reason = coalesce(OLD.reason, '') AND messages <= 0;
END;
