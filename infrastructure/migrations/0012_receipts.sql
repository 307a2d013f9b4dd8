-- The receipts that went out with an answer, so that its repeat has them too: the value of the header
-- `Countersign-Receipt`, empty for an answer without. It holds no personal data and stays when the body is erased.
ALTER TABLE idempotency ADD COLUMN receipts text NOT NULL DEFAULT '';
