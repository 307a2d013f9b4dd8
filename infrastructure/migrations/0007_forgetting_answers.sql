-- Answers to idempotency keys are forgotten when their time is over. They are stored in the order of their
-- time, so an index by blocks finds the old ones and costs an append next to nothing.
CREATE INDEX idempotency_by_time ON idempotency USING brin (created_at);
