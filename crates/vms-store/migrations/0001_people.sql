-- Organisations, accounts, sessions. Instants end in _us: microseconds since 1970-01-01T00:00:00Z. Ids are texts with a prefix.
create table org (
    id text primary key,                                   -- org_…
    code text not null check (length(code) between 1 and 20),
    name_nl text not null,
    name_fr text not null,
    kind text not null check (kind in ('police_zone', 'partner', 'platform', 'authority', 'overseer'))
);
create unique index org_code on org (code);

create table account (
    id text primary key,                                   -- usr_…
    org_id text not null references org (id),
    user_name text not null check (user_name = lower(user_name)),
    name text not null,                                    -- the person's name: personal data
    password_hash text not null,                           -- PHC string, argon2id
    password_state text not null check (password_state in ('own', 'one_time', 'one_time_used')),
    profile text not null,                                 -- P01 … P24
    language text not null check (language in ('nl', 'fr', 'en')),
    disabled_at_us bigint,                                 -- set: no log-in, no session
    charter_at_us bigint,                                  -- confidentiality charter signed
    training_at_us bigint,                                 -- training completed
    last_used_at_us bigint not null,                       -- last log-in, or the making of the account or its password
    created_at_us bigint not null,
    version bigint not null check (version >= 1)           -- rises with every change; optimistic lock
);
create unique index account_user_name on account (user_name);
create index account_org on account (org_id, id);

create table session (
    id text primary key,                                   -- ses_…
    token_hash text not null check (length(token_hash) = 64), -- SHA-256 of the cookie's value, hexadecimal
    csrf text not null,                                    -- what the request header must carry
    user_id text not null references account (id),
    profile text not null,                                 -- the one active profile
    created_at_us bigint not null,
    seen_at_us bigint not null,
    ended_at_us bigint
);
create unique index session_token on session (token_hash);
create index session_by_user on session (user_id);
create index session_created on session (created_at_us);
