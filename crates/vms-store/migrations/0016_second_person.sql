-- What waits for a second person, and alarms about somebody's unusual use. Rows stay.
create table second_wish (
    id text primary key,                                   -- UUID
    kind text not null check (kind in ('partner_on', 'camera_retire')),
    object text not null,                                  -- org_… of the partner, cam_…
    owner_id text not null references org (id),            -- of the camera; the partner itself
    reason text not null check (length(reason) > 0),
    asked_by text not null,
    asked_name text not null,
    asked_at_us bigint not null,
    state text not null check (state in ('waiting', 'approved', 'refused', 'withdrawn')),
    answer text,
    settled_by text,
    settled_name text,
    settled_at_us bigint,
    check ((settled_by is null) = (settled_at_us is null)),
    check ((state = 'waiting') = (settled_by is null)),
    check (state not in ('approved', 'refused') or settled_by <> asked_by),
    check (state <> 'withdrawn' or settled_by = asked_by)
);
create unique index second_wish_open on second_wish (kind, object) where state = 'waiting';
create index second_wish_asked on second_wish (asked_at_us);

create table anomaly (
    id text primary key,                                   -- UUID
    user_id text not null,
    org_id text not null references org (id),
    rule text not null,                                    -- name in seed/anomalies.toml
    counted bigint not null check (counted > 0),
    allowed bigint not null,
    window_s bigint not null check (window_s > 0),
    at_us bigint not null,                                 -- of the use that was one too many
    told_at_us bigint not null,                            -- when the alarm was raised
    state text not null check (state in ('open', 'settled')),
    answer text,
    settled_by text,
    settled_name text,
    settled_at_us bigint,
    check (settled_by is null or settled_by <> user_id),   -- nobody settles an alarm about themselves
    check ((state = 'open') = (settled_by is null))
);
create unique index anomaly_open on anomaly (user_id, rule) where state = 'open';
-- Told once, also when a process that starts again reads the last hour anew.
create unique index anomaly_same on anomaly (user_id, rule, at_us);
create index anomaly_at on anomaly (at_us);
