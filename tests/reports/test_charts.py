"""Every picture draws what is there, raises over nothing, and becomes an SVG that is safe to stand in a page."""

import datetime as dt
import inspect
import math
import re
import subprocess
import sys
import textwrap
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

import analytics
from analytics.errors import UsageError
from analytics.reports import charts
from analytics.reports.charts.columns import moments
from analytics.reports.page.inline import LIGHT
from analytics.warehouse.warehouse import Warehouse
from tests.fewer import one_in

EVIL = "$x^2$ <b> \u202e&\x00 שלום " + "w" * 5000
LITERAL = "$x^2$ <b>"
S = pd.Timestamp("2026-07-03", tz="UTC")
HOUR, DAY = pd.Timedelta(hours=1), pd.Timedelta(days=1)
NAN = float("nan")


def versions() -> pd.DataFrame:
    rows = [(EVIL, S, S + 4 * DAY, "before", 7.1), ("v3", S + 4 * DAY, S + 6 * DAY, "finding", NAN)]
    return pd.DataFrame(rows, columns=["label", "since", "until", "role", "est_points_mean"])


def points() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "since": [S + k * 6 * HOUR for k in range(24)],
            "until": [S + (k + 1) * 6 * HOUR for k in range(24)],
            "label": [EVIL] * 16 + ["v3"] * 8,
            "role": ["before"] * 16 + ["finding"] * 8,
            "est_points_mean": [7.0] * 16 + [10.6] * 8,
            "est_points_mean_low": [6.0] * 23 + [NAN],
            "est_points_mean_high": [8.0] * 23 + [float("inf")],
            "logged_count": list(range(24)),
        }
    )


def runs_per_bin() -> pd.DataFrame:
    values = [float(k % 9) * 1e4 for k in range(48)]
    return pd.DataFrame(
        {
            "since": [S + k * 3 * HOUR for k in range(48)],
            "est_runs": values,
            "est_runs_low": values,
            "est_runs_high": NAN,
        }
    )


def failed() -> pd.DataFrame:
    codes = ["DSL_TIMEOUT", EVIL, None, "A", "B", "C", "D"]
    return pd.DataFrame({"created_at": [S + k * DAY for k in range(5)] + [pd.NaT, None], "error_code": codes})


def durations() -> pd.DataFrame:
    rows = [(S + k * DAY, S + (k + 1) * DAY, 30.0 + k, 25.0, NAN if k % 2 else 90.0, "rough") for k in range(6)]
    name = "est_duration_p99_ms"
    return pd.DataFrame(rows, columns=["since", "until", name, f"{name}_low", f"{name}_high", "grade"])


def cases_frame() -> pd.DataFrame:
    rows = [
        (name, label, role, share, share * 0.9, share * 1.1, paid)
        for name, share in (("Bonus", 0.6), (None, 0.1), (EVIL, 0.02))
        for label, role, paid in (("v2", "before", 10.0), ("v3", "finding", 15.0))
    ]
    columns = ["case_name", "label", "role", "share", "share_low", "share_high", "points_mean"]
    return pd.DataFrame(rows, columns=columns)


def flow_frame() -> pd.DataFrame:
    names = ["Bonus", EVIL, None, *(f"rare {number}" for number in range(20))]
    rows = [
        (was, now, 1 / (3 + at), "finding" if at % 3 else "") for at, was in enumerate(names) for now in (was, "New")
    ]
    return pd.DataFrame(rows, columns=["was", "now", "share", "role"])


def differing_days() -> pd.DataFrame:
    rows = [(S + k * DAY, 2.0 + k, 1.0, NAN if k == 2 else 9.0, "finding" if k == 5 else "") for k in range(6)]
    return pd.DataFrame(rows, columns=["day", "value", "value_low", "value_high", "role"])


def strip_frame() -> pd.DataFrame:
    rows = [
        (S + k * pd.Timedelta(minutes=3), lane, EVIL) for k in range(9) for lane in ("limit", "timeout", "error", "?")
    ]
    return pd.DataFrame(rows, columns=["created_at", "lane", "label"])


def curves() -> pd.DataFrame:
    names = [("a", ""), ("b", ""), ("c", None), (EVIL, "finding"), ("e", "worse")]
    rows = [
        (name, role, nodes * (k + 1), 1 - nodes / 200)
        for k, (name, role) in enumerate(names)
        for nodes in range(8, 201, 4)
    ]
    return pd.DataFrame(rows, columns=["label", "role", "nodes", "share"])


