-- What the timeline says about clocks; rows of before stay silent.
alter table segment_copy add column clock_stepped bigint not null default 0 check (clock_stepped in (0, 1));
alter table segment_copy add column camera_clock_off bigint not null default 0 check (camera_clock_off in (0, 1));
