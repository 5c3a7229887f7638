-- Events of the last day, leases of work, details of the log's leaves.
create table event_log (
    id {serial},
    at_us bigint not null,
    kind text not null,
    scope text not null check (scope in ('camera', 'camera_right', 'org', 'session')),
    scope_id text not null,                                -- camera, organisation or session
    scope_right text,                                      -- for camera_right and org
    data text not null                                     -- JSON object, never personal data
);
create index event_log_at on event_log (at_us);

create table lease (
    name text primary key,
    holder text not null,
    until_us bigint not null
);

-- Beside the log, forgettable: the leaf itself carries only a salted commitment.
create table log_detail (
    leaf_index bigint primary key,
    at_us bigint not null,
    org_id text,                                           -- the actor's organisation
    user_id text,
    operation text not null,
    decision_id text,
    details text not null                                  -- JSON object: personal data of the actor
);
create index log_detail_org on log_detail (org_id, leaf_index);
create index log_detail_at on log_detail (at_us);
