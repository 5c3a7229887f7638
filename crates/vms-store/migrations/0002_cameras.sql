-- Cameras with streams and legal basis, partners, grants.
create table partner (
    org_id text primary key references org (id),
    name text not null,
    catalogue_url text not null,                           -- without credentials
    agreement_document text not null,                      -- legal basis of the partner's cameras here
    agreement_dated text not null,                         -- YYYY-MM-DD
    agreement_advice text not null,
    enabled bigint not null check (enabled in (0, 1)),
    version bigint not null check (version >= 1)
);

create table camera (
    id text primary key,                                   -- cam_…
    code text not null,
    call_up bigint check (call_up between 1 and 999999),   -- number that an operator types
    name_nl text not null,
    name_fr text not null,
    owner_id text not null references org (id),
    partner_id text references partner (org_id),           -- set: pulled from that gateway, never recorded
    kind text not null check (kind in ('overview', 'lez', 'zbt', 'trajectory')),
    lat double precision not null check (lat between -90 and 90),   -- degrees north, WGS 84
    lon double precision not null check (lon between -180 and 180), -- degrees east
    state text not null check (state in ('draft', 'approved', 'live', 'retired')),
    retention_class text not null,                         -- RC-VID-…
    pictogram_on text,                                     -- YYYY-MM-DD
    version bigint not null check (version >= 1),
    created_at_us bigint not null,
    updated_at_us bigint not null
);
create unique index camera_code on camera (code);
create unique index camera_call_up on camera (call_up);
create index camera_owner on camera (owner_id);

create table legal_basis (
    camera_id text primary key references camera (id),
    document text not null check (length(document) > 0),
    dated text not null check (length(dated) = 10),        -- YYYY-MM-DD
    advice text not null                                   -- empty when none was asked
);

create table stream (
    id text primary key,                                   -- str_…
    camera_id text not null references camera (id),
    use_ text not null check (use_ in ('main', 'sub', 'anpr')),
    url text not null,                                     -- RTSP, without credentials
    sealed_credentials {blob},                             -- sealed to recorder or gateway; serve can't open it
    transport text not null check (transport in ('retina', 'gst_tcp', 'gst_udp')),
    codec text check (codec in ('h264', 'h265')),          -- when known
    width bigint,                                          -- pixels, when known
    height bigint                                          -- pixels, when known
);
create unique index stream_use on stream (camera_id, use_);

create table right_grant (
    id text primary key,                                   -- grt_…
    owner_id text not null references org (id),
    camera_id text not null references camera (id),
    partner_id text not null references org (id),          -- who may
    profile text,                                          -- only this profile; null: all
    right_ text not null,                                  -- what: live, playback, …
    purpose text,                                          -- only for this; null: all
    from_us bigint not null,
    to_us bigint not null check (to_us > from_us),         -- first instant after
    revoked_at_us bigint
);
create index right_grant_partner on right_grant (partner_id, camera_id);

-- Counters that rise. `assignment`: any change of a camera or partner.
create table counter (
    name text primary key,
    value bigint not null check (value >= 0)
);
insert into counter (name, value) values ('assignment', 1);
