"""Pages in a real browser: headless Chromium shows them whole, and they ask nobody for anything.

Skipped where there is no Chromium; REQUIRE_BROWSER=1 (as in CI) makes that a failure.
"""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from analytics import api
from analytics.errors import ReportError
from analytics.reports import page
from analytics.reports.render import own_outputs
from analytics.reports.render.publish_folder import publish
from analytics.reports.schedule import archive, cards
from analytics.reports.schedule.cards import Card
from analytics.warehouse.warehouse import Warehouse
from tests.chromium import Browser, Shown, chromium
from tests.fewer import one_in

NAMES = ("index.html", "error.html", "post_mortem.html", "runaway_rules.html")
WIDTHS = {"desktop": 1280, "phone": 400}
PAPER = {"light": "rgb(255, 254, 251)", "dark": "rgb(21, 23, 26)"}


def sections(report: str) -> list[str]:
    """What its notebook shows, in order."""
    source = (Path(__file__).parents[2] / "notebooks" / f"{report}.ipynb").read_text(encoding="utf-8")
    return [name for name in re.findall(r"report\.([a-z_]+)\(\)", source) if name != "summary_block"]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(scope="module")
def folder(warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The two reports, an error's page and the index, all of the demo's lake, hostile names included."""
    made = tmp_path_factory.mktemp("pages")
    window = {"since": "2026-07-07", "until": "2026-07-11"}
    reports = {
        "post_mortem": api.post_mortem(warehouse, realm="acme-cycling", family="Speed bonus", **window),
        "runaway_rules": api.runaway_rules(warehouse, since="2026-07-10", until="2026-07-11"),
    }
    for name, report in reports.items():
        blocks = [getattr(report, section)().in_page for section in sections(name)]
        html = page.document(report.title, blocks, nav=[("index.html", "Reports"), *report.nav], has_neighbours=True)
        (made / f"{name}.html").write_text(html, encoding="utf-8")
    out, end = made / "out", datetime(2026, 7, 11, tzinfo=UTC)
    evil = '"><script>alert(1)</script>'
    card = Card("runaway_rules", "runaway_rules", evil, True, "", end - timedelta(days=1), end, end, "new", every="day")
    shelved = out / "runaway_rules_x"
    shelved.mkdir(parents=True)
    cards.write(card, shelved)
    error = publish(out / "runaway_rules_y", card, ReportError("no memory <b>", hint="give it more"))
    archive.refresh(out)
    shutil.copy(error, made / "error.html")
    shutil.copy(out / "index.html", made / "index.html")
    return made


def opened(browser: Browser, path: Path, width: int, scheme: str) -> Shown:
    browser.events.clear()
    target = browser.call("Target.createTarget", url="about:blank")["targetId"]
    session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    for domain in ("Page", "Runtime", "Log", "Network"):
        browser.call(f"{domain}.enable", session)
    phone = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.call("Emulation.setDeviceMetricsOverride", session, **phone)
    browser.call("Emulation.setEmulatedMedia", session, features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.events.clear()
    browser.call("Page.navigate", session, url=path.as_uri())
    browser.wait_for("Page.loadEventFired")
    return Shown(browser, session)


# Text whose contrast with what lies behind it is below WCAG's 4.5 (3 for large letters), of letters that stand in the page.
PALE = """
(() => {
  const rgb = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = c => { const v = c.slice(0, 3).map(x => (x /= 255) <= .03928 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4);
                       return .2126 * v[0] + .7152 * v[1] + .0722 * v[2]; };
  const behind = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor);
                        if (c.length === 3 || c[3] > 0) return c; } return [255, 255, 255]; };
  return [...document.querySelectorAll('body *')].filter(e => !e.closest('svg') && e.offsetParent
      && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())).map(e => {
    const s = getComputedStyle(e), a = light(rgb(s.color)), b = light(behind(e));
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    return [ratio, parseFloat(s.fontSize) >= 24 ? 3 : 4.5, e.className, e.textContent.slice(0, 40)];
  }).filter(([ratio, least]) => ratio < least).map(([ratio, , name, text]) => `${ratio.toFixed(2)} ${name}: ${text}`);
})()
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", one_in(2, WIDTHS))
@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_whole_readable_and_asks_nobody(
    browser: Browser, folder: Path, name: str, width: str, scheme: str
) -> None:
    path = folder / name
    shown = opened(browser, path, WIDTHS[width], scheme)
    assert shown.ask("document.querySelector('h1').getBoundingClientRect().height") > 20
    assert len(shown.ask("document.querySelector('h1').innerText")) > 10
    assert shown.ask("document.documentElement.scrollWidth - window.innerWidth") <= 0, (
        "the page is wider than the screen"
    )
    assert shown.ask("getComputedStyle(document.body).backgroundColor") == PAPER[scheme]
    assert shown.ask(PALE) == []
    asked = {request["request"]["url"] for request in shown.of("Network.requestWillBeSent")}
    assert {url for url in asked if not url.startswith("data:")} == {path.as_uri()}
    said = shown.of("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
    assert said == []
    assert shown.ask("document.scripts.length") == 0
    picture = browser.call("Page.captureScreenshot", shown.session)["data"]
    (folder / f"{path.stem}-{width}-{scheme}.png").write_bytes(base64.b64decode(picture))


@pytest.mark.parametrize("name", NAMES)
def test_a_page_can_be_printed(browser: Browser, folder: Path, name: str) -> None:
    shown = opened(browser, folder / name, 1280, "dark")
    printed = base64.b64decode(browser.call("Page.printToPDF", shown.session, preferCSSPageSize=True)["data"])
    assert printed.startswith(b"%PDF") and b"/Type /Page" in printed


@pytest.mark.parametrize(
    ("columns", "across", "cut"), [(6, False, 696), (9, True, 1024), (16, True, 1024), (40, False, 696)]
)
def test_a_frame_of_any_width_is_whole_on_paper(
    browser: Browser, tmp_path: Path, columns: int, across: bool, cut: int
) -> None:
    frame = pd.DataFrame(
        {f"a_rather_long_name_{at}": ["words that are long", f"another-word_{at}"] for at in range(columns)}
    )
    block = page.section("part", "Heading", body=page.Markup(own_outputs.frame(frame)[0]["text/html"]))
    path = tmp_path / "wide.html"
    path.write_text(page.document("Wide", [block.in_page]), encoding="utf-8")
    shown = opened(browser, path, cut, "light")
    printed = base64.b64decode(browser.call("Page.printToPDF", shown.session, preferCSSPageSize=True)["data"])
    boxes = {tuple(map(float, box.split())) for box in re.findall(rb"/MediaBox \[([\d. ]+)\]", printed)}
    assert any(right > upper for *_, right, upper in boxes) == across
    # As wide as the sheet's text is, at 96 dots an inch.
    browser.call("Emulation.setEmulatedMedia", shown.session, media="print")
    assert (
        shown.ask("Math.max(...[...document.querySelectorAll('td')].map(e => e.getBoundingClientRect().right))") <= cut
    )
    assert shown.ask("[...document.querySelectorAll('td')].filter(e => e.offsetHeight).length") == 2 * columns


def test_a_pale_word_and_a_request_would_be_seen(browser: Browser, tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    bad.write_text('<body style="background:#fff"><p style="color:#ccc">pale</p><img src="http://127.0.0.1:9/x.png">')
    shown = opened(browser, bad, 400, "light")
    assert shown.ask(PALE) == ["1.61 : pale"]
    assert "http://127.0.0.1:9/x.png" in {
        request["request"]["url"] for request in shown.of("Network.requestWillBeSent")
    }
    assert shown.of("Log.entryAdded")


def test_every_link_of_the_index_leads_to_a_file(folder: Path) -> None:
    html = (folder / "out" / "index.html").read_text(encoding="utf-8")
    links = {part.partition('"')[0] for part in html.split('href="')[1:]}
    (folder / "out" / "runaway_rules_x" / "report.html").touch()
    assert links and all((folder / "out" / link).is_file() for link in links)
