//! The table `counts`, and the triggers that maintain it.

/// The table and its triggers. For messages that are not dead letters, route and reason are empty.
pub(crate) const TABLES: &str = "
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
CREATE TRIGGER messages_discounted AFTER DELETE ON messages BEGIN
    UPDATE counts SET messages = messages - 1
    WHERE queue = OLD.queue AND route = coalesce(OLD.route, '') AND reason = coalesce(OLD.reason, '');
END;
";

/// Since version 5: deletes a count when its last message is deleted. Dead letters may name any number of routes and
/// reasons, so zeros would accumulate.
pub(crate) const WITHOUT_ZEROS: &str = "
DROP TRIGGER messages_discounted;
CREATE TRIGGER messages_discounted AFTER DELETE ON messages BEGIN
    UPDATE counts SET messages = messages - 1
    WHERE queue = OLD.queue AND route = coalesce(OLD.route, '') AND reason = coalesce(OLD.reason, '');
    DELETE FROM counts
    WHERE queue = OLD.queue AND route = coalesce(OLD.route, '') AND reason = coalesce(OLD.reason, '') AND messages <= 0;
END;
DELETE FROM counts WHERE messages <= 0;
";

/// The columns of `messages` that the counts are kept by.
pub(crate) const COLUMNS: &str = "
ALTER TABLE messages ADD COLUMN route TEXT;
ALTER TABLE messages ADD COLUMN reason TEXT;
";

/// Fills the columns and counts of a store that had none.
pub(crate) const FILL: &str = "
UPDATE messages SET
    route = coalesce(CAST(attributes ->> '$.\"towpath-dead-letter\".value.text' ->> '$.route' AS TEXT), ''),
    reason = attributes ->> '$.\"towpath-dead-letter\".value.text' ->> '$.reason'
WHERE CASE WHEN json_valid(attributes) THEN
    CASE WHEN json_valid(attributes ->> '$.\"towpath-dead-letter\".value.text') THEN
        json_type(attributes ->> '$.\"towpath-dead-letter\".value.text', '$.reason') = 'text'
    END
END;
UPDATE messages SET route = '', reason = 'max-receives' WHERE source IS NOT NULL AND reason IS NULL;
DELETE FROM counts;
INSERT INTO counts
SELECT queue, coalesce(route, ''), coalesce(reason, ''), count(*) FROM messages GROUP BY 1, 2, 3;
";
