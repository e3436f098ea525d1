-- The audit log is read by what an entry is about, newest first.
create index audit_by_target on audit (target, number);
create index audit_by_user on audit (user_id, number);
create index audit_by_address on audit (address, number);
create index audit_by_action on audit (action, number);

-- Calls that were refused for want of a good admin token or of rights: sums, outside of the audit chain.
create table refused_calls (
    -- The minute's first instant.
    minute bigint not null,
    address text not null,
    code text not null,
    count bigint not null,
    primary key (minute, address, code)
) without rowid;
create index refused_calls_by_address on refused_calls (address, minute, code);
