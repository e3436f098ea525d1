-- How many requests each process may admit in an hour, and how many it says it has.
-- For each hour and account the sum of allotted never passes the account's limit.
create table allotments (
    hour bigint not null,
    account_id text not null,
    holder text not null,
    seq bigint not null,
    allotted bigint not null,
    used bigint not null,
    -- Went to requests that waited for them: spent, too, unless the process says otherwise.
    awaited bigint not null,
    asked_at bigint not null,
    primary key (hour, account_id, holder)
) without rowid;

-- The processes that admit requests from memory.
create table holders (
    holder text not null primary key,
    kind text not null,
    seen_at bigint not null,
    revision bigint not null
);

-- Accounts that ran dry while other processes may still have unspent units.
create table dry_accounts (
    account_id text not null primary key,
    at bigint not null
);
create index dry_accounts_by_time on dry_accounts (at);
