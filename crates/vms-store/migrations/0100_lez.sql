-- Purpose-bound copies of plate reads, the low-emission zone, findings. Sealed columns are nonce 12 | AES-256-GCM, under
-- a key of lez_key; those keys are wrapped under a secret that is outside this database.

-- One key per purpose, class and hour of reads (object ''), per finding (its id), per hour of questions ('asks').
-- Erasing is deleting the row here: what was sealed under it opens nowhere, whatever copy of it survives.
create table lez_key (
    purpose text not null,
    class text not null,                                   -- retention class, such as RC-LEZ-RAW
    hour bigint not null,                                  -- hours since 1970; 0 for a finding's key
    object text not null,
    wrapped {blob} not null,
    ends_at_us bigint not null,                            -- destroyed then at the latest
    primary key (purpose, class, hour, object)
);
create index lez_key_end on lez_key (ends_at_us);

create table lez_read (
    purpose text not null check (purpose in ('LEZ', 'OPENBARE_ORDE')),
    id text not null,                                      -- rea_…
    class text not null,
    hour bigint not null,
    camera_id text not null,
    owner_id text not null,                                -- owner of the camera at the time of the read
    stream_id text not null,
    at_us bigint not null,
    received_at_us bigint not null,
    next_try_us bigint not null,
    tries bigint not null check (tries >= 0),
    expires_at_us bigint not null,
    token text not null,                                   -- keyed hash of the plate, the key is the purpose's own
    body {blob} not null,                                  -- sealed JSON: plate, countries, confidences, …
    crop {blob},                                           -- sealed JPEG
    overview {blob},                                       -- sealed JPEG
    primary key (purpose, id)
);
create index lez_read_wait on lez_read (purpose, next_try_us);
create index lez_read_list on lez_read (purpose, owner_id, at_us);
create index lez_read_token on lez_read (purpose, token, at_us);
create index lez_read_camera on lez_read (purpose, camera_id, at_us);
create index lez_read_end on lez_read (expires_at_us);
create index lez_read_hour on lez_read (purpose, class, hour);

-- Ids of reads that were taken, so that a read delivered twice is one, also when its copy is gone. No personal data.
create table lez_seen (
    purpose text not null,
    id text not null,
    at_us bigint not null,
    primary key (purpose, id)
);
create index lez_seen_at on lez_seen (at_us);

-- What stays of reads: how many, per day in Brussels, camera and outcome.
create table lez_counter (
    day text not null,                                     -- YYYY-MM-DD
    camera_id text not null,
    outcome text not null,
    n bigint not null check (n > 0),
    primary key (day, camera_id, outcome)
);

-- Every question to the registry that left.
create table lez_registry_ask (
    id text primary key,
    flow text not null,
    institution text not null,
    source text not null,
    reason text not null,                                  -- the decision under which it was asked
    asked_at_us bigint not null,
    ended_at_us bigint not null,
    attempts bigint not null,
    ending text not null,
    items_count bigint not null,
    digest text not null,                                  -- SHA-256 over the sealed list: what it was can be shown while it lives
    hour bigint not null,
    items {blob},                                          -- sealed JSON; null once its term ended
    items_end_us bigint not null
);
create index lez_registry_ask_end on lez_registry_ask (items_end_us);

create table lez_finding (
    id text primary key,                                   -- fnd_…
    state text not null check (state in ('open', 'approved', 'rejected', 'unclear')),
    verdict text not null check (verdict in ('infraction', 'warning', 'undetermined')),
    rule_id text,
    fine_id text,
    amount_cents bigint,
    currency text,
    rule_set text not null,
    at_us bigint not null,
    day text not null,
    camera_id text not null,
    read_id text not null,
    vehicle text not null,                                 -- keyed token of the vehicle
    class text not null,                                   -- class of its key
    expires_at_us bigint not null,
    file {blob} not null,                                  -- sealed JSON: plate, country, input, outcome
    crop {blob},
    overview {blob},
    version bigint not null,
    decided_by text,
    decided_at_us bigint,
    reason text
);
create unique index lez_finding_day on lez_finding (vehicle, day);
create index lez_finding_state on lez_finding (state, id);
create index lez_finding_end on lez_finding (expires_at_us);

-- Decisions of people, only ever added; gone with the finding, while the log of uses keeps that they were made.
create table lez_finding_event (
    finding_id text not null,
    version bigint not null,
    state text not null,
    reason text,
    user_id text not null,
    at_us bigint not null,
    decision_id text not null,
    verdict text not null,
    primary key (finding_id, version)
);
