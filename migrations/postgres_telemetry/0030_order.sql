-- The last values of one metric over many devices, for selectors.
CREATE INDEX series_by_metric ON series (org_id, metric, device);
