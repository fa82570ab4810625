"""A page never contradicts itself: by hand on sentences, and on the rendered pages of planted stories."""

from __future__ import annotations

from typing import Any

import pytest

from analytics import api
from tests import contradictions
from tests.contradictions import Page
from tests.planted.causes import CAUSES, LATER
from tests.planted.story import Story
from tests.planted.world import Planted

KICK = "Post-mortem · realm town · strategy Rides"


def page(sentence: str = "", status: str = "", live: int | None = None, **sections: str) -> Page:
    return Page({"head": f"{KICK}\n{sentence}\n{status}", **sections}, live)


@pytest.mark.parametrize(
    ("sentence", "is_one"),
    [
        ("The change, [+5 – +22 %], may be chance.", True),
        ("Nothing: v1 pays what v2 paid, a difference of −6,000 [−7,000 – −5,100].", True),
        ("Whether points per run moved in all cannot be told: a change of [5 – 22 %].", True),
        ("Points per run are as before: Rides pays 12, 9 % fewer [−12 – −3 %].", True),
        ("The change, [−6 – +3 %], may be chance.", False),
        ("It overpaid 800 points [700 – 900]. The rest may be chance.", False),
        ("Points per run are as before: Rides pays 12 [11 – 13] points.", False),
        ("It fails in 38 % of its runs [21 – 64 %]: 61 runs paid nothing.", False),
        ("It moved by +2 [+1 – +3].\nNothing else is known.", False),
        ("It moved by +2 [+1 – +3]: the program +2, what clients send 0, which may be chance.", False),
    ],
)
def test_an_interval_without_zero_is_not_nothing(sentence: str, is_one: bool) -> None:
    assert bool([*contradictions.certain_and_unknown(page(sentence))]) is is_one


@pytest.mark.parametrize(
    ("said", "is_one"),
    [
        (page("Rides pays 12 % more points per run.", changed="Points per run\t11.7\t13.0\t+12 %\t\tgood"), False),
        (page("Rides pays 12 % more points per run.", changed="Points per run\t11.7\t13.0\t+72 %\t\tgood"), True),
        (page("Rides pays 12 % fewer points per run.", changed="Points per run\t13.0\t11.7\t−12 %\t\tgood"), False),
        (page("Rides pays 12 % more points per run.", changed="Points per run\t13.0\t11.7\t−12 %\t\tgood"), True),
        (page("+50 % for the same runs.", changed="Points per run\t11.7\t13.0\t+72 %\t\tgood"), False),
        (page("v2 pays 50 % more for the same runs.", strip="Change: +50 % for the same runs"), False),
        (page("v2 pays 50 % more for the same runs.", strip="Change: +49 % for the same runs"), True),
    ],
)
def test_a_percent_is_the_same_in_the_sentence_and_elsewhere(said: Page, is_one: bool) -> None:
    assert bool([*contradictions.two_percents(said)]) is is_one


@pytest.mark.parametrize(
    ("said", "is_one"),
    [
        (page("It overpaid 13,000 points.", strip="Points overpaid: 13,000 [12,000 – 14,000]"), False),
        (page("It overpaid 13,000 points.", strip="Points overpaid: 12,900 [12,000 – 14,000]"), True),
        (page("It underpaid 600 points.", actions="- Decide on the 600 points that were not paid: leave it."), False),
        (page("It underpaid 600 points.", actions="- Decide on the 610 points that were not paid: leave it."), True),
        (page("v2 overpaid 600 points, v3 underpaid 50 points.", strip="Points underpaid: 50 [40 – 60]"), False),
    ],
)
def test_an_amount_is_the_same_in_the_sentence_the_strip_and_what_to_do(said: Page, is_one: bool) -> None:
    assert bool([*contradictions.two_amounts(said)]) is is_one


@pytest.mark.parametrize(
    ("sentence", "below", "is_one"),
    [
        ("Since Wednesday 13 May 09:49.", "Points move with v2, Wed 13 May 09:49.", False),
        ("Since Wednesday 13 May 09:49.", "Points move with v2, Wed 13 May 10:49.", True),
        ("Between Wed 13 May 09:07 and Wed 13 May 09:49.", "It began Wed 13 May 09:49.", False),
        ("Points per run are as before.", "Points move with v2, Wed 13 May 10:49.", False),
    ],
)
def test_a_moment_is_the_same_on_top_and_under_since_when(sentence: str, below: str, is_one: bool) -> None:
    assert bool([*contradictions.two_moments(page(sentence, since=f"## Since when?\n{below}"))]) is is_one


