-- Several cameras in one evidence export: the first stands in the row itself, the others here, in their order.
alter table footage_export add column others text not null default '';   -- `cam_…/str_…`, with a space between two; at most 7
