//! The SQL of people, sessions, tokens and the audit chain.

use crate::db::{Sql, many};

pub(super) const ORG_INSERT: Sql =
    Sql::same("INSERT INTO organizations (id, slug, name, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT (slug) DO NOTHING");
pub(super) const ORG_NEWEST: Sql = Sql::same("SELECT COALESCE(MAX(created_at), 0) FROM organizations");
pub(super) const ORG_BY_SLUG: Sql = Sql::same("SELECT id FROM organizations WHERE slug = $1");
pub(super) const ORG_SLUG: Sql = Sql::same("SELECT slug FROM organizations WHERE id = $1");
pub(super) const ORG_NAME: Sql = Sql::same("SELECT name FROM organizations WHERE id = $1");
pub(super) const ORGS: Sql = Sql::same(
    "SELECT o.id, o.slug, o.name, o.created_at, (SELECT COUNT(*) FROM users u WHERE u.org_id = o.id AND u.disabled = FALSE) AS people,
            s.expires_at AS set_up_until
     FROM organizations o LEFT JOIN set_ups s ON s.org_id = o.id ORDER BY o.created_at, o.id",
);

pub(super) const SET_UP_PUT: Sql = Sql::same(
    "INSERT INTO set_ups (org_id, code_hash, expires_at) VALUES ($1, $2, $3)
     ON CONFLICT (org_id) DO UPDATE SET code_hash = excluded.code_hash, expires_at = excluded.expires_at",
);
pub(super) const SET_UPS_OPEN: Sql = Sql::same("SELECT COUNT(*) FROM set_ups WHERE expires_at > $1");
pub(super) const SET_UP_BY_CODE: Sql = Sql::same("SELECT org_id FROM set_ups WHERE code_hash = $1 AND expires_at > $2");
pub(super) const SET_UP_TAKE: Sql = Sql::same("DELETE FROM set_ups WHERE org_id = $1 AND code_hash = $2 AND expires_at > $3");
pub(super) const SET_UP_END: Sql = Sql::same("DELETE FROM set_ups WHERE org_id = $1");

pub(super) const USER_COUNT: Sql = Sql::same("SELECT COUNT(*) FROM users");
pub(super) const USERS_OF: Sql = Sql::same("SELECT COUNT(*) FROM users WHERE org_id = $1");
pub(super) const USERS_OF_SLUG: Sql = Sql::same("SELECT COUNT(*) FROM users u JOIN organizations o ON o.id = u.org_id WHERE o.slug = $1");
pub(super) const USER_INSERT: Sql = Sql::same(
    "INSERT INTO users (id, org_id, email, email_lower, name, role, password_hash, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
);
pub(super) const USER_SIGN_IN: Sql = Sql::same("SELECT id, org_id, name, role, password_hash, disabled FROM users WHERE email_lower = $1");
pub(super) const USER_BY_EMAIL: Sql = Sql::same("SELECT id FROM users WHERE org_id = $1 AND email_lower = $2");
// One statement, so that of many tries at once each counts; no row when the address is locked from there. Every $5th failure locks until $4.
pub(super) const ATTEMPT: Sql = Sql::same(
    "INSERT INTO sign_in_attempts (email_lower, source, failures, locked_until, at) VALUES ($1, $2, 1, 0, $3)
     ON CONFLICT (email_lower, source) DO UPDATE SET failures = sign_in_attempts.failures + 1, at = $3,
     locked_until = CASE WHEN (sign_in_attempts.failures + 1) % $5 = 0 THEN $4 ELSE sign_in_attempts.locked_until END
     WHERE sign_in_attempts.locked_until <= $3 RETURNING locked_until",
);
pub(super) const ATTEMPT_LOCK: Sql = Sql::same("SELECT locked_until FROM sign_in_attempts WHERE email_lower = $1 AND source = $2");
pub(super) const ATTEMPTS_AT: Sql =
    Sql::same("SELECT CAST(COALESCE(SUM(failures), 0) AS BIGINT) FROM sign_in_attempts WHERE email_lower = $1 AND at > $2");
