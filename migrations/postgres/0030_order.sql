-- Where the stages of a rollout end among the devices with one value of the attribute that its order spreads them over: '=' and the value, or '' for
-- every other device. Written once, when its devices are drawn, and only where a place alone does not say it. cuts: a list, one place a stage.
CREATE TABLE rollout_strata (
    rollout_id TEXT COLLATE "C" NOT NULL REFERENCES rollouts (id),
    stratum    TEXT COLLATE "C" NOT NULL,
    cuts       TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (rollout_id, stratum)
);
-- Offers of the last minute.
CREATE INDEX updates_by_offer ON updates (rollout_id, created_at);
-- The version as a text that sorts as versions do; empty for one that has no place in that order.
ALTER TABLE devices ADD COLUMN version_order TEXT COLLATE "C" NOT NULL DEFAULT '';
CREATE INDEX devices_by_version_order ON devices (org_id, version_order, number);
