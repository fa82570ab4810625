"""Before a report is published: its notebook is cleaned, and every file searched for what may not be in it.

`clean` takes out what a notebook keeps of the machine that ran it. `check` is the gate: it knows nothing of how the page was
made, reads the finished files as a stranger would, and refuses them where a secret, a path of this machine, another tenant
or a user can be read.
"""

from analytics.reports.leak_gate.forbidden import Forbidden, tenants
from analytics.reports.leak_gate.scan import check, clean, clean_text, is_clean

__all__ = ["Forbidden", "check", "clean", "clean_text", "is_clean", "tenants"]
