"""The documentation as a site: ``python -m tests.website`` (``make docs``) builds it into ``build/site``, which is never committed.

Pages written by hand are those of ``docs/`` and the README. Whatever the package knows of itself is written when the site is built:
the data dictionary, the named queries, a page for each command, notebooks with their outputs, pictures of the reports.
"""
