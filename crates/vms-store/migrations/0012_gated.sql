-- Decisions to keep footage past its first term, behind the magistrate's gate. Rows stay: together with the log they say what moved, and why.
create table gated_decision (
    id text primary key,
    camera_id text not null references camera (id),
    class text not null,                                   -- RC-…: of the camera when it was proposed
    from_us bigint not null,                               -- whole hours
    to_us bigint not null,                                 -- first instant after
    purpose text not null,
    ground text not null check (length(ground) > 0),
    case_ref text not null check (length(case_ref) > 0),
    decision_id text not null,                             -- dec_…: under which it was proposed
    proposed_by text not null,                             -- usr_…
    proposed_name text not null,                           -- as it was then
    proposed_at_us bigint not null,
    state text not null check (state in ('proposed', 'in_force', 'refused')),
    settled_by text,
    settled_name text,
    settled_at_us bigint,
    refusal text,
    applied_at_us bigint,                                  -- null: the recorder has not spoken of it yet
    applied_hours bigint,
    applied_waiting bigint,
    check (from_us < to_us and from_us % 3600000000 = 0 and to_us % 3600000000 = 0),
    check ((state = 'proposed') = (settled_by is null)),
    check ((state = 'refused') = (refusal is not null)),
    check (settled_by is null or settled_by <> proposed_by)
);
create index gated_decision_in_force on gated_decision (to_us) where state = 'in_force';
-- An export of what is behind the gate names the magistrate's decision.
alter table footage_export add column magistrate_ref text;
