-- The catalogue of models. Nothing in it is ever deleted, so the highest number says how many there are.
-- Names are compared byte by byte on both databases.
create table models (
    name text not null primary key,
    number bigint not null unique,
    model_type text not null,
    description text not null,
    tags text not null,
    created_at bigint not null,
    created_by text not null,
    updated_at bigint not null,
    latest_version bigint not null
);
create index models_by_type on models (model_type, name);

-- The tags of models once more, to find models by them; with their types, so that nothing else has to be
-- looked at where both are asked for.
create table model_tags (
    key text not null,
    value text not null,
    model text not null references models (name),
    model_type text not null,
    primary key (key, value, model)
) without rowid;

-- Versions are counted from 1 without a gap.
create table model_versions (
    model bigint not null references models (number),
    version bigint not null,
    description text not null,
    source text,
    tags text not null,
    created_at bigint not null,
    created_by text not null,
    primary key (model, version)
);
