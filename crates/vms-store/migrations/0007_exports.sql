-- Evidence exports: ordered by one person, approved by another. Rows stay when the package goes: together with the log they say what left
-- the house, for which case, and the digest by which the package can still be told.
create table footage_export (
    id text primary key,                                   -- exp_…, also the name of the package's folder
    camera_id text not null references camera (id),
    stream_id text not null,                               -- str_…
    from_us bigint not null,
    to_us bigint not null,                                 -- first instant after
    purpose text not null,
    case_ref text not null check (length(case_ref) > 0),
    reason text not null check (length(reason) > 0),
    language text not null check (language in ('nl', 'fr', 'en')),
    decision_id text not null,                             -- dec_…: under which it was ordered
    ordered_by text not null,                              -- usr_…
    ordered_name text not null,                            -- as it was then
    ordered_at_us bigint not null,
    ordered_as text not null,                              -- profile: it runs only while the account has that
    session_id text not null,                              -- ses_…
    state text not null check (state in
        ('waits', 'refused', 'withdrawn', 'queued', 'running', 'paused', 'done', 'failed', 'cancelled', 'removed')),
    settled_by text,                                       -- who approved or refused
    settled_name text,
    settled_at_us bigint,
    settled_as text,
    answer text,                                           -- why it was refused
    per_mille bigint not null check (per_mille between 0 and 1000),
    bytes bigint not null check (bytes >= 0),
    frames bigint not null check (frames >= 0),
    failure text,                                          -- stable word
    ended_at_us bigint,
    expires_at_us bigint,                                  -- end of the package's term
    manifest_sha256 text,                                  -- what stays of the package
    check (from_us < to_us),
    -- Nothing is read without a second person.
    check (settled_by is null or settled_by <> ordered_by),
    check (state in ('waits', 'withdrawn') or settled_by is not null),
    check (state not in ('done', 'removed') or manifest_sha256 is not null),
    check (state <> 'done' or expires_at_us is not null)
);
create index footage_export_open on footage_export (id) where state in ('waits', 'queued', 'running', 'paused', 'done');
