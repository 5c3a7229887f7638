-- Hardware keys apart from codes, log-in at an identity provider, machines' certificates, and what an account's owner should hear.
alter table session add column hard_at_us bigint;                       -- a hardware key was shown
alter table session add column certificate text;                        -- a machine's: SHA-256 of its certificate, hexadecimal

create table provider_link (
    issuer text not null,                                  -- the provider, as it names itself
    subject text not null,                                 -- its name for the person
    user_id text not null references account (id),
    linked_at_us bigint not null,
    primary key (issuer, subject)
);
create unique index provider_link_by_user on provider_link (user_id, issuer);

create table machine_certificate (
    fingerprint text primary key check (length(fingerprint) = 64), -- SHA-256 of the certificate in DER form, hexadecimal
    user_id text not null references account (id),
    name text not null,                                    -- the administrator's word for it
    made_at_us bigint not null,
    ends_at_us bigint not null,                            -- counts until then, whatever the certificate says
    revoked_at_us bigint,                                  -- taken back; never undone
    used_at_us bigint,
    check (ends_at_us > made_at_us)
);
create index machine_certificate_by_user on machine_certificate (user_id, made_at_us);

create table account_notice (
    id {serial},
    user_id text not null references account (id),
    at_us bigint not null,
    what text not null                                     -- stable word; rows go when the owner has seen them
);
create index account_notice_by_user on account_notice (user_id, at_us);
