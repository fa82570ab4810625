"""The rule language: evaluate a program, flatten its AST, give its nodes ids, line a trace up with it, replay a run."""

from analytics.program.align import Alignment, align
from analytics.program.draft import Draft, read_draft
from analytics.program.evaluate import MAX_DEPTH, MAX_NODES, Program, Replay, compile_program, evaluate, replay
from analytics.program.outcome import Outcome, ParentResult, Phase, TraceEntry
from analytics.program.paths import TruncatedSuffix, truncated_suffix
from analytics.program.refusals import Refusal, refusals
from analytics.program.size import Size, size
from analytics.program.validator import BuiltIn, PublishedSize, built_in, published_size
from analytics.program.walk import ANALYTICS_PATHS, AstNode, Outline, analytics_paths, generate_ids, outline, walk

__all__ = [
    "ANALYTICS_PATHS",
    "MAX_DEPTH",
    "MAX_NODES",
    "Alignment",
    "AstNode",
    "BuiltIn",
    "Draft",
    "Outcome",
    "Outline",
    "ParentResult",
    "Phase",
    "Program",
    "PublishedSize",
    "Refusal",
    "Replay",
    "Size",
    "TraceEntry",
    "TruncatedSuffix",
    "align",
    "analytics_paths",
    "built_in",
    "compile_program",
    "evaluate",
    "generate_ids",
    "outline",
    "published_size",
    "read_draft",
    "refusals",
    "replay",
    "size",
    "truncated_suffix",
    "walk",
]
