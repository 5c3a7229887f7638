-- Holds: footage kept past its term. Rows stay after the release: together with the log they say what was held, and why.
create table hold (
    id text primary key,                                   -- hld_…
    camera_id text not null references camera (id),
    from_us bigint not null,
    to_us bigint not null,                                 -- first instant after
    purpose text not null,
    case_ref text,
    reason text not null check (length(reason) > 0),
    until_us bigint not null,
    review_by_us bigint not null,
    decision_id text not null,                             -- dec_…: under which it was set
    set_by text not null,                                  -- usr_…
    set_name text not null,                                -- as it was then
    set_at_us bigint not null,
    state text not null check (state in ('held', 'release_waits', 'released')),
    release_reason text,
    asked_by text,
    asked_name text,
    asked_at_us bigint,
    released_by text,
    released_name text,
    released_at_us bigint,
    review_reason text,
    reviewed_by text,
    reviewed_name text,
    reviewed_at_us bigint,
    applied_at_us bigint,                                  -- null: the recorder has not taken it over yet
    applied_segments bigint,
    refused_segments bigint,
    check (from_us < to_us),
    check ((state = 'held') = (asked_by is null)),
    check ((state = 'released') = (released_by is not null)),
    check (released_by is null or released_by <> asked_by)
);
create index hold_camera on hold (camera_id, from_us);
create index hold_open on hold (id) where state <> 'released';
