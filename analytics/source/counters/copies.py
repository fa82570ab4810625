"""The same process under other labels: federated into the server that scrapes it, too, scraped by two jobs, summed by a rule.

Labels of a scraper's own are `increase.Replicas`'; here are those by which processes are told apart otherwise, so a copy needs a
proof: the labels that the other server gave it, or the moment at which its process started, and counters that rise together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from analytics.source.counters.increase import (
    ENGINE_LABELS,
    LEAST_RISE,
    covers,
    process,
    process_name,
    risen_together,
)
from analytics.source.counters.series import Series

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Copies:
    """Processes that are others', and sums.

    Attributes:
        processes: What `increase.process` says of those that are left out.
        sentences: What a person should know.
    """

    processes: frozenset[Key] = frozenset()
    sentences: tuple[str, ...] = ()

    @classmethod
    def among(cls, runs: Sequence[Series], started: Sequence[Series]) -> Copies:
        """Look for them.

        Args:
            runs: The counters of runs, of one scraper each.
            started: When processes started, as far as it was scraped.
        """
        by: dict[Key, dict[Key, Series]] = {}
        names: dict[Key, str] = {}
        for counter in runs:
            by.setdefault(process(counter.labels), {})[_counted(counter.labels)] = counter
            names.setdefault(process(counter.labels), process_name(counter.labels))
        sums = _sums(runs)
        begun = {process(counter.labels): frozenset(map(float, counter.values)) for counter in started}
        longest = sorted(by, key=lambda one: _reach(by[one].values()), reverse=True)
        kept: list[Key] = []
        copies: dict[Key, Key] = {}
        for one in longest:
            if one in sums:
                continue
            of = next(
                (other for other in kept if _is_copy(one, other, begun) and _rise_alike(by[one], by[other])), None
            )
            if of is None:
                kept.append(one)
            else:
                copies[one] = of
        said = [
            f"{names[one]} is the same process as {names[of]}, read twice: counted once"
            for one, of in sorted(copies.items())[:3]
        ]
        if len(copies) > 3:
            said.append(f"so it is for {len(copies) - 3} more processes")
        if sums:
            said.append("series without the label instance are sums that a rule made of the others: not counted")
        return cls(frozenset({*copies, *sums}), tuple(said))

    def without(self, series: Iterable[Series]) -> list[Series]:
        """The others."""
        return [counter for counter in series if process(counter.labels) not in self.processes]


def _counted(labels: Mapping[str, str]) -> Key:
    return tuple(labels.get(f"exported_{name}", labels.get(name, "")) for name in ENGINE_LABELS)


def _reach(series: Iterable[Series]) -> tuple[float, int]:
    return max(covers(counter) for counter in series)


def _own(one: Key) -> Key:
    """A process by the labels that the server gave it which scraped it: those of another's are in front of them."""
    cluster, namespace, job, pod, instance, exported_job, exported_instance = one
    return (cluster, namespace, exported_job or job, pod, exported_instance or instance)


def _is_copy(one: Key, other: Key, begun: Mapping[Key, frozenset[float]]) -> bool:
    """By what is known of both without their counts."""
    mine, yours = begun.get(one), begun.get(other)
    if mine and yours:  # a scraper that looked less often may have missed a start
        return mine <= yours or yours <= mine
    is_federated = bool(one[-1]) != bool(other[-1])
    return is_federated and _own(one) == _own(other)


def _rise_alike(ones: Mapping[Key, Series], others: Mapping[Key, Series]) -> bool:
    risen = 0.0
    for key, counter in ones.items():
        other = others.get(key)
        if other is None:
            return False
        together = risen_together(counter, other)
        if together is None:
            return False
        risen += together
    return risen >= LEAST_RISE


def _sums(runs: Sequence[Series]) -> set[Key]:
    """Every scrape gives its series an instance; what has none beside such that have one, of the same job, is a rule's."""
    jobs = {counter.labels.get("job", "") for counter in runs if counter.labels.get("instance")}
    return {
        process(counter.labels)
        for counter in runs
        if not counter.labels.get("instance") and counter.labels.get("job", "") in jobs | ({""} if jobs else set())
    }
