"""The rule language: evaluate a program, flatten its AST, give its nodes ids."""

from analytics.program.evaluate import MAX_DEPTH, MAX_NODES, Program, compile_program, evaluate
from analytics.program.ids import generate_ids
from analytics.program.outcome import Outcome, ParentResult, Phase, TraceEntry
from analytics.program.walk import ANALYTICS_PATHS, AstNode, analytics_paths, walk

__all__ = [
    "ANALYTICS_PATHS",
    "MAX_DEPTH",
    "MAX_NODES",
    "AstNode",
    "Outcome",
    "ParentResult",
    "Phase",
    "Program",
    "TraceEntry",
    "analytics_paths",
    "compile_program",
    "evaluate",
    "generate_ids",
    "walk",
]
