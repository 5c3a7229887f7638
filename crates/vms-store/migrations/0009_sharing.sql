-- Sharing and oversight: events, emergency access, wishes for a share, notices, stations, data flows, complaints, data subjects'
-- requests. Rows stay. Lists of ids and words are JSON arrays: they are read and written as a whole.
create table sharing_event (
    id text primary key,                                   -- UUID
    kind text not null check (kind in ('event', 'crisis', 'incident')),
    name text not null,
    cameras text,                                          -- JSON array of cam_…; null: the area counts
    area text,                                             -- JSON array of [degrees north, degrees east]; null: the list counts
    profiles text not null,                                -- JSON array; empty: every profile that the matrix names
    authority text not null,                               -- reference of the authority's decision
    reason text not null,
    from_us bigint not null,
    to_us bigint not null check (to_us > from_us),
    org_id text not null references org (id),              -- of who activated it
    activated_by text not null,
    activated_name text not null,
    activated_at_us bigint not null,
    ended_by text,
    ended_name text,
    ended_at_us bigint,
    summarised_at_us bigint,                               -- owners were told of the uses
    version bigint not null check (version >= 1),
    check ((cameras is null) <> (area is null)),
    check ((ended_by is null) = (ended_at_us is null))
);
create index sharing_event_to on sharing_event (to_us);

create table event_use (
    event_id text not null references sharing_event (id),
    owner_id text not null,
    camera_id text not null,
    org_id text not null,                                  -- who used it
    right_ text not null,
    uses bigint not null check (uses >= 1),
    primary key (event_id, camera_id, org_id, right_)
);

create table emergency (
    id text primary key,                                   -- UUID
    org_id text not null references org (id),
    opened_by text not null,
    opened_name text not null,
    opened_at_us bigint not null,
    cameras text not null,                                 -- JSON array of cam_…
    owners text not null,                                  -- JSON array of org_…
    purpose text not null,
    reason text not null,
    until_us bigint not null check (until_us > opened_at_us),
    ended_at_us bigint,
    review_by_us bigint not null,
    justified bigint check (justified in (0, 1)),
    review_text text,
    reviewed_by text,
    reviewed_name text,
    reviewed_at_us bigint,
    check (reviewed_by is null or reviewed_by <> opened_by), -- never whoever opened it
    check ((reviewed_by is null) = (justified is null))
);
create index emergency_until on emergency (until_us);
create index emergency_person on emergency (opened_by);

create table share_request (
    id text primary key,                                   -- UUID
    owner_id text not null references org (id),
    partner_id text not null references org (id),
    cameras text not null,                                 -- JSON array of cam_…
    profile text,
    rights text not null,                                  -- JSON array
    purpose text,
    from_us bigint not null,
    to_us bigint not null check (to_us > from_us),
    reason text not null,
    case_ref text,
    asked_by text not null,
    asked_name text not null,
    asked_at_us bigint not null,
    state text not null check (state in ('waiting', 'waits_second', 'approved', 'refused', 'withdrawn')),
    first_by text,
    first_name text,
    first_at_us bigint,
    settled_by text,
    settled_name text,
    settled_at_us bigint,
    answer text,
    check (partner_id <> owner_id),
    check (first_by is null or settled_by is null or first_by <> settled_by or state <> 'approved') -- two people approve
);

create table notice (
    id {serial},
    at_us bigint not null,
    org_id text not null references org (id),              -- who is told
    kind text not null check (kind in ('use', 'break_glass', 'event_summary', 'share_request', 'flow')),
    data text not null                                     -- JSON object
);
create index notice_org on notice (org_id, id);

create table station (
    id text primary key,                                   -- UUID
    org_id text not null references org (id),
    name text not null,
    agreement text not null,                               -- with the police, Camera Act article 5 §4
    code_hash text not null check (length(code_hash) = 64), -- SHA-256 of the code, hexadecimal
    registered_by text not null,
    registered_name text not null,
    registered_at_us bigint not null,
    revoked_at_us bigint
);
create unique index station_code on station (code_hash);

create table station_session (
    session_id text primary key references session (id) on delete cascade,
    station_id text not null references station (id),
    at_us bigint not null
);

-- One row per change; the newest version of an id counts.
create table data_flow (
    id text not null,                                      -- DS-…, or SHARE:owner:partner:purpose
    version bigint not null check (version >= 1),
    state text not null check (state in ('requested', 'granted', 'suspended', 'withdrawn', 'expired', 'ended')),
    reason text not null,
    authority text not null,
    until_us bigint,
    changed_by text not null,
    changed_name text not null,
    changed_at_us bigint not null,
    institution text,                                      -- of a flow that was registered here
    source text,
    purpose text,
    primary key (id, version)
);

create table complaint (
    id text primary key,                                   -- UUID
    about_id text not null references org (id),
    channel text not null,
    body text not null,                                    -- personal data
    received_by text not null,
    received_name text not null,
    received_at_us bigint not null,
    state text not null check (state in ('received', 'routed', 'answered', 'refused')),
    answer text,
    answered_by text,
    answered_name text,
    answered_at_us bigint
);

create table subject_request (
    id text primary key,                                   -- UUID
    org_id text not null references org (id),              -- who answers
    regime text not null check (regime in ('gdpr', 'police')),
    file_ref text not null,                                -- where the person's name stands; it is not kept here
    reasons text not null,                                 -- personal data
    language text not null check (language in ('nl', 'fr', 'en')),
    lat double precision not null,                         -- degrees north, WGS 84
    lon double precision not null,                         -- degrees east
    radius_m bigint not null check (radius_m > 0),
    from_us bigint not null,
    to_us bigint not null check (to_us > from_us),
    due_us bigint not null,                                -- first instant after the term of the answer
    received_by text not null,
    received_name text not null,
    received_at_us bigint not null,
    state text not null check (state in ('received', 'routed', 'answered', 'refused')),
    answer text,
    answered_by text,
    answered_name text,
    answered_at_us bigint
);
