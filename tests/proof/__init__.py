"""The proof of the extraction's promises: it is killed, starved, cut off and lied to, and afterwards the lake equals the source.

``python -m tests.proof`` (``make prove``) prints a table; ``tests/test_proof.py`` runs a small version of it. Real processes
extract from a real PostgreSQL with the package's own API. Every guarantee has a planted defect (``faults``) with which the
same scenario must fail: a proof that cannot fail proves nothing.

    steps      names what a run does to disk and server, and stops it there
    child      a run in a process of its own
    origin     the source: a log table whose state is known at any moment
    truth      the lake compared with PostgreSQL, by means of its own
    watch      a reader that looks all the time
    power      a power cut: what was not synced is lost
    faults     the planted defects
    scenarios  what is tried
    soak       all of it for minutes on end
"""
