-- Who did what. Each seal covers its row and the seal before; the sealing key is not in the database.
create table audit (
    number bigint not null primary key,
    at bigint not null,
    user_id text not null,
    token_id text not null,
    action text not null,
    target text not null,
    address text not null,
    request_id text not null,
    detail text not null,
    seal blob not null
);
