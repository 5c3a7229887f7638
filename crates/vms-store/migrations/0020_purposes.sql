-- Copies of reads, counters and findings for zones with restricted access and average speed too. What is sealed stays as it is: the seal
-- names purpose, class and hour, none of which changes here.

create table read_copy (
    purpose text not null check (purpose in ('LEZ', 'ZBT', 'TRAJECT', 'OPENBARE_ORDE')),
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
insert into read_copy (purpose, id, class, hour, camera_id, owner_id, stream_id, at_us, received_at_us, next_try_us, tries,
        expires_at_us, token, body, crop, overview)
    select purpose, id, class, hour, camera_id, owner_id, stream_id, at_us, received_at_us, next_try_us, tries,
        expires_at_us, token, body, crop, overview from lez_read;
drop table lez_read;
alter table read_copy rename to lez_read;
create index lez_read_wait on lez_read (purpose, next_try_us);
create index lez_read_list on lez_read (purpose, owner_id, at_us);
create index lez_read_token on lez_read (purpose, token, at_us);
create index lez_read_camera on lez_read (purpose, camera_id, at_us);
create index lez_read_end on lez_read (expires_at_us);
create index lez_read_hour on lez_read (purpose, class, hour);

-- What stays of reads: how many, per purpose, day in Brussels, hour, camera and outcome.
create table read_counter (
    purpose text not null,
    day text not null,                                     -- YYYY-MM-DD
    hour bigint not null,                                  -- hours since 1970; -1: the low-emission zone counts by day
    camera_id text not null,
    outcome text not null,
    n bigint not null check (n > 0),
    primary key (purpose, day, hour, camera_id, outcome)
);
insert into read_counter (purpose, day, hour, camera_id, outcome, n)
    select 'LEZ', day, -1, camera_id, outcome, n from lez_counter;
drop table lez_counter;

-- Whose finding it is, and the second read of a run.
alter table lez_finding add column purpose text not null default 'LEZ' check (purpose in ('LEZ', 'ZBT', 'TRAJECT'));
alter table lez_finding add column authority_id text;      -- org_… whose people decide; null: the tax administration
alter table lez_finding add column slot text not null default ''; -- what else makes one of several: a zone; a run
alter table lez_finding add column exit_camera_id text;
alter table lez_finding add column exit_at_us bigint;
alter table lez_finding add column exit_crop {blob};
alter table lez_finding add column exit_overview {blob};
drop index lez_finding_day;
create unique index lez_finding_once on lez_finding (vehicle, day, slot);
create index lez_finding_queue on lez_finding (purpose, authority_id, state, id);
