-- Holders of vehicles in zones with restricted access, asked for after an official made the statement (domain.md E2, DS-ZBT-HOLDER).
-- They go with the approval and with the finding.
create table finding_holder (
    finding_id text primary key references lez_finding (id) on delete cascade,
    state text not null check (state in ('waiting', 'found', 'unknown', 'not_asked', 'unusable')),
    tries bigint not null check (tries >= 0),              -- answers that could not be used
    next_try_us bigint not null,                           -- while it waits
    answered_at_us bigint,                                 -- when it stopped waiting
    request text,                                          -- the question (lez_registry_ask) that gave it
    body {blob},                                           -- sealed JSON under the key of the finding: number and kind; of 'found' only
    check ((state = 'waiting') = (answered_at_us is null)),
    check ((state = 'found') = (body is not null))
);
