"""What may not leave the house with a report: secrets, paths, other tenants, users. And what may, though it looks like them."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import nbformat
import pytest
from papermill.exceptions import PapermillExecutionError

from analytics.errors import LakeError, ReportError
from analytics.reports import leak_gate
from analytics.reports.leak_gate import Forbidden
from analytics.reports.render import plan as plans
from analytics.reports.render import rendering
from analytics.reports.schedule.definition import Definition
from analytics.window import Window

if TYPE_CHECKING:
    from analytics.lake.lake import Lake
    from tests.conftest import Table

ENV = {
    "DATABASE_URL": "postgresql+psycopg://reader:p%40ss/w0rd%3C@db.example:5432/game",
    "PGPASSWORD": "Tr0ub4dor&3",
    "ANALYTICS_COUNTERS": "https://scraper:pr0m-letmein@prometheus.example",
    "SLACK_TOKEN": "xoxb-17-\u00e9t\u00e9<42>",
    "PATH": "/usr/bin",
    "FEATURE_KEY": "on",
}
SECRETS = (
    "postgresql+psycopg://reader:p%40ss/w0rd%3C@db.example:5432/game", "p@ss/w0rd<", "Tr0ub4dor&3", "pr0m-letmein",
    "xoxb-17-\u00e9t\u00e9<42>", "postgresql://reader:other@db.example/game",
)  # fmt: skip
USERS = frozenset({"u-00841b", "auth0|5f7c8ec7c33c6c004bbafe82", "jane.doe@example.com", "user-17", "7", "Jane Doe-Smith",
                   "anonymous", "1234567890", "+49 151 2345678", "x" * 300})  # fmt: skip
WAYS = {
    "as it is": lambda text: text,
    "as HTML": html.escape,
    "as entities": lambda text: "".join(f"&#{ord(letter)};" for letter in text),
    "as JSON": lambda text: json.dumps(text)[1:-1],
    "as \\u": lambda text: "".join(f"\\u{ord(letter):04x}" for letter in text),
    "in an address": lambda text: quote(text, safe=""),
}
PLACES = {
    "summary.json": "findings[1].sentence",
    "report.html": "section why",
    "report.ipynb": "cell 2, output 1 (text/html)",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "staging"
    made.mkdir()
    return made


def forbidden(**more: Any) -> Forbidden:
    known = Forbidden.of(None, env=ENV)
    return Forbidden(known.secrets, known.hosts, known.folders, **more)


def put(folder: Path, name: str, text: str) -> None:
    """A file of a report that says this in the midst of other things."""
    said = f"Before ({text}), after."
    if name == "summary.json":
        made = json.dumps({"findings": [{"sentence": "quiet"}, {"sentence": said}]}, ensure_ascii=False)
    elif name == "report.html":
        made = f'<style>p {{}}</style><section id="why"><p title="{said}">x</p></section>'
    else:
        cell = nbformat.v4.new_code_cell("report.why()")
        cell.outputs = [nbformat.v4.new_output("display_data", {"text/html": f"<b>{said}</b>", "image/png": "aaaa"})]
        made = nbformat.writes(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# One"), cell]))
    (folder / name).write_text(made, encoding="utf-8")


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("way", WAYS)
def test_a_secret_is_found_in_every_file_however_it_is_written_and_is_not_repeated(folder, name, way):
    for secret in (*SECRETS, str(Path.cwd() / "lake")):
        put(folder, name, WAYS[way](secret))
        with pytest.raises(ReportError) as caught:
            leak_gate.check(folder, forbidden())
        said = str(caught.value)
        assert name in said and PLACES[name] in said, (secret, said)
        assert secret not in said and caught.value.exit_code == 3


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("way", WAYS)
def test_a_user_is_found_in_every_file_however_the_id_is_written(folder, name, way):
    for user in USERS - {"7", "x" * 300}:
        put(folder, name, WAYS[way](user))
        with pytest.raises(ReportError, match="a raw user id") as caught:
            leak_gate.check(folder, forbidden(users=USERS))
        assert user not in str(caught.value)
        leak_gate.check(folder, forbidden())  # where they may be shown


@pytest.mark.parametrize(
    "said",
    ["one user <b>7</b> met it", "of user 7", '"externalUserId": "7"', 'user: "7"', "u " + "x" * 59 + "…",
     '</p><section id="who"><td><bdi title="a">7</bdi></td></section><p>'],
)  # fmt: skip
def test_a_short_id_counts_where_users_are_named_and_a_long_one_though_it_was_shortened(folder, said):
    put(folder, "report.html", said)
    with pytest.raises(ReportError, match="a raw user id"):
        leak_gate.check(folder, forbidden(users=USERS))


def test_an_id_is_found_behind_longer_ids_that_hold_it(folder):
    put(folder, "report.html", "u-00841bc, xu-00841b, u-00841b-west, a.u-00841b and u-00841b.")
    with pytest.raises(ReportError, match="a raw user id"):
        leak_gate.check(folder, forbidden(users=USERS))


@pytest.mark.parametrize(
    "said",
    [
        "7 users, at least 7 of them", "version 7", "users 7", "no user. 7 of them", "u-00841bc", "xu-00841b", "u-00841b-west",
        "jane.doe@example.com.au", "12345678901", "12,345", "••••1b", "game", ":on@", "points_per_run_change", "2026-07-10",
        "postgresql://localhost:5432/", "https://elsewhere.example/reader", "acme-cycling", "a realm of 1", "the default", "/usrx",
    ],
)  # fmt: skip
def test_what_only_looks_like_it_is_published(folder, said):
    known = Forbidden.of(None, env={**ENV, "PGPASSWORD": "game", "OTHER_KEY": "points_per_run_change"})
    realms = frozenset({"acme", "ok", "1", "realm", "2026-07-10"})
    for name in PLACES:
        put(folder, name, said)
    leak_gate.check(folder, Forbidden(known.secrets, known.hosts, known.folders, USERS | {"2026-07-10"}, realms))


def test_an_ordinary_word_as_a_password_counts_where_a_password_stands(folder):
    known = Forbidden.of(None, env={"DATABASE_URL": "postgresql://reader:game@localhost/x"})
    for said in ("postgresql://reader:game@localhost/x", "//reader:game@", "password=game"):
        put(folder, "report.html", said)
        with pytest.raises(ReportError, match="DATABASE_URL"):
            leak_gate.check(folder, known)


def test_passwords_of_libpqs_files_count(folder, tmp_path):
    (tmp_path / "pgpass").write_text("# mine\ndb.example:5432:*:reader:zwei\\:Drei-4\n", encoding="utf-8")
    (tmp_path / "service").write_text("[game]\nhost=db.example\npassword=f5nf-sechs\n", encoding="utf-8")
    env = {"PGPASSFILE": str(tmp_path / "pgpass"), "PGSERVICEFILE": str(tmp_path / "service")}
    for said in ("zwei:Drei-4", "f5nf-sechs"):
        put(folder, "summary.json", said)
        with pytest.raises(ReportError, match="a password of the"):
            leak_gate.check(folder, Forbidden.of(None, env=env))


def test_a_report_of_one_tenant_names_no_other_and_none_of_its_runs_and_strategies(
    table: Table, fresh: Lake, folder: Path
) -> None:
    ids: dict[str | None, str] = {}
    for realm in ("acme", "acme-north", "zoo & co", None, "ok"):
        ids[realm] = table.insert(
            realmId=realm, strategyId=f"0d1f-for-{realm}", externalUserId=f"{realm}-user-1", caseName="meets zoo & co"
        )
    program = {"rules": [{"id": "like-acme-north-user-1", "when": {"type": "literal", "value": "by acme-north"}}]}
    table.define(program, realmId="zoo & co", name="For acme-user-1")
    table.extract(fresh)
    every = Forbidden.of(fresh.root, window=Window.parse("2026-07-07", "2026-07-10"), env={})

    def refused(realms: list[str | None] | None, said: str) -> str:
        put(folder, "report.html", html.escape(said))
        try:
            leak_gate.check(folder, every.about(realms))
        except ReportError as error:
            return error.message
        return ""

    assert "another tenant" in refused(["acme"], "acme-north")
    assert not refused(["acme"], "acme") and not refused(["acme"], "acme-south")
    assert not refused(None, "acme-north")
    assert not refused(["acme"], "zoo & co"), "its own rows say so"
    assert "another tenant" in refused(["acme-north"], "acme"), "a part of its own name is not its own"
    assert not refused(["zoo & co"], "by acme-north"), "its own program says so"
    assert not refused(["acme"], "it is ok")
    assert "another tenant" in refused(["acme"], "realm ok")
    assert "another tenant's run" in refused(["acme"], ids["zoo & co"])
    assert "another tenant's run" in refused([None], ids["acme"])
    assert not refused(["acme"], ids["acme"])
    assert "another tenant's strategy" in refused(["acme"], "0d1f-for-acme-north")
    assert "a raw user id" in refused(None, "zoo & co-user-1")
    assert not refused(None, "like-acme-north-user-1, For acme-user-1"), "programs are shown as they are written"


def test_a_failures_page_is_searched_as_a_report_is_and_names_of_others_strategies_are_found(
    table: Table, fresh: Lake, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The report's title is somebody's name, too: who gave it to the report wrote it.
    tenants = ("acme", "beta-park", "Quartz room")
    ids = {realm: table.insert(realmId=realm, externalUserId=f"{realm}-user-1") for realm in tenants}
    # Names that another tenant has chosen, and whether they can be told from a report's own words.
    names = {
        "Moonlit marathon": True,
        "report": False,
        "10 July 2026, quiet runs": False,
        "Harvest": False,
        "acme": False,
    }
    for realm, name in [("acme", "Harvest"), *(("beta-park", name) for name in names)]:
        table.define({}, realmId=realm, name=name)
    table.extract(fresh)
    known = Forbidden.of(fresh.root, window=Window.parse("2026-07-07", "2026-07-10"), realms=["acme"], env={})

    def found(text: str) -> bool:
        (folder / "summary.json").write_text(text, encoding="utf-8")
        return not leak_gate.is_clean(folder / "summary.json", known)

    assert {name: found(json.dumps({"sentence": f"it met {name} twice"})) for name in names} == names
    assert found('{"family_name": "10 July 2026, quiet runs"}'), "no other strategy of this name is in sight"
    assert not found('{"family_name": "Harvest"}'), "it has one of this name, too"

    planned = plans.plan(
        Definition("quartz_room", "runaway_rules"), tmp_path / "out",
        {"realm": "acme", "since": "2026-07-07", "until": "2026-07-10", "lake": str(fresh.root)},
    )  # fmt: skip
    secret = ("beta-park", "Moonlit marathon", ids["beta-park"], "acme-user-1")
    error = ReportError(f"in rule 7 after {ids['acme']}: {', '.join(secret)}", hint="look at Moonlit marathon")

    def published() -> tuple[str, str]:
        page = rendering.publish_failure(planned, error)
        files = [page, page.with_name("card.json"), page.parents[1] / "index.html"]
        return page.read_text(encoding="utf-8"), "".join(path.read_text(encoding="utf-8") for path in files)

    page, every = published()
    assert "in rule 7" in page and ids["acme"] in page, "its own run may be named"
    assert not [text for text in secret if text in every]
    # What cannot be searched is published without its words, not left out.
    monkeypatch.setattr("analytics.reports.leak_gate.Forbidden.of", Exploding.of)
    page, every = published()
    assert "ReportError: its words are not shown" in page and "strategy-analytics report" in page
    assert not [text for text in ("rule 7", *secret) if text in every]


@pytest.mark.parametrize(
    ("kind", "what", "repair"),
    [
        ("DamagedFileError", "a.parquet is damaged", "put it back"),
        ("ValueError", "ValueError: a.parquet is damaged\n  put it back", ""),
    ],
)
def test_what_repairs_a_failure_in_a_cell_stands_apart_where_this_package_has_said_it(
    tmp_path: Path, kind: str, what: str, repair: str
) -> None:
    failure = PapermillExecutionError(3, 4, "", kind, "a.parquet is damaged\n  put it back", [])
    found = rendering._in_words(failure, Forbidden.of(None, tmp_path, env={}))
    assert (found.message, found.hint) == (f"the notebook failed in cell 4: {what}", repair)


class Exploding:
    @staticmethod
    def of(*_: object, **__: object) -> Forbidden:
        raise LakeError("a file is damaged", hint="")


def test_a_word_that_stands_in_reports_anyway_silences_nobody_though_it_is_a_users_id(
    table: Table, fresh: Lake, folder: Path
) -> None:
    # One event of one tenant's client each; "night-owls" is a value in a run of acme, "night-lark" is one of acme's own users.
    ordinary = (
        "execution",
        "metadata",
        "September",
        "Wednesday",
        "strategy-analytics",
        "python3",
        "execution_count",
        "mismatch",
    )
    for user in (*ordinary, "acme", "acme-north", "night-owls", "nightly-acme", "bonus for all"):
        table.insert(realmId="acme-north", externalUserId=user, status="error", errorCode="DSL_ARITH_TYPE_MISMATCH")
    trace = json.dumps([{"nodeId": "n1", "type": "field", "value": team} for team in ("night-owls", "night-lark")])
    table.insert(realmId="acme", externalUserId="someone-1", trace=trace)
    table.insert(realmId="acme", externalUserId="night-lark", status="error", errorCode="DSL_ARITH_TYPE_MISMATCH")
    table.extract(fresh)
    window = Window.parse("2026-07-07", "2026-07-10")
    every = Forbidden.of(fresh.root, window=window, env={}, said=["nightly-acme", "bonus for all"])

    def refused(realms: list[str | None] | None, said: str) -> str:
        put(folder, "report.html", said)
        try:
            leak_gate.check(folder, every.about(realms))
        except ReportError as error:
            return error.message
        return ""

    for realms in (None, ["acme"], ["acme-north"]):
        for word in (*ordinary, "nightly-acme", "bonus for all"):
            assert not refused(realms, word), (realms, word)
    assert not refused(None, "acme-north and acme"), "all tenants may be named"
    assert not refused(["acme"], "acme")
    assert not refused(["acme"], "night-owls"), "what acme's own rows say is no user of another tenant"
    assert "a raw user id" in refused(["acme"], "night-lark"), "its own users are masked, also in values"
    assert "a raw user id" in refused(None, "night-owls"), "where the tenant is in sight, it is one of its users"
    assert "a raw user id" in refused(["acme"], "someone-1") and "a raw user id" in refused(["acme-north"], "someone-1")
    assert "a raw user id" in refused(None, "user acme-north"), "where a user is named, it is the user"
    assert "another tenant" in refused(["acme"], "acme-north")


@pytest.mark.parametrize("name", ["2026", "1012", "Wednesday", "charset", "rect"])
def test_a_tenant_named_like_a_year_or_a_word_silences_nobody_but_is_found_where_a_tenant_is_named(folder, name):
    put(folder, "report.html", f"On {name}, in 2026, the realm is quiet.")
    leak_gate.check(folder, forbidden(realms=frozenset({name})))
    if name in ("2026", "rect"):
        put(folder, "summary.json", f"realm {name}")
        with pytest.raises(ReportError, match="another tenant"):
            leak_gate.check(folder, forbidden(realms=frozenset({name})))


NOTEBOOK = """import os, warnings
from analytics.reports.page.blocks import note
print("lake", lake, "at", os.getcwd())
warnings.warn("from " + os.path.expanduser("~") + "/x")
note(said)"""
STOP = """import sys
assert "" not in sys.path and sys.flags.safe_path, "a module of the working folder would be run"
if said == "stop":
    raise ValueError(f"no {lake} for {sys.prefix}/x, \\x1b[31mred")"""


@pytest.fixture
def small(lake, monkeypatch, tmp_path):
    """A report of two cells: one shows what it is told, one stops."""
    book = nbformat.v4.new_notebook(cells=[
        nbformat.v4.new_code_cell('lake = ""\nrealm = ""\nsince = "7d"\nuntil = "now"\nprevious = ""\ncounters = ""\nsaid = ""',
                                  metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(NOTEBOOK),
        nbformat.v4.new_code_cell(STOP),
    ])  # fmt: skip
    # As another editor saves it, without a language: the kernel is ours anyway.
    book.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    nbformat.write(book, tmp_path / "small.ipynb")
    monkeypatch.setattr(plans, "notebook_path", lambda report: tmp_path / "small.ipynb")
    known = {"since": "2026-07-07", "until": "2026-07-10", "lake": str(lake.root)}

    def render(said: str) -> rendering.Rendered:
        planned = plans.plan(Definition("small", "small"), tmp_path / "out", {**known, "said": said})
        return rendering.render(planned)

    return render


def machine(text: str) -> list[str]:
    """What of this machine a text holds."""
    traces = (str(Path.cwd()), str(Path.home()) + "/", "ipykernel_", "\\u001b", "python3.", '"papermill"', "iopub")
    return [trace for trace in traces if trace in text]


def test_a_report_that_leaks_is_not_published_and_the_last_good_one_stays(lake, small, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", ENV["DATABASE_URL"])
    good = small("quiet")
    book = good.notebook.read_text(encoding="utf-8")
    assert not machine(book) and str(lake.root) not in book
    before = {path.name: path.read_bytes() for path in good.html.parent.iterdir()}
    leak_gate.clean(good.notebook, Forbidden.of(lake.root), good.html.parent)
    assert good.notebook.read_bytes() == before["report.ipynb"], "cleaning again changes nothing"
    # What it was told is part of the folder's name, so the same folder is asked for.
    monkeypatch.setattr(plans, "folder_name", lambda *_: good.html.parent.name)
    with pytest.raises(ReportError, match=r"not published.*the password in DATABASE_URL in report\.html") as caught:
        small("p@ss/w0rd<")
    failed = Path(str(caught.value.page)).parent
    assert "p@ss" not in str(caught.value) and {path.name for path in failed.iterdir()} == {"error.html", "card.json"}
    assert {path.name: path.read_bytes() for path in good.html.parent.iterdir()} == before
    with pytest.raises(ReportError, match="red"):
        small("stop")
    assert {path.name for path in failed.iterdir()} == {"error.html", "card.json", "report.ipynb"}
    for path in failed.iterdir():
        kept = html.unescape(path.read_text(encoding="utf-8"))
        assert "no <lake's folder> for <folder of Python>/x, red" in kept
        assert not machine(kept) and str(lake.root) not in kept


def test_what_a_notebook_says_of_itself_opens_the_gate_for_no_other_tenant():
    told = {"realm_id": "beta"}
    assert leak_gate.tenants({"realm": "acme", "no_realm": False}, told) == ["acme"]
    assert leak_gate.tenants({"realm": "", "no_realm": True}, told) == [None]
    assert leak_gate.tenants({"realm": ""}, told) == ["beta"], "found in the only tenant that has the strategy"
    assert leak_gate.tenants({}, {}) is None
