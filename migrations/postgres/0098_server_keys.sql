-- Whether two people have agreed that keys are made for devices (pki.md K-6, E-8): 'off' or 'on'. Looked at only while two people decide on authorities.
ALTER TABLE organizations ADD COLUMN server_keys TEXT COLLATE "C" NOT NULL DEFAULT 'off';