pub(super) const ATTEMPT_FORGET: Sql = Sql::same("DELETE FROM sign_in_attempts WHERE email_lower = $1 AND source = $2");
pub(super) const ATTEMPT_FORGET_USER: Sql =
    Sql::same("DELETE FROM sign_in_attempts WHERE email_lower = (SELECT email_lower FROM users WHERE org_id = $1 AND id = $2)");
pub(super) const ATTEMPTS_PURGE: Sql = Sql::same("DELETE FROM sign_in_attempts WHERE at < $1");
pub(super) const USER_BY_ID: Sql = Sql::same(
    "SELECT u.id, u.email, u.name, u.role, u.created_at, u.disabled, u.password_hash,
            COALESCE((SELECT MAX(a.locked_until) FROM sign_in_attempts a WHERE a.email_lower = u.email_lower), 0) AS locked_until
     FROM users u WHERE u.org_id = $1 AND u.id = $2",
);
pub(super) const USERS: Sql = Sql::same(
    "SELECT u.id, u.email, u.name, u.role, u.created_at, u.disabled, u.password_hash,
            COALESCE((SELECT MAX(a.locked_until) FROM sign_in_attempts a WHERE a.email_lower = u.email_lower), 0) AS locked_until
     FROM users u WHERE u.org_id = $1 ORDER BY u.name, u.id",
);
pub(super) const USER_ROLE: Sql = Sql::same("SELECT role FROM users WHERE org_id = $1 AND id = $2");
pub(super) const USER_SET_ROLE: Sql = Sql::same("UPDATE users SET role = $3 WHERE org_id = $1 AND id = $2");
pub(super) const USER_DISABLE: Sql = Sql::same("UPDATE users SET disabled = TRUE WHERE org_id = $1 AND id = $2");
pub(super) const USER_SET_PASSWORD: Sql = Sql::same("UPDATE users SET password_hash = $3 WHERE org_id = $1 AND id = $2");
pub(super) const OTHER_ADMINS: Sql =
    Sql::same("SELECT COUNT(*) FROM users WHERE org_id = $1 AND id <> $2 AND role = 'admin' AND disabled = FALSE");
pub(super) const ADMINS: Sql =
    Sql::same("SELECT id, name FROM users WHERE org_id = $1 AND role = 'admin' AND disabled = FALSE ORDER BY name, id");

pub(super) const SESSION_INSERT: Sql = Sql::same(
    "INSERT INTO sessions (id, org_id, user_id, refresh_hash, rotated_at, created_at, last_seen_at, expires_at, address, user_agent)
     VALUES ($1, $2, $3, $4, $5, $5, $5, $6, $7, $8)",
);
pub(super) const SESSION_LIVE: Sql = Sql::same(
    "SELECT s.org_id, s.last_seen_at, u.id, u.name, u.role FROM sessions s JOIN users u ON u.id = s.user_id
     WHERE s.id = $1 AND s.ended_at IS NULL AND s.expires_at > $2 AND u.disabled = FALSE AND u.org_id = s.org_id",
);
pub(super) const SESSION_SEEN: Sql = Sql::same("UPDATE sessions SET last_seen_at = $2 WHERE id = $1");
pub(super) const SESSION_REFRESH: Sql = Sql::same(
    "SELECT s.org_id, s.user_id, u.name, s.refresh_hash, s.previous_hash, s.rotated_at, s.created_at FROM sessions s JOIN users u ON u.id = s.user_id
     WHERE s.id = $1 AND s.ended_at IS NULL AND s.expires_at > $2 AND u.disabled = FALSE AND u.org_id = s.org_id",
);
pub(super) const SESSION_ROTATE: Sql = Sql::same(
    "UPDATE sessions SET previous_hash = refresh_hash, refresh_hash = $3, rotated_at = $4, last_seen_at = $4, expires_at = $5
     WHERE id = $1 AND refresh_hash = $2",
);
pub(super) const SESSION_END: Sql = Sql::same("UPDATE sessions SET ended_at = $3 WHERE id = $1 AND user_id = $2 AND ended_at IS NULL");
pub(super) const SESSIONS_END_ALL: Sql =
    Sql::same("UPDATE sessions SET ended_at = $3 WHERE user_id = $1 AND id <> $2 AND ended_at IS NULL");
