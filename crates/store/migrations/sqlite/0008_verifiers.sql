-- What a verifier may use its answers for, and by whose token it is bound.
alter table holders add column token_id text not null default '';
-- The longest that this holder may use what it was told, in microseconds.
alter table holders add column valid_for bigint not null default 0;