def capped() -> pd.DataFrame:
    return pd.DataFrame({"label": [EVIL, "unseen", "e"], "count": [37, 1, NAN]})


def runs() -> pd.DataFrame:
    nodes = [float(8 + k * 7 % 980) for k in range(600)]
    return pd.DataFrame(
        {"nodes_executed": nodes, "duration_ms": [n * 0.1 for n in nodes], "sample_weight": [20.0, NAN] * 300}
    )


def stopped() -> pd.DataFrame:
    return pd.DataFrame(
        {"duration_ms": [40.0, NAN, 0.0, 510.0, NAN, 3.0], "status": ["limit"] * 3 + ["timeout"] * 2 + ["error"]}
    )


def growing() -> pd.DataFrame:
    rows = [
        (name, role, S + k * DAY, value + 9 * k, value, value * 1.2)
        for name, role, value in ((EVIL, "worse", 700.0), ("b", "", 60.0), ("c", None, 20.0))
        for k in (0, 1, 2, 6, 7)
    ]
    columns = ["label", "role", "day", "est_nodes_p99", "est_nodes_p99_low", "est_nodes_p99_high"]
    return pd.DataFrame(rows, columns=columns)


def tree() -> pd.DataFrame:
    rows = [
        (0, None, EVIL, "rule", 1.0, 0.0, "97 % match", ""),
        (1, 0, "or of 40 conditions", "or", 1.0, 0.5, "not seen false", "finding"),
        *((2 + k, 1, f"x <= {k}", "x compare", 3.0, 0.0 if k < 20 else 3.0, "", "") for k in range(40)),
        (42, None, "otherwise", "otherwise", 0.0, 0.0, "", ""),
    ]
    columns = ["position", "parent_position", "label", "kind", "entries", "unseen", "note", "role"]
    return pd.DataFrame(rows, columns=columns)


Draw = Callable[..., Any]
CHARTS: dict[str, tuple[Draw, list[Callable[[], pd.DataFrame]]]] = {
    "timeline": (charts.timeline, [versions, points, runs_per_bin, failed, durations]),
    "cases": (charts.cases, [cases_frame]),
    "day_differences": (lambda frame, **k: charts.day_differences(frame, middle=2.5, **k), [differing_days]),
    "flow": (charts.flow, [flow_frame]),
    "failure_strip": (lambda frame, **k: charts.failure_strip(frame, S, S + DAY, **k), [strip_frame]),
    "exceedance": (charts.exceedance, [curves, capped]),
    "density": (charts.density, [runs, stopped]),
    "growth": (charts.growth, [growing]),
    "icicle": (lambda frame, **k: charts.icicle(frame, name=EVIL, **k), [tree]),
}
WIDTHS = [848, 358]


def without_numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """The same rows, every number NaN."""
    return frame.assign(**dict.fromkeys(frame.select_dtypes("number").columns, NAN))


SHAPES: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "normal": lambda frame: frame,
    "one row": lambda frame: frame.head(1),
    "no rows": lambda frame: frame.head(0),
    "no columns": lambda frame: pd.DataFrame(),
    "NaN": without_numbers,
    "all NULL": lambda frame: frame.map(lambda value: None),
    "naive times": lambda frame: frame.assign(
        **{name: frame[name].dt.tz_localize(None) for name in frame.select_dtypes("datetimetz").columns}
    ),
    "zeros": lambda frame: frame.assign(**dict.fromkeys(frame.select_dtypes("number").columns, 0.0)),
    "negative": lambda frame: frame.assign(**dict.fromkeys(frame.select_dtypes("number").columns, -5.0)),
    "huge": lambda frame: frame.assign(**dict.fromkeys(frame.select_dtypes("number").columns, 1e300)),
}


