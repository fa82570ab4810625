"""Compiled loops over bytes and codes: what extraction does once per trace entry, of which there are tens of millions.

Everything here is a pure function over numpy arrays and addresses, compiled by Numba without the interpreter's lock, so that
the server is drained while its rows are read. Nothing in it knows a file, a table or a tenant.

    memory         bytes at an address: load, compare, hash, copy
    tables         distinct texts, each with a code; distinct entry templates: type, branch and node id together
    trace_parser   one trace's text → codes, proved while it is read
    copy_tuples    rows of a binary COPY → codes and numbers; uuids: 128 bits ↔ text
    aggregate      codes in file order → what a Parquet file and its rollup hold
"""
