-- Leaves of searches by a pattern or by likeness name no plate; they are listed as '*', so that an overseer's question who searched for a
-- plate opens each of them and compares.
insert into log_plate (leaf_index, plate_hash)
select leaf_index, '*' from log_detail where details like '%"object":"plates:%'
on conflict (leaf_index) do nothing;
