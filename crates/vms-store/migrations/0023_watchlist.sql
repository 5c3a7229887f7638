-- Watchlists of police zones, and hits. Sealed columns as in 0100. Entries hold no token: they are opened in memory and compared there.

create table watch_entry (
    id text primary key,                                   -- UUID
    owner_id text not null,                                -- org_… the zone
    kind text not null check (kind in ('regular', 'urgent')),
    state text not null check (state in ('proposed', 'in_force', 'refused')),
    class text not null,                                   -- class of its key, which is its own
    purpose text not null,
    ends_at_us bigint not null,
    decision_id text not null,                             -- dec_… under which it was proposed
    proposed_by text not null,                             -- usr_…
    proposed_name text not null,
    proposed_at_us bigint not null,
    settled_by text,
    settled_name text,
    settled_at_us bigint,
    refusal text,
    body {blob} not null,                                  -- sealed JSON: plate, country, reason, case
    check ((state = 'proposed') = (settled_by is null)),
    check ((state = 'refused') = (refusal is not null)),
    check (settled_by is null or settled_by <> proposed_by)
);
create index watch_entry_list on watch_entry (owner_id, id);
create index watch_entry_end on watch_entry (ends_at_us);

create table watch_hit (
    id text primary key,                                   -- UUID
    entry_id text not null,                                -- the entry may be gone
    read_id text not null,                                 -- rea_… of the police copy
    owner_id text not null,
    camera_id text not null,
    at_us bigint not null,
    class text not null,                                   -- of the read, as its hour: the key is that of the reads of the hour
    hour bigint not null,
    expires_at_us bigint not null,                         -- with the read
    state text not null check (state in ('open', 'confirmed', 'dismissed')),
    body {blob} not null,                                  -- sealed JSON: the entry as it was, and the read's country
    version bigint not null,
    decided_by text,
    decided_name text,
    decided_at_us bigint,
    reason text,
    unique (entry_id, read_id),
    check ((state = 'open') = (decided_by is null))
);
create index watch_hit_list on watch_hit (owner_id, id);
create index watch_hit_end on watch_hit (expires_at_us);
create index watch_hit_hour on watch_hit (class, hour);
