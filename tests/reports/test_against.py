"""Two strategies side by side: the same runs first, then what is left to who plays; names, tags and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest

from analytics import api
from analytics.cli import main
from analytics.errors import UnknownNameError, UsageError
from analytics.estimates.sampling_rates import Rates
from analytics.findings.post_mortem.comparison import unlike_groups
from analytics.reports.explore.open_lake import open_lake
from analytics.reports.render import rendering
from analytics.reports.schedule import cards
from analytics.window import Window
from tests.contradictions import Page, contradictions
from tests.extracting import extract
from tests.fewer import one_in
from tests.planted import world
from tests.planted.engine import Simulated, simulate
from tests.planted.rivals import REALM, RIVALS, rival

pytestmark = pytest.mark.usefixtures("without_pictures")

ASK = {"realm": REALM, "since": "2026-05-12", "until": "2026-05-18"}
TAGS = {"Ten": "spring-a", "Fifteen": "spring-b", "Old shop": "shops", "New shop": "shops"}


@pytest.fixture(scope="module")
def simulated() -> dict[str, Simulated]:
    return {story.family.name: simulate(story, world.SEED) for story in RIVALS}


@pytest.fixture(scope="module")
def rivals(simulated: dict[str, Simulated], database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The lake of all pairs, with experiment tags on some."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("create database rivals")
    url = database_url.replace("/postgres?", "/rivals?", 1)
    planted = world.log(list(simulated.values()), url, tmp_path_factory.mktemp("rivals"), world.RATE)
    with psycopg.connect(url) as connection:
        for name, tag in TAGS.items():
            connection.execute('update strategydefinition set "experimentTag" = %s where name = %s', (tag, name))
        grown = 'update strategydefinition set "experimentTag" = %s where name = %s and version = %s'
        connection.execute(grown, ("grown-old", "Grown", 1))
        connection.execute(grown, ("grown-new", "Grown", 2))
        # Another tenant's, of the same rows but for their names.
        connection.execute(
            """insert into strategydefinition (id, "realmId", name, type, "astJson", version, status)
               select gen_random_uuid(), 'elsewhere', 'Theirs', type, "astJson", version, status
               from strategydefinition where name = 'Ten'"""
        )
    extract(url, planted.lake, Window(world.FIRST, world.UNTIL), rates=Rates((), world.RATE), force=True)
    return open_lake(planted.lake.root)


@pytest.fixture(scope="module")
def compared(rivals: Any) -> Any:
    known: dict[tuple[str, str], Any] = {}

    def ask(family: str, against: str) -> Any:
        if (family, against) not in known:
            known[family, against] = api.post_mortem(rivals, family=family, against=against, **ASK)
        return known[family, against]

    return ask


def truth_of(found: Simulated, other: Simulated) -> tuple[float, float]:
    """What a strategy paid since Tuesday, and what the other's first version would have paid, over all runs of it."""
    paid, would = 0.0, 0.0
    for row, sent in zip(found.truth.to_pylist(), found.sent, strict=True):
        if row["created_at"].date().isoformat() < ASK["since"] or row["status"] != "ok":
            continue
        paid += row["points"]
        would += float(other.engine.run(1, sent, None).points)
    return paid, would


@pytest.mark.parametrize(
    ("family", "against"),
    one_in(2, [("Fifteen", "Ten"), ("Ten", "Fifteen"), ("Far fifteen", "Ten"), ("Far fifteen", "Far ten")]),
)
def test_the_headline_is_the_same_runs_and_holds_the_engines_truth(
    compared: Any, simulated: dict[str, Simulated], family: str, against: str
) -> None:
    facts = compared(family, against).summary()
    for same, (mine, theirs) in zip(facts["same_runs"], ((family, against), (against, family)), strict=True):
        paid, would = truth_of(simulated[mine], simulated[theirs])
        more = (paid - would) if same["runs_of"] == "A" else (would - paid)
        share = more / (would if same["runs_of"] == "A" else paid)
        assert same["difference"]["low"] <= more <= same["difference"]["high"]
        assert same["relative"]["low"] <= share <= same["relative"]["high"]
    assert facts["percent"] == {**facts["same_runs"][0]["relative"], "of": "same runs"}
    assert (facts["kind"], facts["against"], facts["verdicts"]) == (
        "against",
        against,
        {"A": "differs", "B": "differs"},
    )
    assert facts["counts"]["new"] == 0  # a comparison that was asked for is no alarm