def parsed(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314 - made by the code under test a moment ago


@pytest.mark.parametrize("width", one_in(2, WIDTHS))
@pytest.mark.parametrize("shape", one_in(2, SHAPES))
@pytest.mark.parametrize("name", CHARTS)
def test_every_chart_draws_whatever_it_is_given(name: str, shape: str, width: int) -> None:
    draw, frames = CHARTS[name]
    figure = draw(*(SHAPES[shape](frame()) for frame in frames), width=width)
    made = charts.inline_svg(figure, "p", "a picture")
    root = parsed(made)
    assert root.attrib["viewBox"].split()[2] == str(width)
    assert root.attrib["aria-label"] == "a picture"
    assert "nan" not in made.lower().replace("finance", "")


def test_a_timeline_stands_without_any_one_of_its_frames() -> None:
    draw, frames = CHARTS["timeline"]
    for left_out in range(len(frames)):
        given = [pd.DataFrame() if k == left_out else frame() for k, frame in enumerate(frames)]
        parsed(charts.inline_svg(draw(*given), "p"))


def test_failures_beyond_counting_are_drawn_once_per_place_and_counted_all() -> None:
    draw, frames = CHARTS["timeline"]
    many = pd.DataFrame(
        {
            "created_at": S + (DAY / 20_000) * pd.Series(range(20_000)),
            "error_code": ["DSL_TIMEOUT", "DSL_OTHER"] * 10_000,
        }
    )
    given = [many if k == 3 else frame() for k, frame in enumerate(frames)]
    root = parsed(charts.inline_svg(draw(*given), "p"))
    words = ["".join(element.itertext()) for element in root.iter("text")]
    assert "timeout 10000" in words
    assert (
        len(list(root.iter("use"))) < 2 * 2 * 848 + 500
    )  # half a pixel apart in two lanes, and the other panels' marks
    apart, none = (
        len(
            list(
                parsed(charts.inline_svg(draw(*[part if k == 3 else f() for k, f in enumerate(frames)]), "p")).iter(
                    "use"
                )
            )
        )
        for part in (many.iloc[::500], many.head(0))
    )
    assert apart - none == 40  # each one


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", CHARTS)
def test_author_text_stays_literal_and_nothing_hidden_remains(name: str, width: int) -> None:
    draw, frames = CHARTS[name]
    made = charts.inline_svg(draw(*(frame() for frame in frames), width=width), "p")
    words = ["".join(element.itertext()) for element in parsed(made).iter("text")]
    if name in ("density", "day_differences"):
        return  # it names no strategy
    # A phone, or a narrow column, may show only the beginning of a name.
    assert any("$x^2" in text for text in words)
    assert not [text for text in words if "\u202e" in text or "\x00" in text]
    assert max(map(len, words)) < 200, "5,000 letters are cut"
    if name in ("cases", "exceedance"):
        assert any(LITERAL in text for text in words)


@pytest.mark.parametrize("name", CHARTS)
def test_an_svg_speaks_in_variables_and_reaches_for_nothing(name: str) -> None:
    draw, frames = CHARTS[name]
    made = charts.inline_svg(draw(*(frame() for frame in frames)), "p")
    for value in LIGHT.values():
        assert value not in made.lower()
    assert re.findall(r"#[0-9a-f]{6}\b", made) == []
    for part in ("<style", "<metadata", "<!DOCTYPE", "<?xml", "xmlns", "http", "//", "<script", "font-family"):
        assert part not in made
    tags = {element.tag for element in parsed(made).iter()}
    assert tags <= {"svg", "g", "path", "text", "use", "defs", "clipPath", "rect", "pattern"}


def test_ids_differ_between_two_figures_of_one_page() -> None:
    draw, frames = CHARTS["density"]
    page = "".join(
        charts.responsive(lambda width: draw(*(frame() for frame in frames), width=width), prefix, "alt")
        for prefix in ("one", "two")
    )
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert ids
    assert len(ids) == len(set(ids))
    used = set(re.findall(r"url\(#([^)]+)\)", page)) | set(re.findall(r'href="#([^"]+)"', page))
    assert used == set(ids), "every reference has its target, every id a use"


NEEDED = {
    "cases": (lambda frame: charts.cases(frame), "share"),
    "day_differences": (lambda frame: charts.day_differences(frame), "value"),
    "density": (lambda frame: charts.density(frame), "duration_ms"),
    "exceedance": (lambda frame: charts.exceedance(frame), "nodes"),
    "failure_strip": (lambda frame: charts.failure_strip(frame), "lane"),
    "flow": (lambda frame: charts.flow(frame), "share"),
    "growth": (lambda frame: charts.growth(frame), "est_nodes_p99"),
    "icicle": (lambda frame: charts.icicle(frame), "entries"),
    "time_split": (lambda frame: charts.time_split(frame), "total"),
    "timeline": (lambda frame: charts.timeline(points=frame), "est_points_mean"),
}


@pytest.mark.parametrize("name", NEEDED)
def test_a_frame_without_a_needed_column_is_told_so_with_an_example(name: str) -> None:
    draw, missing = NEEDED[name]
    with pytest.raises(UsageError, match=rf"charts\.{name}: .* no column {missing}\b") as raised:
        draw(pd.DataFrame({"label": ["a"], f"{missing}s": [1.0]}))
    assert f"did you mean '{missing}s'?" in raised.value.hint or "example" in raised.value.hint
    assert f"charts.{name}(" in raised.value.hint


@pytest.mark.parametrize("name", NEEDED)
def test_the_example_of_every_chart_draws(warehouse: Warehouse, name: str) -> None:
    told = inspect.getdoc(getattr(charts, name)) or ""
    example = textwrap.dedent(told.partition("Example:\n")[2].partition("\n\nRaises:")[0])
    names: dict[str, Any] = {"lake": warehouse, "charts": charts}
    exec(f"figure = None\n{example.strip()}".replace("\ncharts.", "\nfigure = charts."), names)  # noqa: S102
    words = list(parsed(charts.inline_svg(names["figure"], "p")).iter("text"))
    assert len(words) > 3, "a picture of nothing has one sentence"


def test_the_same_frames_make_the_same_svg() -> None:
    draw, frames = CHARTS["growth"]
    first, second = (charts.inline_svg(draw(*(frame() for frame in frames)), "p", "x") for _ in range(2))
    assert first == second


def test_a_responsive_picture_is_drawn_for_pages_and_for_phones() -> None:
    draw, frames = CHARTS["cases"]
    made = charts.responsive(lambda width: draw(frames[0](), width=width), "c", 'alt "<b>"', "A <caption>")
    assert made.count("<svg") == 2
    assert 'viewBox="0 0 848 ' in made
    assert 'viewBox="0 0 358 ' in made
    assert made.count('aria-label="alt &quot;&lt;b&gt;&quot;"') == 2
    assert "<figcaption>A &lt;caption&gt;</figcaption>" in made


def test_an_id_prefix_is_a_plain_name() -> None:
    with pytest.raises(ValueError, match="id prefix"):
        charts.inline_svg(charts.cases(cases_frame()), '"><b>')


def test_stopped_runs_lie_beyond_the_cap_and_never_at_zero() -> None:
    made = charts.exceedance(curves(), capped())
    axes = made.axes[0]
    marks = [line for line in axes.lines if line.get_marker() == "o"]
    assert [float(x) > 1000 for line in marks for x in line.get_xdata()] == [True, True]
    assert any("37 stopped by the cap in force" in text.get_text() for text in axes.texts)
    spots = [line for line in charts.density(runs(), stopped()).axes[0].lines if line.get_marker() == "o"]
    assert all(float(x) > 1000 for line in spots for x in line.get_xdata())


def test_both_cap_pictures_share_the_axis_of_nodes() -> None:
    one = charts.exceedance(curves(), capped()).axes[0]
    two = charts.density(runs(), stopped()).axes[0]
    assert one.get_xlim() == two.get_xlim()
    assert one.get_position().x0 == two.get_position().x0
    assert one.get_position().x1 == two.get_position().x1


def test_days_without_rows_leave_a_gap() -> None:
    axes = charts.growth(growing()).axes[1]
    lengths = [len(line.get_xdata()) for line in axes.lines if line.get_linewidth() == 1.6]
    assert lengths == [3, 2]


def test_a_line_of_growth_goes_on_dashed_to_the_cap() -> None:
    lines = pd.DataFrame(
        [("b", S + 7 * DAY, 7.0, 970.0, 10.0)], columns=["label", "day", "days", "est_level", "est_slope"]
    )
    versions = pd.DataFrame([("b", S + 2 * DAY, 4)], columns=["label", "day", "version"])

    first, grows, _ = charts.growth(growing(), lines, versions).axes

    [solid, dashed] = [line for line in grows.lines if line.get_linewidth() == 0.9 and len(line.get_xdata()) == 2][-2:]
    assert list(solid.get_ydata()) == [900, 970]
    assert list(dashed.get_ydata()) == [970, 1000]
    assert dashed.get_xdata()[1] - dashed.get_xdata()[0] == (3 * DAY).total_seconds()
    assert dashed.is_dashed() and not solid.is_dashed()
    assert first.get_xlim() == grows.get_xlim()
    assert "v4" in [text.get_text() for text in grows.texts]


def test_a_bin_of_few_rows_shows_no_mean_to_believe() -> None:
    frame = points().assign(logged_count=[4] * 12 + [5] * 12)
    axes = charts.timeline(versions(), frame, runs_per_bin(), failed(), durations()).axes[1]
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [line.get_markerfacecolor() == "none" for line in dots] == [True] * 12 + [False] * 12
    intervals = [line for line in axes.lines if line.get_marker() == "None" and line.get_alpha()]
    assert len(intervals) == 11, "five rows or more, and both bounds known"


def test_a_figure_shows_itself_in_a_notebook() -> None:
    shown = charts.cases(cases_frame())._repr_svg_()
    assert shown.startswith("<?xml")
    assert LIGHT["finding"] in shown


def test_importing_the_charts_loads_no_plotting_library() -> None:
    code = (
        "import sys, analytics.reports.charts, analytics.reports.page; print(*sorted({*sys.modules} & {*sys.argv[1:]}))"
    )
    heavy = ["matplotlib", "numpy", "pandas", "jinja2"]
    found = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""


def test_drawing_leaves_the_global_state_of_matplotlib_alone() -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    charts.inline_svg(charts.growth(growing()), "p")
    assert dict(mpl.rcParams) == before


def test_drawing_needs_no_pyplot() -> None:
    code = (
        "import sys, pandas as pd; from analytics import charts; none = pd.DataFrame();"
        "charts.inline_svg(charts.growth(none), 'p'); print('matplotlib.pyplot' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


def test_the_public_names_are_sorted_and_there() -> None:
    assert charts.__all__ == sorted(charts.__all__)
    assert all(hasattr(charts, name) for name in charts.__all__)


def test_times_of_a_column_are_seconds_in_utc_whatever_its_type() -> None:
    moment = dt.datetime(2026, 7, 3, 12, 34, 56, 789_123, tzinfo=dt.UTC)
    texts = pd.Series([moment.replace(tzinfo=None).isoformat(), None])
    for zone in (None, "UTC", "Europe/Madrid"):
        for unit in ("us", "ns"):
            times = pd.to_datetime(texts).astype(f"datetime64[{unit}]")
            times = times if zone is None else times.dt.tz_localize("UTC").dt.tz_convert(zone)
            known, missing = moments(pd.DataFrame({"at": times}), "at")
            assert (known, math.isnan(missing)) == (moment.timestamp(), True), (zone, unit)
    assert moments(pd.DataFrame({"at": [moment.date()]}), "at") == [dt.datetime(2026, 7, 3, tzinfo=dt.UTC).timestamp()]


@pytest.mark.parametrize("name", sorted(set(charts.__all__) - {"MOST_MARKS", "inline_svg", "responsive"}))
def test_a_chart_takes_the_lake_and_asks_itself(warehouse: Warehouse, name: str) -> None:
    figure = getattr(analytics.charts, name)(warehouse, family="Speed bonus", realm="acme-cycling", since="2026-06-27")
    texts = list(parsed(charts.inline_svg(figure, "p")).iter("text"))
    assert len(texts) > 3, "a picture of nothing has one sentence"


def said(figure: Any) -> str:
    return " | ".join(text for node in parsed(charts.inline_svg(figure, "p")).iter("text") for text in node.itertext())


def test_a_chart_of_one_strategy_says_how_to_name_it(warehouse: Warehouse) -> None:
    with pytest.raises(UsageError) as raised:
        analytics.charts.timeline(warehouse)
    assert 'charts.timeline(lake, family="…")' in raised.value.hint


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("icicle", {"family": "Speed bonus", "since": "2026-08-01"}, "no run of 'Speed bonus' is logged"),
        ("timeline", {"family": "Speed bonus", "since": "2026-08-01"}, "no run of 'Speed bonus' is logged"),
        ("growth", {"since": "2026-07-11", "until": "2026-07-01"}, "the window is empty"),
        ("growth", {"realm": 7}, "realm must be a text"),
        ("growth", {"lake": "demo/lake"}, "takes an open lake"),
    ],
)
def test_a_chart_refuses_what_it_cannot_ask(
    warehouse: Warehouse, name: str, given: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        getattr(analytics.charts, name)(**{"lake": warehouse, **given})


def test_a_chart_does_not_speak_of_what_it_was_not_given() -> None:
    points = pd.DataFrame(
        {"since": [S], "until": [S + DAY], "label": ["v1"], "est_points_mean": [7.0], "logged_count": [9]}
    )
    alone = said(charts.timeline(points=points))
    assert "Points per run" in alone
    for word in ("no ok run logged", "no run logged", "p99", "Runs", "95 %"):
        assert word not in alone
    assert "no ok run logged" in said(charts.timeline(points=points, durations=pd.DataFrame()))
    assert "with 95 % interval" in said(
        charts.timeline(points=points.assign(est_points_mean_low=6.0, est_points_mean_high=8.0))
    )
    share = pd.DataFrame({"case_name": ["a"], "label": ["v1"], "share": [1.0]})
    assert "95 %" not in said(charts.cases(share))
    assert "with 95 % interval" in said(charts.cases(share.assign(share_low=0.9, share_high=1.0)))
