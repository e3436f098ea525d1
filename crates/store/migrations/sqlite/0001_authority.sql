-- One row: where the store stands. Every change locks it first, so changes have one order.
create table authority (
    id bigint not null primary key check (id = 1),
    epoch text not null,
    revision bigint not null,
    had_operator boolean not null,
    audit_number bigint not null,
    audit_seal blob not null,
    audit_key_fingerprint blob
);

-- The latest hour that was ever named; hours never go back, whatever the clock does.
create table latest_hour (
    id bigint not null primary key check (id = 1),
    hour bigint not null
);
insert into latest_hour (id, hour) values (1, 0);

-- The feed. Revisions have no gap and become visible in order.
create table changes (
    revision bigint not null primary key,
    kind text not null,
    key_id text,
    account_id text,
    at bigint not null
);
