-- What the first release made: its tables had no version yet.
CREATE TABLE proofreel_delivery (
    id VARCHAR(80) NOT NULL,
    job_id VARCHAR(40) NOT NULL,
    event VARCHAR(40) NOT NULL,
    url TEXT NOT NULL,
    payload JSON NOT NULL,
    state VARCHAR(16) NOT NULL,
    tries JSON NOT NULL,
    created_at_ms BIGINT NOT NULL,
    next_try_at_ms BIGINT,
    PRIMARY KEY (id)
);
CREATE INDEX ix_proofreel_delivery_job_id ON proofreel_delivery (job_id);
CREATE TABLE proofreel_job (
    id VARCHAR(40) NOT NULL,
    name TEXT NOT NULL,
    source JSON NOT NULL,
    source_key TEXT NOT NULL,
    options JSON NOT NULL,
    status VARCHAR(16) NOT NULL,
    stage VARCHAR(16) NOT NULL,
    progress INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    created_at_ms BIGINT NOT NULL,
    updated_at_ms BIGINT NOT NULL,
    started_at_ms BIGINT,
    finished_at_ms BIGINT,
    failure JSON,
    result JSON,
    idempotency_key VARCHAR(255),
    request_sha256 VARCHAR(64) NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (idempotency_key)
);
CREATE INDEX ix_proofreel_job_finished_at_ms ON proofreel_job (finished_at_ms);
CREATE INDEX ix_proofreel_job_source_key ON proofreel_job (source_key);
CREATE INDEX ix_proofreel_job_status ON proofreel_job (status);
CREATE TABLE proofreel_worker (
    executor_id VARCHAR(120) NOT NULL,
    beat_at_s BIGINT NOT NULL,
    PRIMARY KEY (executor_id)
);
