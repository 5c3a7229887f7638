-- What is known of the clocks that time reads, and passages that may come by two ways.

-- One lock of one clock: rows of one lock grow until it breaks. No personal data.
create table camera_clock (
    camera_id text not null,
    source text not null,                                  -- `host`: our own reader; `pushed/…`: as a sender calls it
    locked_from_us bigint not null,
    locked_until_us bigint not null,
    offset_us bigint not null,                             -- the worst against the second source, with its sign
    uncertainty_us bigint not null check (uncertainty_us >= 0),
    noted_at_us bigint not null,
    primary key (camera_id, source, locked_from_us),
    check (locked_from_us <= locked_until_us)
);
create index camera_clock_noted on camera_clock (noted_at_us);

-- Passages of cameras that somebody else reads too, so that one that comes by two ways is one read, also when its copy is gone. The token dies
-- with the key of its hour, the row a quarter of an hour after it came.
create table read_mark (
    purpose text not null,
    camera_id text not null,
    token text not null,                                   -- as in lez_read
    at_us bigint not null,
    id text not null,                                      -- rea_…
    is_pushed bigint not null check (is_pushed in (0, 1)), -- by a camera that reads by itself, or a partner
    received_at_us bigint not null,
    primary key (purpose, id)
);
create index read_mark_token on read_mark (purpose, camera_id, token, at_us);
create index read_mark_received on read_mark (received_at_us);