def test_the_page_of_a_pair_that_differs_says_the_same_runs_the_cause_and_who_assigns(compared: Any) -> None:
    said = compared("Fifteen", "Ten").verdict.text
    assert said.startswith("Fifteen (A) pays 25 % more than Ten (B) for the same runs (A's)")
    assert "because case Fast pays 15 instead of 10." in said
    assert "which may be chance." in said
    assert "who gets which strategy is assigned outside" in said
    page = compared("Fifteen", "Ten")
    assert "literal 10 → 15" in page.changed().text
    assert "No moment of a change is looked for" in page.since().text


def test_two_groups_differ_by_what_the_programs_do_and_what_is_left_to_who_plays(compared: Any) -> None:
    facts, asked = compared("Far fifteen", "Ten").summary(), compared("Far fifteen", "Ten").inquiry
    whole, program = facts["points_per_run_change"]["value"], facts["same_runs"][0]["per_run"]["value"]
    assert f"{whole:.1f}"[:3] in compared("Far fifteen", "Ten").verdict.text
    assert whole - program > 1
    assert "is left to who plays and what clients send, beyond chance." in compared("Far fifteen", "Ten").verdict.text
    assert [found.what for found in asked.unlike] == ["games"]
    assert "They have none of their games in common." in compared("Far fifteen", "Ten").who().text


def test_programs_that_say_the_same_pay_the_same_for_all_runs_of_both(
    compared: Any, simulated: dict[str, Simulated]
) -> None:
    paid, would = truth_of(simulated["New shop"], simulated["Old shop"])
    assert paid == pytest.approx(would)
    report = compared("New shop", "Old shop")
    facts = report.summary()
    assert facts["verdicts"] == {"A": "same", "B": "same"}
    assert (facts["same_runs"], facts["percent"]) == ([], None)
    assert report.verdict.text.startswith(
        "The programs of New shop (A) and Old shop (B) pay the same for the same runs:"
    )
    # None of n differs: at most 1 - 0.05 ** (1 / n) of the runs do (Clopper and Pearson).
    count = facts["versions"][0]["decided_count"]
    bound = np.ceil(1000 * (1 - 0.05 ** (1 / count))) / 10
    assert f"all {count} logged runs of A that were tried the same (at most {bound:g} % of its runs can differ)" in (
        report.verdict.text
    )


def test_other_players_are_not_the_programs_doing(compared: Any) -> None:
    report = compared("Far ten", "Ten")
    points = report.summary()["points_per_run_change"]
    assert points["low"] > 0
    assert report.summary()["percent"] is None
    assert "beyond chance: that is who plays and what clients send." in report.verdict.text
    assert "the programs pay the same" in report.actions().text


def test_what_cannot_be_tried_on_either_is_not_claimed(compared: Any) -> None:
    nameless = rival("Nameless").family.strategy_id(1)
    report = compared("Ten", nameless)
    assert report.summary()["verdicts"] == {"A": "cannot tell", "B": "cannot tell"}
    assert "cannot be told: the definition of B v1 is not in the lake." in report.verdict.text
    assert "Whether that is the programs or who plays cannot be told." in report.verdict.text
    far = compared("Far ten", nameless).summary()
    assert far["points_per_run_change"]["low"] > 0
    assert far["percent"] is None  # other games: no number of theirs stands for the programs


def test_a_field_that_one_never_read_leaves_the_amount_open(compared: Any) -> None:
    for family, against in (("Climbs", "Ten"), ("Ten", "Climbs")):
        said = compared(family, against).verdict.text
        assert f"{family} (A) pays otherwise than {against} (B); by how much cannot be told." in said
        assert "0 of " not in said


def test_groups_of_other_hours_are_not_compared_but_their_programs_are(compared: Any) -> None:
    report = compared("Ten", "Sunday")
    assert not report.summary()["is_at_same_hours"]
    assert "So the two groups cannot be compared with each other." in report.verdict.text
    assert "for the same runs" in report.verdict.text
    assert "who plays and what clients send" not in report.verdict.text.split("Two groups")[0]


def test_of_several_versions_the_one_with_most_runs_is_compared_and_that_is_said(compared: Any) -> None:
    report = compared("Grown", "Ten")
    [first, second] = report.summary()["shares"]["A"].values()
    assert first > second
    assert report.summary()["compared"] == {"A": "A v2", "B": "B v1"}
    assert report.summary()["after"]["version"] == 2
    assert "A v1 left out" in report.head().text


