-- The distinct plates of police copies, for wildcard and one-edit search. Sealed columns as in 0100; the key is that of reads of the hour.

-- Police copies that stand in no block yet: opened one by one by a search, packed in the background. No personal data but that a read is there.
create table plate_fresh (
    id text primary key,                                   -- rea_…
    owner_id text not null,                                -- as in lez_read
    class text not null,
    hour bigint not null,                                  -- hours since 1970
    expires_at_us bigint not null
);
create index plate_fresh_hour on plate_fresh (owner_id, class, hour, id);
create index plate_fresh_end on plate_fresh (expires_at_us);

-- One sealed list of distinct plates. Several an hour at first; once its day is over, each plate of the day stands once, under the key of the last
-- hour in which it was read. So a plate opens exactly as long as the last of its reads of that day.
create table plate_block (
    id text primary key,
    owner_id text not null,
    class text not null,
    day bigint not null,                                   -- days since 1970, UTC
    hour bigint not null,                                  -- of its key
    is_merged bigint not null check (is_merged in (0, 1)),
    made_at_us bigint not null,
    expires_at_us bigint not null,
    plates bigint not null check (plates > 0),             -- how many
    body {blob} not null,                                  -- sealed: length and text of each, in order
    check (day = hour / 24)
);
create index plate_block_day on plate_block (owner_id, day);
create index plate_block_merge on plate_block (is_merged, made_at_us);
create index plate_block_end on plate_block (expires_at_us);
create index plate_block_hour on plate_block (class, hour);

insert into plate_fresh (id, owner_id, class, hour, expires_at_us)
select id, owner_id, class, hour, expires_at_us from lez_read where purpose = 'OPENBARE_ORDE';
