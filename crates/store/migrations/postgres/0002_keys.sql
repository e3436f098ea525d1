-- A quota account: what a key and its rotation successors share.
create table accounts (
    account_id text not null primary key,
    rate_limit_per_hour bigint not null,
    monthly_prediction_limit bigint,
    -- When the last of its keys ends: until then it gets units.
    lives_until bigint not null
);

-- Times are microseconds since 1970 (UTC). The key's text is nowhere; its digest finds it.
create table keys (
    key_id text not null primary key,
    digest bytea not null unique,
    shown_prefix text not null,
    account_id text not null references accounts (account_id),
    user_id text not null,
    name text not null,
    service_id text not null,
    scopes text not null,
    environment text not null,
    allowed_ips text not null,
    billing_plan text not null,
    metadata text not null,
    created_at bigint not null,
    created_revision bigint not null unique,
    expires_at bigint,
    life bigint,
    grace_until bigint,
    revoked_at bigint,
    rotated_from text,
    rotated_to text
);
create index keys_by_account on keys (account_id);
create index keys_by_user on keys (user_id, created_revision);

-- When each key was last accepted. Apart from the keys: it is written every second.
create table key_uses (
    key_id text not null primary key,
    last_used_at bigint not null
);
