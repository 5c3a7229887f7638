-- Second factors, recovery codes, further profiles, clearance, and what a session has shown.
alter table account add column more_profiles text not null default '';  -- words with a space between, one of them active in a session
alter table account add column cleared_at_us bigint;                    -- security clearance seen
alter table session add column factor_at_us bigint;                     -- a second factor was shown

create table factor (
    id text primary key,                                   -- UUID
    user_id text not null references account (id),
    kind text not null check (kind in ('totp', 'webauthn')),
    name text not null,                                    -- the person's word for it
    material {blob} not null,                              -- codes: the sealed secret; security keys: the public key
    credential text,                                       -- security keys: base64url
    counter bigint not null,                               -- codes: last step used; security keys: signature counter
    created_at_us bigint not null,
    confirmed_at_us bigint,                                -- before that it opens nothing
    used_at_us bigint,
    check ((kind = 'webauthn') = (credential is not null))
);
create index factor_by_user on factor (user_id, created_at_us);
create unique index factor_credential on factor (credential);

create table recovery_code (
    user_id text not null references account (id),
    code_hash text not null check (length(code_hash) = 64), -- SHA-256, hexadecimal; the code itself is nowhere
    made_at_us bigint not null,
    used_at_us bigint,
    primary key (user_id, code_hash)
);
