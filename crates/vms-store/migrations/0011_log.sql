-- What opens a leaf's commitment, what was forgotten, and what of the recorders stands in the log already.
create table log_opening (
    leaf_index bigint primary key,
    salt text not null                                     -- 32 bytes, hexadecimal; gone when the details are forgotten
);
create table log_forgotten (
    leaf_index bigint primary key,
    by_leaf bigint not null                                -- the leaf that says so
);
-- `seg_… told`, `seg_… erased`, `str_… FROM_US gap`: each at most once in the log.
create table log_told (
    item text primary key,
    leaf_index bigint not null
);
create index log_detail_operation on log_detail (operation, leaf_index);
