-- Project keys (ck_live_..., ck_test_...) beside organization keys.

ALTER TABLE credentials
    DROP CONSTRAINT credentials_kind_check,
    ADD CONSTRAINT credentials_kind_check CHECK (kind IN ('partner', 'project', 'organization'));
