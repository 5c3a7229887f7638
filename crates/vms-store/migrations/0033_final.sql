-- Batches wait until an outcome can change no more: until no day pass can be bought and no permit regularised for it.

-- First instant from which the outcome is final; null: no such term, or approved before this column was there (then the tables say it).
alter table lez_finding add column final_from_us bigint;
create index lez_finding_vehicle on lez_finding (vehicle, at_us);

-- What was approved before the end of a run's window and could have been taken: approved = taken + not_final + holder_waits; null in older runs.
alter table fine_run add column approved bigint;
alter table fine_run add column not_final bigint;          -- the outcome can still change
alter table fine_run add column waits_until_us bigint;     -- the last of these instants
alter table fine_run add column holder_waits bigint;       -- the registry has not answered who holds the vehicle

-- Why a line is none any more whose finding is erased; null: the finding's term ended.
alter table fine_line add column reason text;

-- Day passes as whoever sells them told. No plate: a keyed hash of plate and country.
create table lez_pass (
    token text not null,
    day text not null,                                     -- calendar day in Brussels, YYYY-MM-DD
    bought_at_us bigint not null,                          -- the earliest that was told
    told_at_us bigint not null,
    expires_at_us bigint not null,                         -- RC-LEZ-PASS
    primary key (token, day)
);
create index lez_pass_end on lez_pass (expires_at_us);
