-- What was erased and stands in no leaf of the log of uses yet. A row is written with the erasing, in one transaction, and goes once its leaf stands:
-- a kill between the two, or a log that is away, loses no leaf. A kill between leaf and row writes the leaf twice, with one number.
create table erasure (
    id {serial},
    at_us bigint not null,
    what text not null                                     -- JSON: kind and counts; nothing of a person
);
