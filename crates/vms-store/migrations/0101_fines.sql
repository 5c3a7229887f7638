-- Batches of fines. A finding is in one run at most, whatever is killed when: the claim is unique.

-- Who approved first, where a second person has to.
alter table lez_finding add column first_by text;

create table fine_run (
    id text primary key,                                   -- from its window
    chain bigint not null unique,                          -- 1, 2, 3 …
    previous text not null,                                -- SHA-256 of the manifest before; '' for the first
    working bigint unique check (working = 1),             -- 1 until it is signed, then null: one open run at a time
    from_us bigint not null,
    to_us bigint not null,
    opened_at_us bigint not null,
    rule_set text not null,
    taken bigint not null,
    records bigint not null,
    fines bigint not null,
    warnings bigint not null,
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
    check (taken = records + merged + refused),
    check (records = fines + warnings),
    check (accepted + rejected + correct <= records)
);

-- Lines go with their finding, at the end of its term.
create table fine_line (
    run_id text not null,
    position bigint not null,                              -- from 1
    finding_id text not null references lez_finding (id) on delete cascade,
    claim text unique,                                     -- the finding of a record that stands; null lets it go
    offence text unique,                                   -- ofc_…; null: it became no record
    vehicle text not null,
    verdict text not null,
    fine_id text,
    amount_cents bigint,
    at_us bigint not null,
    pictures text not null,                                -- words, separated by blanks
    body {blob} not null,                                  -- the exact line, sealed under the key of the finding
    left_at_us bigint,
    answer text check (answer in ('accepted', 'refused', 'correct')),
    answer_code text,
    answered_at_us bigint,
    primary key (run_id, position)
);
create index fine_line_vehicle on fine_line (vehicle);
create index fine_line_finding on fine_line (finding_id);
