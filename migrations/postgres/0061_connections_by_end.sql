-- The course of a day is read from this index alone: arrivals, departures and who is still there, without a look at the rows. The same index as before
-- with two more columns, so a connection that begins or ends writes as many entries as it did.
DROP INDEX connections_open;
CREATE INDEX connections_open ON connections (ended_at, device, org_id, started_at);