@pytest.mark.parametrize(
    ("sentence", "is_one"),
    [
        ("A change of [−110 – +50 %].", True),
        ("It paid 108 % fewer points per run.", True),
        ("It moved by −108 %.", True),
        ("It fails in 104 % of its runs.", True),
        ("A change of [−100 – +500 %].", False),
        ("It paid 108 % more points per run [+90 – +130 %].", False),
        ("It underpaid 6,000 points [−7,000 – −5,100].", False),
        ("It fails in 100 % of its runs [38 – 100 %].", False),
    ],
)
def test_nothing_falls_by_more_than_all_of_it(sentence: str, is_one: bool) -> None:
    assert bool([*contradictions.impossible_percents(page(sentence))]) is is_one


@pytest.mark.parametrize(
    ("said", "is_one"),
    [
        (page("It begins with v2. Also: fewer points since then, but it is not the version."), True),
        (page("Version 2 of Rides paid 12 % more points.", actions="- Nothing to do now."), True),
        (page("Rides pays 12 % more points, v2 began then: it is not the version.", actions="- Nothing to do."), False),
        (page("Version 2 of Rides paid 12 % more points.", actions="- Decide whether to roll back."), False),
    ],
)
def test_no_version_is_blamed_and_let_go(said: Page, is_one: bool) -> None:
    assert bool([*contradictions.acquits_and_blames(said)]) is is_one


@pytest.mark.parametrize(
    ("sentence", "is_one"), [("It fails. It begins with v3.", True), ("It fails. No version changed then.", False)]
)
def test_what_begins_with_a_version_is_not_outside_the_rules(sentence: str, is_one: bool) -> None:
    said = page(sentence, actions="- Find what changed outside the rules.")
    assert bool([*contradictions.outside_and_begins(said)]) is is_one


@pytest.mark.parametrize(
    ("said", "is_one"),
    [
        (page("Rides fails, since Thursday 14 May 10:08.", "Over since Thu 14 May 12:59."), True),
        (page("Rides fails, between Thursday 14 May 10:08 and 12:59.", "Over since Thu 14 May 12:59."), False),
        (page("It failed for an hour.", "Over since Thu 14 May 12:59.", strip="Runs since then: 160"), True),
        (page("Rides fails, since Thursday 14 May 10:08.", "Still going on.", strip="Runs since then: 9"), False),
        (page("It failed. Also: fewer points since Wed 13 May 09:00.", "Over since Thu 14 May 12:59."), False),
    ],
)
def test_what_is_over_is_not_since(said: Page, is_one: bool) -> None:
    assert bool([*contradictions.since_and_over(said)]) is is_one


@pytest.mark.parametrize(
    ("sentence", "live", "is_one"),
    [
        ("Version 2 of Rides pays 12 % more points.", 1, True),
        ("Version 2 of Rides pays 12 % more points.", 2, False),
        ("Version 2 of Rides paid 12 % more points; v3 pays as much.", 3, False),
        ("Version 2 of Rides paid 12 % more points; v3 still overpays.", 4, True),
        ("On the same inputs v1 pays what v2 paid.", 2, False),
        ("The log does not tell what v1 pays; v1 pays the same in all runs that were tried.", 2, False),
        ("Version 2 of Rides pays 12 % more points.", None, False),
    ],
)
def test_what_is_gone_paid_and_what_is_live_pays(sentence: str, live: int | None, is_one: bool) -> None:
    assert bool([*contradictions.pays_and_gone(page(sentence, live=live))]) is is_one


@pytest.mark.parametrize(
    ("sentence", "is_one"),
    [("Rides pays 35 % fewer points per run.", True), ("Rides pays 35 % more points per run.", False)],
)
def test_nobody_bounds_a_decrease(sentence: str, is_one: bool) -> None:
    said = page(sentence, actions="- Bound the field in the next version.")
    assert bool([*contradictions.bounds_a_decrease(said)]) is is_one


@pytest.fixture(scope="module")
def rendered(caused: Planted, without_pictures: None) -> Any:
    """The page of a story."""
    return lambda told: Page.of(api.post_mortem(caused.warehouse, **told.ask()))


@pytest.mark.parametrize(
    "told",
    [
        pytest.param(
            one, id=one.key, marks=[pytest.mark.long] if one.key in LATER or one.key.startswith("steady") else []
        )
        for one in CAUSES
    ],
)
def test_a_page_never_contradicts_itself_and_leaves_unsaid_what_is_not_so(told: Story, rendered: Any) -> None:
    found = rendered(told)
    assert contradictions.contradictions(found) == [], found.section("head")
    assert [words for words in told.unsaid if words in found.text.lower()] == []
