-- Groups of approvers, rules of approval, how long an approval is waited for and holds, and break glass.

-- People who approve, put together under a name. A member counts from an instant on.
CREATE TABLE approver_groups (
    id         TEXT NOT NULL PRIMARY KEY,
    org_id     TEXT NOT NULL REFERENCES organizations (id),
    name       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    UNIQUE (org_id, name)
) STRICT;
CREATE TABLE approver_members (
    group_id    TEXT NOT NULL REFERENCES approver_groups (id),
    user_id     TEXT NOT NULL REFERENCES users (id),
    org_id      TEXT NOT NULL REFERENCES organizations (id),
    counts_from INTEGER NOT NULL,
    PRIMARY KEY (group_id, user_id)
) STRICT;

-- How many approve and from which groups: every rollout (an empty device type), and beside it rollouts of one device type. `weaker` takes its place
-- from an instant on.
CREATE TABLE approval_rules (
    org_id      TEXT NOT NULL REFERENCES organizations (id),
    device_type TEXT NOT NULL,
    rule        TEXT NOT NULL,
    weaker      TEXT,
    weaker_from INTEGER,
    PRIMARY KEY (org_id, device_type)
) STRICT;
INSERT INTO approval_rules (org_id, device_type, rule, weaker, weaker_from)
SELECT id, '', '{"needed":' || CAST(rollout_approvals AS TEXT) || ',"from":[]}',
       CASE WHEN rollout_approvals_next IS NULL OR rollout_approvals_from IS NULL THEN NULL
            ELSE '{"needed":' || CAST(rollout_approvals_next AS TEXT) || ',"from":[]}' END,
       CASE WHEN rollout_approvals_next IS NULL THEN NULL ELSE rollout_approvals_from END
FROM organizations;
ALTER TABLE organizations DROP COLUMN rollout_approvals;
ALTER TABLE organizations DROP COLUMN rollout_approvals_next;
ALTER TABLE organizations DROP COLUMN rollout_approvals_from;

-- What an organization has changed of how long approvals are waited for and hold, how soon a broken glass is reviewed, and since when it may be broken.
CREATE TABLE approval_terms (
    org_id           TEXT NOT NULL PRIMARY KEY REFERENCES organizations (id),
    request_days     INTEGER NOT NULL,
    start_days       INTEGER NOT NULL,
    review_hours     INTEGER NOT NULL,
    break_glass_from INTEGER
) STRICT;

-- The rule that it was sent for approval with; until when it is decided on and, once it is approved, started; and by which break glass it goes.
ALTER TABLE rollouts ADD COLUMN approval_rule TEXT;
ALTER TABLE rollouts ADD COLUMN decide_by INTEGER;
ALTER TABLE rollouts ADD COLUMN start_by INTEGER;
ALTER TABLE rollouts ADD COLUMN glass TEXT;
-- Who could approve it when it was sent, and which of the rule's groups they were in.
CREATE TABLE rollout_approvers (
    rollout_id TEXT NOT NULL REFERENCES rollouts (id),
    user_id    TEXT NOT NULL REFERENCES users (id),
    org_id     TEXT NOT NULL REFERENCES organizations (id),
    in_groups  TEXT NOT NULL,
    PRIMARY KEY (rollout_id, user_id)
) STRICT;
INSERT INTO rollout_approvers (rollout_id, user_id, org_id, in_groups)
SELECT r.id, u.id, r.org_id, '[]' FROM rollouts r JOIN users u ON u.org_id = r.org_id
WHERE r.state = 'waiting_for_approval' AND u.role = 'admin' AND u.disabled = FALSE AND u.id <> r.author;

-- Rollouts that somebody started without their approvals, who may review that, and what they said.
CREATE TABLE glass_breaks (
    id         TEXT NOT NULL PRIMARY KEY,
    org_id     TEXT NOT NULL REFERENCES organizations (id),
    rollout_id TEXT NOT NULL REFERENCES rollouts (id),
    by_user    TEXT NOT NULL,
    by_name    TEXT NOT NULL,
    author     TEXT NOT NULL,
    reason     TEXT NOT NULL,
    digest     TEXT NOT NULL,
    given      INTEGER NOT NULL,
    needed     INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    review_by  INTEGER NOT NULL,
    overdue    INTEGER NOT NULL,
    settled_at INTEGER
) STRICT;
CREATE INDEX glass_breaks_by_org ON glass_breaks (org_id, id);
CREATE INDEX glass_breaks_by_rollout ON glass_breaks (rollout_id, id);
CREATE INDEX glass_breaks_open ON glass_breaks (review_by) WHERE settled_at IS NULL;
CREATE TABLE glass_reviewers (
    break_id TEXT NOT NULL REFERENCES glass_breaks (id),
    user_id  TEXT NOT NULL REFERENCES users (id),
    org_id   TEXT NOT NULL REFERENCES organizations (id),
    PRIMARY KEY (break_id, user_id)
) STRICT;
CREATE TABLE glass_reviews (
    break_id TEXT NOT NULL REFERENCES glass_breaks (id),
    by_user  TEXT NOT NULL,
    org_id   TEXT NOT NULL REFERENCES organizations (id),
    by_name  TEXT NOT NULL,
    accepted INTEGER NOT NULL,
    remark   TEXT NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (break_id, by_user)
) STRICT;
