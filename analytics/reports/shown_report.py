"""How a report, and the facts it was made of, show themselves where somebody explores: the verdict, and what can be asked next."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from analytics.findings.shown import ShownInquiry
from analytics.reports import page
from analytics.reports.page import Block


class ShownReport(ABC):
    """A report that shows its verdict and its sections."""

    SECTIONS: ClassVar[Sequence[str]] = ()
    """Names of the methods, in the order of the page."""

    @abstractmethod
    def head(self) -> Block:
        """The verdict."""

    def _sections(self) -> dict[str, str]:
        return {f"{name}()": _first_line(getattr(type(self), name)) for name in self.SECTIONS}

    def __repr__(self) -> str:
        return _block(self.head(), "report", self._sections()).text

    def _repr_html_(self) -> str:
        return _html(_block(self.head(), "report", self._sections()))


@dataclass(frozen=True, slots=True)
class InquiryWords:
    """What the facts of a report show: its verdict, and their own names.

    Attributes:
        report: Whose facts they are.
        inquiry: The facts.
    """

    report: ShownReport
    inquiry: ShownInquiry

    @property
    def text(self) -> str:
        """For a terminal."""
        return self._block.text

    @property
    def html(self) -> str:
        """For a cell of a notebook."""
        return _html(self._block)

    @property
    def _block(self) -> Block:
        return _block(self.report.head(), "report.inquiry", self.inquiry.facts())


def _first_line(method: object) -> str:
    return (inspect.getdoc(method) or "").partition("\n")[0]


def _html(block: Block) -> str:
    return block._repr_mimebundle_()[0]["text/html"]


def _block(head: Block, of: str, parts: Mapping[str, str]) -> Block:
    rows = [{"name": page.mono(f"{of}.{name}"), "words": words} for name, words in parts.items()]
    table = page.table(rows, [page.Column("name", "ask"), page.Column("words", "and see", role="wide")])
    html = page.Markup('{}<div class="sa-rows">{}</div>').format(head.html, table.html)
    width = max((len(of) + 1 + len(name) for name in parts), default=0)
    lines = [f"  {f'{of}.{name}':{width}}  {words}" for name, words in parts.items()]
    return Block(html, "\n".join([head.text, "", *lines]), "answer")
