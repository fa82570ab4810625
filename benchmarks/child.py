"""Runs one method and says what it cost, as one line of JSON.

    python -m benchmarks.child extract:ours_1 '{"url": …}'

A method is a function that takes the task, imports and opens what it needs, and returns the work as another function; only
that is timed. The work returns facts about its result.
"""

from __future__ import annotations

import importlib
import json
import resource
import statistics
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from benchmarks import UnavailableError

GROUPS = {
    "extract": "benchmarks.extractors",
    "edges": "benchmarks.edge_readers",
    "flatten": "benchmarks.flatteners",
    "tenants": "benchmarks.tenant_steps",
    "summary": "benchmarks.summary_ways",
    "post_mortem": "benchmarks.post_mortem_ways",
    "morning": "benchmarks.morning_ways",
    "explore": "benchmarks.explore_ways",
    "commands": "benchmarks.command_ways",
}
AGAIN_BELOW_SECONDS, MOST_AGAIN = 1.0, 5
"""Short work is repeated within the process, where the task allows it, and its median taken."""


def _cpu_seconds() -> float:
    both = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in both)


def peak_mb() -> float:
    """Peak memory of this process since it began; ``ru_maxrss`` would also remember the parent's."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def _why_not_installed(module: str) -> str:
    """What pip said when ``benchmarks/install.py`` tried."""
    said = Path(sys.prefix) / "peers.json"
    if not said.exists():
        return ""
    reasons = json.loads(said.read_text(encoding="utf-8"))
    wanted = module.partition(".")[0].replace("_", "-")
    return "".join(f"; {why}" for requirement, why in reasons.items() if requirement.startswith(wanted))


def explain(error: BaseException) -> str:
    """The first cause in a line: peers wrap it in several layers of their own."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"


def measure(method: str, task: dict[str, Any]) -> dict[str, Any]:
    """Prepare, work, and say what it cost."""
    group, _, name = method.partition(":")
    try:
        work = getattr(importlib.import_module(GROUPS[group]), name)(task)
        times: list[float] = []
        while True:
            before, start = _cpu_seconds(), time.perf_counter()
            facts = work()
            times.append(time.perf_counter() - start)
            spent = _cpu_seconds() - before
            if not task.get("again") or sum(times) > AGAIN_BELOW_SECONDS or len(times) == MOST_AGAIN:
                break
    except UnavailableError as error:
        return {"error": f"not run: {error}"}
    except ImportError as error:
        return {"error": f"not installed: {error}{_why_not_installed(error.name or '')}"}
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a peer written in Rust panics with a class of its own
        return {"error": f"failed: {explain(error)}"}
    facts = facts or {}
    answer = facts.pop("answer", None)
    if answer is not None:  # written after the clock: a question is answered when the client has the rows
        import pyarrow.parquet as pq

        pq.write_table(answer, Path(task["answers"]) / f"{name}.parquet")
        facts["groups"] = answer.num_rows
    return {
        "seconds": statistics.median(times),
        "cpu_seconds": spent,
        "peak_mb": peak_mb(),
        "facts": facts,
    }


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(json.dumps(measure(sys.argv[1], json.loads(sys.argv[2]))))
