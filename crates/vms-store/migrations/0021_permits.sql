-- The permit desk's register for zones with restricted access: permits, and lists of vehicles that pass without one. Plates are sealed
-- under the secret of reads and found by a keyed hash that serves this register alone.
create table zbt_permit (
    id text primary key,                                   -- the desk's own number
    right_code text not null,                              -- Z-…
    zones text not null,                                   -- codes, separated by blanks
    from_us bigint not null,
    to_us bigint not null,                                 -- first instant after; that of a withdrawal when it was withdrawn
    granted_at_us bigint not null,
    status text not null check (status in ('requested', 'granted', 'suspended', 'refused')),
    windows text not null,                                 -- JSON: hours of its own
    group_code text,                                       -- parking place or other group
    places bigint check (places > 0),                      -- of the group
    evidence text not null,                                -- reference of the file
    token text not null,                                   -- of the plate
    sealed {blob} not null,                                -- JSON: plate, country
    given_by text not null,                                -- usr_…
    given_at_us bigint not null,
    check ((group_code is null) = (places is null)),
    check (to_us >= from_us)
);
create index zbt_permit_token on zbt_permit (token);
create index zbt_permit_group on zbt_permit (group_code);
create index zbt_permit_end on zbt_permit (to_us);

create table zbt_listing (
    id text primary key,                                   -- UUID
    list text not null,                                    -- bicycle, service, priority, …
    from_us bigint not null,
    to_us bigint,                                          -- first instant after; null: no end
    evidence text not null,
    token text not null,
    sealed {blob} not null,
    given_by text not null,
    given_at_us bigint not null
);
create unique index zbt_listing_same on zbt_listing (list, token, from_us);
create index zbt_listing_token on zbt_listing (token);
create index zbt_listing_end on zbt_listing (to_us);
