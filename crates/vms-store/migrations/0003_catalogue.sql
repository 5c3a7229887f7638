-- The copy of the recorders' indexes, for timelines. Rebuildable: delete the rows and set the cursor to 0.
create table segment_copy (
    id text primary key,                                   -- seg_…
    stream_id text not null,                               -- str_…; no reference: footage outlives its camera's row
    from_us bigint not null,
    to_us bigint not null check (to_us >= from_us),
    payload_bytes bigint not null check (payload_bytes >= 0),
    units bigint not null check (units >= 0),
    is_closed bigint not null check (is_closed in (0, 1)),
    erased_at_us bigint,
    retention_class text not null
);
create index segment_copy_span on segment_copy (stream_id, to_us);

create table gap_copy (
    stream_id text not null,
    from_us bigint not null,
    to_us bigint,                                          -- null while it lasts
    cause text not null,
    primary key (stream_id, from_us)
);

create table catalogue_cursor (
    recorder text primary key,
    cursor bigint not null check (cursor >= 0)
);

-- Playbacks that were opened, so that a restart can close their uses in the log.
create table playback (
    decision_id text primary key,                          -- dec_…
    log_index bigint not null,                             -- opening leaf
    session_id text not null,
    stream_id text not null,
    from_us bigint not null,
    to_us bigint not null check (to_us > from_us),
    opened_at_us bigint not null,
    closed_at_us bigint,
    delivered_bytes bigint
);
create index playback_open on playback (closed_at_us, opened_at_us);
