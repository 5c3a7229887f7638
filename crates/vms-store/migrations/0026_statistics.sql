-- Published counts and travel times (docs/PRIVACY.md, class RC-MOB): no plate, no pseudonym, no cell of fewer than five vehicles.
create table stat_count (
    site text not null,                                     -- code in the operator's file
    lane bigint not null check (lane >= 0),                 -- 0: all lanes
    from_us bigint not null,
    to_us bigint not null,                                  -- first instant after
    vehicles bigint check (vehicles >= 5),                  -- that passed; null: fewer than five different ones, or none
    speed_kmh bigint check (speed_kmh >= 0),                -- mean; null: not measured
    primary key (site, lane, from_us),
    check (to_us > from_us),
    check (speed_kmh is null or vehicles is not null)
);
create index stat_count_from on stat_count (from_us);

create table stat_time (
    route text not null,                                    -- code in the operator's file
    from_us bigint not null,                                -- of the interval in which the drives ended
    to_us bigint not null,
    mean_s bigint not null check (mean_s > 0),              -- rounded to 5
    sample text not null check (sample in ('5-9', '10-29', '30+')),
    primary key (route, from_us),
    check (to_us > from_us)
);
create index stat_time_from on stat_time (from_us);