pub(super) const SESSIONS_OF: Sql = Sql::same(
    "SELECT id, created_at, last_seen_at, address, user_agent FROM sessions
     WHERE user_id = $1 AND ended_at IS NULL AND expires_at > $2 ORDER BY created_at DESC LIMIT 50",
);

pub(super) const TOKEN_INSERT: Sql = Sql::same(
    "INSERT INTO api_tokens (id, org_id, user_id, name, role, secret_hash, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
);
pub(super) const TOKEN_LIVE: Sql = Sql::same(
    "SELECT t.org_id, t.user_id, t.name, t.role, t.secret_hash, t.last_used_at, u.role AS user_role, u.name AS person FROM api_tokens t JOIN users u ON u.id = t.user_id
     WHERE t.id = $1 AND t.revoked_at IS NULL AND t.expires_at > $2 AND u.disabled = FALSE AND u.org_id = t.org_id",
);
pub(super) const TOKEN_USED: Sql = Sql::same("UPDATE api_tokens SET last_used_at = $2 WHERE id = $1");
/// Every token that is still good for something, and the newest 200 whatever became of them: who looks for a stolen one must find it.
pub(super) const TOKENS: Sql = Sql::same(
    "SELECT t.id, t.name, t.role, t.user_id, u.name AS created_by, t.created_at, t.expires_at, t.last_used_at, t.revoked_at
     FROM api_tokens t JOIN users u ON u.id = t.user_id WHERE t.org_id = $1 AND ((t.revoked_at IS NULL AND t.expires_at > $2)
     OR t.id IN (SELECT id FROM api_tokens WHERE org_id = $1 ORDER BY created_at DESC, id DESC LIMIT 200)) ORDER BY t.created_at DESC, t.id DESC",
);
pub(super) const TOKEN_OWNER: Sql = Sql::same("SELECT user_id FROM api_tokens WHERE org_id = $1 AND id = $2 AND revoked_at IS NULL");
pub(super) const TOKEN_REVOKE: Sql =
    Sql::same("UPDATE api_tokens SET revoked_at = $3 WHERE org_id = $1 AND id = $2 AND revoked_at IS NULL");

pub(super) const AUDIT_START: Sql = Sql::split(
    "INSERT INTO audit_heads (org_id, seq, hash) VALUES ($1, 0, x'') ON CONFLICT (org_id) DO NOTHING",
    "INSERT INTO audit_heads (org_id, seq, hash) VALUES ($1, 0, '') ON CONFLICT (org_id) DO NOTHING",
);
pub(super) const AUDIT_HOLD: Sql =
    Sql::split("SELECT seq FROM audit_heads WHERE org_id = $1", "SELECT seq FROM audit_heads WHERE org_id = $1 FOR UPDATE");
