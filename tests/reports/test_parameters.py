"""What a notebook is told from outside is of its type, or refused in a sentence."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import nbformat
import pytest

import analytics
from analytics.errors import AnalyticsError, UsageError
from analytics.reports.parameter_values import typed, understood
from analytics.reports.render.notebooks import checked
from analytics.reports.render.plan import Plan, plan
from analytics.reports.schedule.definition import Definition


@pytest.mark.parametrize(
    ("value", "kinds", "meant"),
    [
        ("false", "bool", False), ("False", "bool", False), (" TRUE ", "bool", True), (True, "bool", True),
        ("no", "bool", None), ("", "bool", None), (0, "bool", None), (1, "bool", None), ("0", "bool", None),
        ("007", "str", "007"), ("False", "str", "False"), (7, "str", None), (7.5, "str", None), (True, "str", None),
        (float("nan"), "str", None), (None, "str", None), (None, "str None", None), (["a"], "str", None), (b"a", "str", None),
        (5, "int", 5), ("5", "int", 5), ("-5", "int", -5), ("5.0", "int", None), (5.5, "int", None), (True, "int", None),
        ("1_000", "int", None), ("٣", "int", None), ("9" * 30, "int", None), ("five", "int", None),
        (5, "float", 5.0), ("0.9", "float", 0.9), ("1e3", "float", 1000.0), ("nan", "float", None),
        (float("inf"), "float", None), ("1e999", "float", None), (10**400, "float", None), (False, "float", None),
    ],
)  # fmt: skip
def test_a_value_is_of_its_parameters_type_or_refused(value, kinds, meant):
    wanted = frozenset(kinds.split())
    if meant is None and not (value is None and "None" in wanted):
        with pytest.raises(UsageError, match=r"^parameter p must be ") as refused:
            understood("p", value, wanted)
        assert "\n" not in refused.value.message and len(refused.value.message) < 150
    else:
        found = understood("p", value, wanted)
        assert found == meant and type(found) is type(meant)


def test_a_function_gets_what_it_declares():
    @typed
    def asked(path: str | int | None = None, *, show: bool = False, **limits: float) -> object:
        return path, show, limits

    assert asked("7", show="false", cap="600") == ("7", False, {"cap": 600.0})  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="parameter cap"):
        asked(cap="many")  # type: ignore[arg-type]


def test_users_are_masked_where_plain_papermill_was_told_show_users_false(lake):
    asked = {"realm": "acme-cycling", "family": "Speed bonus", "since": "2026-07-07", "until": "2026-07-11"}
    said = {word: analytics.post_mortem(lake.root, **asked, show_users=word).who().text for word in ("false", "true")}
    assert "••••" in said["false"] and "••••" not in said["true"] and "users" in said["true"]


@pytest.mark.parametrize(
    "given",
    [{"realm": 7}, {"baseline": 2}, {"execution_id": 32436651}, {"strategy_id": 1.5}, {"since": 2026}, {"lake": 7},
     {"realm": None, "no_realm": False}, {"show_users": "ja"}, {"min_users": "some"}, {"engine": True}],
)  # fmt: skip
def test_what_papermill_made_of_a_text_is_refused_before_the_lake_is_opened(given):
    with pytest.raises(UsageError, match=r"must be|the realm is None"):
        analytics.post_mortem(**{"lake": "nowhere", **given})


def test_the_reports_own_runner_understands_the_same(tmp_path):
    known = {"realm": "", "no_realm": False, "node_cap": 1000, "close": 0.9}
    assert checked(known, {"realm": "007", "no_realm": "false", "node_cap": "600", "close": 1}) == {
        "realm": "007", "no_realm": False, "node_cap": 600, "close": 1.0,
    }  # fmt: skip
    for wrong in ({"realm": 7}, {"no_realm": "no"}, {"node_cap": True}, {"close": "near"}):
        with pytest.raises(UsageError, match="must be"):
            checked(known, wrong)


def test_a_tenants_name_is_not_taken_for_a_list_of_tenants():
    with pytest.raises(UsageError, match="parameter realms must be a list"):
        analytics.extract(realms="acme")


def test_a_plan_reaches_the_process_that_renders_it_with_every_value(lake, tmp_path):
    cell = nbformat.v4.new_code_cell(
        'lake: str = ""\nsince: str = "7d"\nuntil = "now"\nmin_users = 5.0\nmany = [1.0]\nnumber = 1\nleft = None',
        metadata={"tags": ["parameters"]},
    )
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "own.ipynb")
    given = {
        "lake": str(lake.root),
        "since": "2026-07-08",
        "until": "2026-07-09",
        "many": [math.nan, math.inf],
    }
    planned = plan(Definition(name="own", notebook=str(tmp_path / "own.ipynb")), tmp_path, {**given, "number": 2})
    arrived = Plan.from_json(json.loads(json.dumps(planned.to_json())))
    assert {name: repr(value) for name, value in arrived.values.items()} == {
        name: repr(value) for name, value in planned.values.items()
    }
    assert planned.values["min_users"] == 5


@pytest.mark.parametrize("given", [{"family": "Nobody's"}, {"family": "Speed bonus", "against": "Nobody's"}, {}])
def test_a_strategy_that_is_not_there_is_refused_before_anything_of_a_report_is_imported(lake, tmp_path, given):
    code = (
        "import json, sys\nfrom pathlib import Path\n"
        "from analytics.errors import AnalyticsError\n"
        "from analytics.reports.render import rendering\n"
        "from analytics.reports.render.plan import Plan\n"
        "try: rendering.render_here(Plan.from_json(json.loads(sys.argv[1])), Path(sys.argv[2]))\n"
        "except AnalyticsError as error: print(repr([type(error).__name__, error.message, error.hint, error.facts]))\n"
        "assert not {'pandas', 'numpy', 'pyarrow', 'IPython', 'papermill', 'nbformat'} & set(sys.modules)"
    )
    window = {"since": "2026-07-08", "until": "2026-07-09"}
    planned = plan(
        Definition(name="post_mortem", notebook="post_mortem"),
        tmp_path / "out",
        {"lake": str(lake.root), **window, **given},
    )
    words = [sys.executable, "-c", code, json.dumps(planned.to_json()), str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    with pytest.raises(AnalyticsError) as refused:
        analytics.post_mortem(str(lake.root), **window, **given)
    error = refused.value
    assert done.stdout.strip() == repr([type(error).__name__, error.message, error.hint, error.facts])
    assert not (tmp_path / "out").exists(), "nothing is published"
