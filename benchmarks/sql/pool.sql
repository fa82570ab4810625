-- The traces that rows are made of: each structure and version of a program has a number of runs to choose from.
create table bench_pool (
    structure   integer not null,
    version     integer not null,
    variant     integer not null,
    trace       jsonb,
    entries     integer not null,
    points      numeric,
    case_name   varchar,
    notes       text,
    primary key (structure, version, variant)
)