pub(super) const AUDIT_ADVANCE: Sql = Sql::same("UPDATE audit_heads SET seq = seq + $2 WHERE org_id = $1 RETURNING seq, hash");
pub(super) const AUDIT_INSERT: Sql = many!(
    "INSERT INTO audit (org_id, seq, at, actor, address, action, object, detail, hash) SELECT ",
    [text org, int seq, int at, text actor, text address, text action, text object, text detail, bytes hash],
    ""
);
pub(super) const AUDIT_SET_HEAD: Sql = Sql::same("UPDATE audit_heads SET hash = $2 WHERE org_id = $1");
pub(super) const AUDIT_HEAD: Sql = Sql::same("SELECT seq, hash FROM audit_heads WHERE org_id = $1");
pub(super) const AUDIT_HEADS: Sql = Sql::same("SELECT org_id, seq, hash FROM audit_heads WHERE seq > 0 ORDER BY org_id");
pub(super) const AUDIT_HASH: Sql = Sql::same("SELECT hash FROM audit WHERE org_id = $1 AND seq = $2");
pub(super) const AUDIT_PAGE: Sql = Sql::same(
    "SELECT seq, at, actor, address, action, object, detail FROM audit WHERE org_id = $1 AND seq >= $2 AND seq < $3
     AND ($4 = '' OR LOWER(actor) LIKE $4 ESCAPE '\\' OR LOWER(action) LIKE $4 ESCAPE '\\' OR LOWER(object) LIKE $4 ESCAPE '\\'
          OR address LIKE $4 ESCAPE '\\' OR LOWER(detail) LIKE $4 ESCAPE '\\')
     AND ($5 = '' OR LOWER(actor) LIKE $5 ESCAPE '\\') AND ($6 = '' OR LOWER(action) LIKE $6 ESCAPE '\\') ORDER BY seq DESC LIMIT $7",
);
pub(super) const AUDIT_COUNT: Sql = Sql::same(
    "SELECT COUNT(*) FROM audit WHERE org_id = $1 AND seq >= $2 AND seq < $3
     AND ($4 = '' OR LOWER(actor) LIKE $4 ESCAPE '\\' OR LOWER(action) LIKE $4 ESCAPE '\\' OR LOWER(object) LIKE $4 ESCAPE '\\'
          OR address LIKE $4 ESCAPE '\\' OR LOWER(detail) LIKE $4 ESCAPE '\\')
     AND ($5 = '' OR LOWER(actor) LIKE $5 ESCAPE '\\') AND ($6 = '' OR LOWER(action) LIKE $6 ESCAPE '\\')",
);
pub(super) const AUDIT_AT: Sql = Sql::same("SELECT at FROM audit WHERE org_id = $1 AND seq = $2");
/// Entries about objects (`$1`, a list of their ids in small letters) that are of a kind that devices and certificates have; a group may be called like a device.
pub(super) const AUDIT_ABOUT: Sql = many!(
    "SELECT a.seq, a.at, a.actor, a.address, a.action, a.object, a.detail FROM (SELECT ",
    [text object],
    ") o CROSS JOIN audit a WHERE a.org_id = $2 AND LOWER(a.object) = o.object AND a.at < $3
     AND (a.action LIKE 'device.%' OR a.action LIKE 'certificate.%' OR a.action LIKE 'target_token.%' OR a.action LIKE 'handshake.%')
     ORDER BY a.at DESC, a.seq DESC LIMIT $4"
);
pub(super) const AUDIT_WALK: Sql = Sql::same(
    "SELECT seq, at, actor, address, action, object, detail, hash FROM audit WHERE org_id = $1 AND seq > $2 AND seq <= $3
     ORDER BY seq LIMIT 1000",
);

pub(crate) const ALL: &[&Sql] = &[
    &ORG_INSERT,
    &ORG_NEWEST,
    &ORG_BY_SLUG,
    &ORG_SLUG,
    &ORG_NAME,
    &ORGS,
    &SET_UP_PUT,
    &SET_UPS_OPEN,
    &SET_UP_BY_CODE,
    &SET_UP_TAKE,
    &SET_UP_END,
    &USER_COUNT,
    &USERS_OF,
    &USERS_OF_SLUG,
    &USER_INSERT,
    &USER_SIGN_IN,
    &USER_BY_EMAIL,
    &ATTEMPT,
    &ATTEMPT_LOCK,
    &ATTEMPTS_AT,
    &ATTEMPT_FORGET,
    &ATTEMPT_FORGET_USER,
    &ATTEMPTS_PURGE,
    &USER_BY_ID,
    &USERS,
    &USER_ROLE,
    &USER_SET_ROLE,
    &USER_DISABLE,
    &USER_SET_PASSWORD,
    &OTHER_ADMINS,
    &ADMINS,
    &SESSION_INSERT,
    &SESSION_LIVE,
    &SESSION_SEEN,
    &SESSION_REFRESH,
    &SESSION_ROTATE,
    &SESSION_END,
    &SESSIONS_END_ALL,
    &SESSIONS_OF,
    &TOKEN_INSERT,
    &TOKEN_LIVE,
    &TOKEN_USED,
    &TOKENS,
    &TOKEN_OWNER,
    &TOKEN_REVOKE,
    &AUDIT_START,
    &AUDIT_HOLD,
    &AUDIT_ADVANCE,
    &AUDIT_INSERT,
    &AUDIT_SET_HEAD,
    &AUDIT_HEAD,
    &AUDIT_HEADS,
    &AUDIT_HASH,
    &AUDIT_PAGE,
    &AUDIT_COUNT,
    &AUDIT_AT,
    &AUDIT_ABOUT,
    &AUDIT_WALK,
];
