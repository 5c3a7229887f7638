-- Changes of the legal fields of a camera after its approval: proposed by one person, settled by another. Rows stay: together
-- they are every version that the legal fields ever had.
create table legal_change (
    id text primary key,                                   -- dec_…: the decision under which it was proposed
    camera_id text not null references camera (id),
    kind_before text not null,
    kind_after text not null,
    class_before text not null,                            -- RC-VID-…
    class_after text not null,
    pictogram_before text,                                 -- YYYY-MM-DD
    pictogram_after text,
    document_before text,                                  -- null: no legal basis
    dated_before text,
    advice_before text,
    document_after text,
    dated_after text,
    advice_after text,
    reason text not null check (length(reason) > 0),       -- the proposer's
    proposed_by text not null,                             -- usr_…
    proposed_name text not null,                           -- as it was then
    proposed_at_us bigint not null,
    state text not null check (state in ('waiting', 'approved', 'refused', 'withdrawn')),
    settled_by text,
    settled_name text,
    settled_at_us bigint,
    answer text,                                           -- why it was refused
    check ((state = 'waiting') = (settled_at_us is null)),
    check (state <> 'approved' or settled_by <> proposed_by),
    check (state <> 'refused' or settled_by <> proposed_by)
);
-- One waits at a time: two would each be approved against a difference that nobody saw.
create unique index legal_change_waiting on legal_change (camera_id) where state = 'waiting';
create index legal_change_camera on legal_change (camera_id, proposed_at_us);
