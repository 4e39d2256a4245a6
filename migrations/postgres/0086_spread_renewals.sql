-- When the device of a certificate is told that its renewal was ordered (R-1): orders to many are spread over time. It stays when the order has been carried
-- out, which takes `renew_ordered_at` away, so that it can be told how many of those that were asked have renewed.
ALTER TABLE certificates ADD COLUMN renew_due_at BIGINT;
UPDATE certificates SET renew_due_at = renew_ordered_at WHERE renew_ordered_at IS NOT NULL;
CREATE INDEX certificates_asked_to_renew ON certificates (issuer_id, device) WHERE renew_due_at IS NOT NULL;
