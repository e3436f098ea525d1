create table admin_tokens (
    token_id text not null primary key,
    digest bytea not null unique,
    shown_prefix text not null,
    user_id text not null,
    name text not null,
    role text not null,
    created_at bigint not null,
    created_revision bigint not null unique,
    expires_at bigint,
    revoked_at bigint
);