@pytest.mark.parametrize(
    ("family", "against"),
    one_in(3, [
        ("Fifteen", "Ten"), ("Far fifteen", "Ten"), ("Far ten", "Ten"), ("New shop", "Old shop"), ("Climbs", "Ten"),
        ("Ten", "Climbs"), ("Ten", "Sunday"), ("Grown", "Ten"),
    ]),
)  # fmt: skip
def test_no_page_of_a_pair_says_what_it_also_denies(compared: Any, family: str, against: str) -> None:
    page = Page.of(compared(family, against))
    assert contradictions(page) == []
    # Side by side, nothing came first: the words of an incident have no place.
    assert not re.search(r"overpaid|rolled? back|baseline|\bnot the version\b", page.text, re.I)


def test_codes_of_either_are_counted_on_both_sides(compared: Any) -> None:
    report = compared("Fifteen", "Ten")
    before, after = report.sides
    a, b = (int((side.rows["error_code"] == "DSL_TIMEOUT").sum()) for side in (after, before))
    assert a != b
    assert f"DSL_TIMEOUT\t{a}\t{b}" in report.failures().text
    turned = compared("Ten", "Fifteen").failures().text
    assert f"DSL_TIMEOUT\t{b}\t{a}" in turned


def test_users_of_both_are_counted_once(compared: Any) -> None:
    found = compared("Fifteen", "Ten").inquiry
    rows = found.history.assign(letter=found.history["label"].astype(str).str[0])
    users = {letter: set(part["external_user_id"]) for letter, part in rows.groupby("letter")}
    both = len(users["A"] & users["B"])
    assert compared("Fifteen", "Ten").summary()["users"] == {"a": len(users["A"]), "b": len(users["B"]), "both": both}
    assert f"≥ {both} are in both" in compared("Fifteen", "Ten").who().text


def test_a_tag_stands_for_the_versions_that_carry_it(rivals: Any, compared: Any) -> None:
    by_name = compared("Fifteen", "Ten").summary()
    tagged = api.post_mortem(rivals, family="tag:spring-b", against="spring-a", **ASK).summary()
    assert tagged["percent"] == by_name["percent"]
    assert (tagged["family_name"], tagged["against"]) == ("tag:spring-b", "tag:spring-a")
    grown = api.post_mortem(rivals, family="tag:grown-new", against="tag:grown-old", **ASK)
    assert grown.summary()["compared"] == {"A": "A v2", "B": "B v1"}
    assert grown.head().text.count("left out") == 0


@pytest.mark.parametrize(
    ("family", "against", "kind", "said", "repair"),
    [
        ("Ten", "Fiften", UnknownNameError, "no strategy and no experiment tag 'Fiften'", "did you mean 'Fifteen'"),
        ("Ten", "tag:sprig-b", UnknownNameError, "'tag:sprig-b'", "did you mean 'tag:spring-b'"),
        ("Ten", "Ten", UsageError, "compared with itself", "baseline="),
        ("Grown", "tag:grown-old", UsageError, "share v1", "baseline="),
        ("Ten", "tag:shops", UsageError, "on 2 strategies: 'New shop', 'Old shop'", "against='Old shop'"),
    ],
)
def test_names_that_cannot_be_compared_are_refused_with_the_repair(
    rivals: Any, family: str, against: str, kind: type[Exception], said: str, repair: str
) -> None:
    with pytest.raises(kind, match=said) as caught:
        api.post_mortem(rivals, family=family, against=against, **ASK)
    assert repair in caught.value.hint  # type: ignore[attr-defined]


