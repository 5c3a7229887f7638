-- Police reads past their first term. Sealed anew under a key of camera x class x hour (lez_key, object cam_...), whose half lies behind the
-- magistrate's gate. No token: nothing finds one of them but a search that opens them one after the other.
create table gated_read (
    id text primary key,                                   -- rea_…
    class text not null,
    hour bigint not null,                                  -- hours since 1970
    object text not null,                                  -- of its key: cam_…, and ~N for what came late
    camera_id text not null,
    owner_id text not null,                                -- org_… at the time of the read
    stream_id text not null,
    at_us bigint not null,
    expires_at_us bigint not null,                         -- end of the second term
    body {blob} not null,                                  -- sealed as in lez_read
    crop {blob},
    overview {blob}
);
create index gated_read_list on gated_read (owner_id, at_us);
create index gated_read_end on gated_read (expires_at_us);

-- Searches of them: one orders, another agrees, who ordered it opens it.
create table gated_search (
    id text primary key,                                   -- UUID
    owner_id text not null,                                -- org_… whose reads
    camera_id text,                                        -- null: all of the owner's
    from_us bigint not null,
    to_us bigint not null,
    wish text,                                             -- sealed: plate or pattern; null: every read of the camera
    purpose text not null,
    ground text not null check (length(ground) > 0),
    case_ref text not null check (length(case_ref) > 0),
    magistrate_ref text not null check (length(magistrate_ref) > 0),
    decision_id text not null,                             -- dec_… under which it was ordered
    proposed_by text not null,                             -- usr_…
    proposed_name text not null,                           -- as it was then
    proposed_at_us bigint not null,
    state text not null check (state in ('proposed', 'in_force', 'refused')),
    settled_by text,
    settled_name text,
    settled_at_us bigint,
    refusal text,
    expires_at_us bigint not null,                         -- RC-GATE-SEARCH
    check (from_us < to_us),
    check (camera_id is not null or wish is not null),
    check ((state = 'proposed') = (settled_by is null)),
    check ((state = 'refused') = (refusal is not null)),
    check (settled_by is null or settled_by <> proposed_by)
);
create index gated_search_list on gated_search (owner_id, id);
create index gated_search_end on gated_search (expires_at_us);
-- The sweep asks of each police read that is due whether a decision keeps it.
create index gated_decision_camera on gated_decision (camera_id, class) where state = 'in_force';
