"""Side by side with what people use today. Results are ratios against a peer in the same run, never times alone.

    make bench                        everything below, peers in an environment of their own; tables go to docs/
    python -m benchmarks              the same with whatever is installed here
    python -m benchmarks.extract      extraction: against the raw drain and other clients; what each corrupts
    python -m benchmarks.flatten      the per-node aggregate: lists, rollup, JSON text, other engines
    python -m benchmarks.tenants      many small tenants
    python -m benchmarks.summary      estimates for every strategy: against a plain group by over the same rows

Where things are: ``data`` fills tables (``pool`` invents their traces, ``edges`` the odd rows), ``server`` keeps the server
and the results between runs, ``measure`` runs one method in a process of its own (``child``), ``report`` writes the tables.
"""


class UnavailableError(Exception):
    """A method cannot run here; the tables show the reason in its place."""
