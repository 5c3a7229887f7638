-- Batches of every kind of finding. Each kind of each authority has a chain of its own. A line outlives its finding as a number: a record
-- whose finding's term ends is closed with that reason, so that the totals of its run add up and the run closes.

create table fine_run_new (
    id text primary key,                                   -- from its kind, authority and window
    purpose text not null check (purpose in ('LEZ', 'ZBT', 'TRAJECT')),
    authority_id text not null,                            -- org_…; '' the tax administration
    chain bigint not null,                                 -- 1, 2, 3 …
    previous text not null,                                -- SHA-256 of the manifest before; '' for the first
    working bigint check (working = 1),                    -- 1 until it is signed, then null: one open run at a time
    from_us bigint not null,
    to_us bigint not null,
    opened_at_us bigint not null,
    rule_set text not null,
    taken bigint not null,
    records bigint not null,
    fines bigint not null,
    warnings bigint not null,
    files bigint not null,                                 -- records that name no amount: average speed
    amount_cents bigint not null,
    merged bigint not null,
    refused bigint not null,
    holder text not null,
    holder_until_us bigint not null,
    manifest_sha256 text,
    signed_at_us bigint,
    accepted bigint not null,                              -- answers; they stay when the lines are erased
    rejected bigint not null,
    correct bigint not null,
    ended bigint not null,                                 -- signed records whose finding's term ended before an answer came
    unique (purpose, authority_id, chain),
    unique (purpose, authority_id, working),
    check (taken = records + merged + refused),
    check (records = fines + warnings + files),
    check (accepted + rejected + correct + ended <= records)
);
insert into fine_run_new (id, purpose, authority_id, chain, previous, working, from_us, to_us, opened_at_us, rule_set, taken, records,
        fines, warnings, files, amount_cents, merged, refused, holder, holder_until_us, manifest_sha256, signed_at_us, accepted, rejected,
        correct, ended)
    select id, 'LEZ', '', chain, previous, working, from_us, to_us, opened_at_us, rule_set, taken, records,
        fines, warnings, 0, amount_cents, merged, refused, holder, holder_until_us, manifest_sha256, signed_at_us, accepted, rejected,
        correct, 0 from fine_run;
drop table fine_run;
alter table fine_run_new rename to fine_run;

create table fine_line_new (
    run_id text not null,
    position bigint not null,                              -- from 1
    finding_id text not null,                              -- the sweep closes the line when the finding goes
    claim text unique,                                     -- the finding of a record that stands; null lets it go
    offence text unique,                                   -- ofc_…; null: it became no record
    outcome text check (outcome in ('merged', 'refused')), -- of a line that is no record
    vehicle text not null,                                 -- '' once the term ended
    verdict text not null,
    fine_id text,
    amount_cents bigint,
    at_us bigint not null,
    pictures text not null,                                -- words, separated by blanks
    body {blob},                                           -- the exact line, sealed under the key of the finding; null once the term ended
    left_at_us bigint,
    answer text check (answer in ('accepted', 'refused', 'correct')),
    answer_code text,
    answered_at_us bigint,
    ended_at_us bigint,                                    -- the term of the finding ended before the record was signed or answered
    primary key (run_id, position)
);
insert into fine_line_new (run_id, position, finding_id, claim, offence, vehicle, verdict, fine_id, amount_cents, at_us, pictures, body,
        left_at_us, answer, answer_code, answered_at_us)
    select run_id, position, finding_id, claim, offence, vehicle, verdict, fine_id, amount_cents, at_us, pictures, body,
        left_at_us, answer, answer_code, answered_at_us from fine_line;
drop table fine_line;
alter table fine_line_new rename to fine_line;
create index fine_line_vehicle on fine_line (vehicle);
create index fine_line_finding on fine_line (finding_id);
