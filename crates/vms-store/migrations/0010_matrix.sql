-- Versions of the role matrix: what was proposed, who agreed, from when to when it held. Rows stay, with their whole text.
create table matrix_version (
    id text primary key,                                   -- UUID 7
    version text not null check (length(version) > 0),     -- what the text calls itself
    digest text not null check (length(digest) = 64),      -- SHA-256 of the text, hex
    body text not null check (length(body) > 0),           -- the text
    base_digest text not null,                             -- of the matrix in force when it was proposed; empty for the first
    reason text not null check (length(reason) > 0),
    proposed_by text,                                      -- usr_…; null: it came with the program
    proposed_name text,                                    -- as it was then
    proposed_at_us bigint,
    created_at_us bigint not null,
    active_at_us bigint not null,                          -- from when it is to be in force
    state text not null check (state in ('waiting', 'approved', 'refused', 'withdrawn', 'active', 'superseded')),
    settled_by text,
    settled_name text,
    settled_at_us bigint,
    answer text,                                           -- why it was refused
    activated_at_us bigint,
    superseded_at_us bigint,
    single integer not null default 1 check (single = 1),  -- for the two unique rules below
    check ((proposed_by is null) = (proposed_at_us is null)),
    check ((settled_by is null) = (settled_at_us is null)),
    -- Nothing that a person proposed comes into force without another person.
    check (proposed_by is null or state not in ('approved', 'active', 'superseded')
        or (settled_by is not null and settled_by <> proposed_by)),
    check (state <> 'refused' or settled_by <> proposed_by),
    check (state <> 'withdrawn' or settled_by = proposed_by),
    check ((state in ('active', 'superseded')) = (activated_at_us is not null)),
    check ((state = 'superseded') = (superseded_at_us is not null))
);
-- One is open at a time: two would each be agreed to against a difference that nobody saw.
create unique index matrix_version_open on matrix_version (single) where state in ('waiting', 'approved');
create unique index matrix_version_active on matrix_version (single) where state = 'active';
create index matrix_version_created on matrix_version (created_at_us);