def test_another_tenants_strategy_is_told_from_an_unknown_one_where_both_are_in_sight(rivals: Any) -> None:
    days = {name: ASK[name] for name in ("since", "until")}
    with pytest.raises(UsageError, match="different tenants: realm 'rivals' and realm 'elsewhere'"):
        api.post_mortem(rivals, family="Ten", against="Theirs", **days)
    # Whoever may see one tenant only does not learn what another one has.
    scoped = open_lake(rivals, realm=REALM)
    with pytest.raises(UnknownNameError, match="no strategy and no experiment tag") as caught:
        api.post_mortem(scoped, family="Ten", against="Theirs", **ASK)
    assert "elsewhere" not in str(caught.value) + str(caught.value.hint)


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--family", "Ten", "--against", "Fifteen", "--baseline", "v1"], "--against with --baseline"),
        (["--family", "Ten", "--against", "Fifteen", "--execution", "abc"], "--against with --execution"),
        (["--family", "Ten", "--against", "Sunday", "--until", "2026-05-14"], "no run of 'Sunday' is logged in this window"),
        (["--family", "Sunday", "--against", "Ten", "--until", "2026-05-14"], "no run of 'Sunday' is logged in this window"),
        (["--against", "Ten"], "which strategy?\n  give --family NAME or --strategy ID; known: "),
    ],
)  # fmt: skip
def test_the_command_refuses_what_makes_no_comparison(
    rivals: Any, capsys: Any, tmp_path: Any, words: list[str], said: str
) -> None:
    days = ["--since", "2026-05-12", "--until", "2026-05-18"]
    code = main(["report", "post_mortem", "--lake", str(rivals.lake.root), "--out", str(tmp_path), *days, *words])
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())


def test_the_command_renders_a_pair_with_its_summary(rivals: Any, compared: Any, capsys: Any, tmp_path: Any) -> None:
    words = ["--realm", REALM, "--since", "2026-05-12", "--until", "2026-05-18", "--lake", str(rivals.lake.root)]
    asked = ["report", "post_mortem", "--family", "Fifteen", "--against", "Ten", "--fail-on", "new", *words]
    assert main([*asked, "--out", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert compared("Fifteen", "Ten").verdict.text in err
    folder = Path(out.strip()).parent
    assert "fifteen-ten" in folder.name
    facts = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert (facts["kind"], facts["against"]) == ("against", "Ten")
    assert facts["percent"] == compared("Fifteen", "Ten").summary()["percent"]
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "When did both run?" in page
    assert "overpaid" not in page.split("<body")[1].lower()
    card = cards.read(folder)
    assert card is not None
    assert card.family == "Fifteen against Ten"  # another row of the calendar than either's own post-mortem


def test_a_definition_compares_named_strategies_and_not_each_with_itself(
    rivals: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans: list[Any] = []
    monkeypatch.setattr(rendering, "render", plans.append)
    file = tmp_path / "pair.toml"
    file.write_text('notebook = "post_mortem"\nfamilies = "each"\n[parameters]\nagainst = "Ten"\n', encoding="utf-8")
    with pytest.raises(UsageError, match="compared with itself"):
        api.render(str(file))
    file.write_text('notebook = "post_mortem"\n[parameters]\nfamily = "Fifteen"\nagainst = "Ten"\n', encoding="utf-8")
    api.render(str(file), out=tmp_path / "out", lake=str(rivals.lake.root), **ASK)
    [planned] = plans
    assert planned.builder == "analytics.post_mortem"
    report = api.post_mortem(**planned.values)  # as its notebook does
    assert report.summary()["against"] == "Ten"


def test_a_report_to_be_passed_on_names_no_game_and_no_single_run(rivals: Any) -> None:
    report = api.post_mortem(rivals, family="Far fifteen", against="Ten", min_users=5, **ASK)
    assert "north" not in report.who().text + report.verdict.text
    assert "Single runs are left out" in report.runs_explained().text
    with pytest.raises(UsageError, match="fewer than 500 users"):
        api.post_mortem(rivals, family="Far fifteen", against="Ten", min_users=500, **ASK)


def test_shares_of_games_are_told_apart_beyond_chance_and_by_enough(compared: Any) -> None:
    before, after = compared("Fifteen", "Ten").sides
    assert unlike_groups(before, after) == ()
    rng = np.random.default_rng(5)
    moved = after.rows.assign(external_game_id=rng.choice(["main", "second"], len(after.rows), p=[0.1, 0.9]))
    [found] = unlike_groups(before, type(after)(after.label, "s", 1, after.since, after.until, moved))
    assert found.what == "games"
    # Half the sum of the absolute differences of the shares, by hand.
    shares = [
        rows[rows["status"] == "ok"]["external_game_id"].astype(str).value_counts(normalize=True)
        for rows in (before.rows, moved)
    ]
    assert found.distance == pytest.approx(shares[1].sub(shares[0], fill_value=0).abs().sum() / 2)
