-- Which leaves named which plate, by the keyed hash that stands in their details: an overseer asks who searched for a plate. Forgotten with the details.
create table log_plate (
    leaf_index bigint primary key,
    plate_hash text not null                               -- 64 hexadecimal digits; empty: of before this table, look into the details
);
create index log_plate_hash on log_plate (plate_hash, leaf_index);

insert into log_plate (leaf_index, plate_hash)
select leaf_index, '' from log_detail where details like '%"object":"plate:%';
