-- What was reported, each once: in the order of arrival, found by its id.
create table usage_records (
    id bigint generated always as identity primary key,
    record_id bytea not null unique,
    received_at bigint not null,
    occurred_at bigint not null,
    key_id text not null,
    service_id text not null,
    endpoint text not null,
    model_id text,
    status_code bigint not null,
    response_micros bigint not null,
    predictions bigint not null,
    compute_ms bigint not null
);

-- One row: the latest arrival among the records that were dropped.
create table usage_horizon (
    id bigint not null primary key check (id = 1),
    dropped_until bigint not null
);
insert into usage_horizon (id, dropped_until) values (1, 0);

-- Sums of the records, written along with them. Of a key, hour by hour; what is written together lies
-- together.
create table usage_hours (
    hour bigint not null,
    key_id text not null,
    service_id text not null,
    requests bigint not null,
    errors bigint not null,
    predictions bigint not null,
    compute_ms bigint not null,
    response_micros bigint not null,
    primary key (hour, key_id, service_id)
);

-- Of a user, day by day.
create table usage_days (
    day bigint not null,
    user_id text not null,
    service_id text not null,
    requests bigint not null,
    errors bigint not null,
    predictions bigint not null,
    compute_ms bigint not null,
    response_micros bigint not null,
    primary key (day, user_id, service_id)
);

-- Of a key and endpoint, month by month.
create table usage_endpoints (
    key_id text not null,
    month bigint not null,
    endpoint text not null,
    requests bigint not null,
    errors bigint not null,
    predictions bigint not null,
    compute_ms bigint not null,
    response_micros bigint not null,
    primary key (key_id, month, endpoint)
);

-- Of an account, month by month: what is billed.
create table usage_months (
    account_id text not null,
    month bigint not null,
    requests bigint not null,
    predictions bigint not null,
    compute_ms bigint not null,
    primary key (account_id, month)
);

-- What an account was billed by until the end of a month, where that is no longer what its keys say.
create table past_terms (
    account_id text not null,
    until_month bigint not null,
    billing_plan text not null,
    monthly_prediction_limit bigint,
    primary key (account_id, until_month)
);

-- What became of the validations of a key, hour by hour. The latest row of a key in which one was good
-- says when the key was last used.
create table validations (
    key_id text not null,
    hour bigint not null,
    last_used_at bigint,
    valid bigint not null,
    limited bigint not null,
    expired bigint not null,
    revoked bigint not null,
    service_mismatch bigint not null,
    insufficient_scope bigint not null,
    ip_not_allowed bigint not null,
    primary key (key_id, hour)
);
insert into validations
    select key_id, last_used_at / 3600000000, last_used_at, 0, 0, 0, 0, 0, 0, 0 from key_uses;
drop table key_uses;
-- For alerts: hours in which somebody was turned away are few.
create index validations_turned_away on validations (hour)
    where limited + expired + revoked + service_mismatch + insufficient_scope + ip_not_allowed > 0;

-- For alerts: keys that are about to end.
create index keys_by_expiry on keys (expires_at) where expires_at is not null and revoked_at is null;
create index keys_by_grace on keys (grace_until) where grace_until is not null and revoked_at is null;

-- The number of the last counts of validations that each process has handed in. It outlives the register of
-- holders: who could not reach the database for a while hands in the same once more.
create table validation_counters (
    holder text not null primary key,
    seq bigint not null,
    taken_at bigint not null
);
