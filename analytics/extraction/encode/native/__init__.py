"""Compiled loops over bytes and codes: what extraction does once per trace entry, of which there are tens of millions.

Everything here is a pure function over numpy arrays and addresses, compiled by Numba without the interpreter's lock, so that
the server is drained while its rows are read. Nothing in it knows a file, a table or a tenant.

    memory   bytes at an address: load, compare, hash, copy
    names    a table of distinct texts, each with a code
    heads    a table of distinct entry heads: type, branch and node id together
    traces   one trace's text → codes, proved while it is read
    tuples   rows of a binary COPY → codes and numbers
    groups   codes in file order → what a Parquet file and its rollup hold
    ids      uuids: 128 bits ↔ text
"""
