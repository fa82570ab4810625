"""A figure as inline SVG: one drawing for light, dark and paper, with ids of its own, and text that stays text."""

from __future__ import annotations

import io
import re
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import TYPE_CHECKING

from analytics.reports.charts.theme import HALO, NARROW, RC, WIDE
from analytics.reports.page.blocks import figure as figure_block
from analytics.reports.page.escape import Inline, Markup, visible
from analytics.reports.page.palette import LIGHT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_VARIABLES = {value: f"var(--{name})" for name, value in LIGHT.items()}
_HEX = re.compile("|".join(map(re.escape, _VARIABLES)), re.IGNORECASE)
_LONG = re.compile(r"-?\d+\.\d{3,}")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
# What a browser assumes anyway; matplotlib says it for every element.
_IDLE = {("stroke-linejoin", "miter"), ("stroke-linecap", "square"), ("stroke-linejoin", "round")}


def inline_svg(figure: Figure, prefix: str, alt: str = "") -> Markup:
    """Draws a figure as SVG to stand inside a page.

    Args:
        figure: The figure, drawn in palette colours; they become CSS variables.
        prefix: Put before every id; unique within the page.
        alt: What the picture shows, for those who cannot see it.

    Raises:
        ValueError: The prefix is not a plain name.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", prefix):
        raise ValueError(f"An id prefix is letters, digits, - and _ only, not {visible(prefix)[:80]!r}.")
    import matplotlib as mpl

    out = io.StringIO()
    with mpl.rc_context({**RC, "svg.hashsalt": prefix}), warnings.catch_warnings():
        # "Glyph missing from font": the reader's browser has more fonts than the machine that draws.
        warnings.simplefilter("ignore", UserWarning)
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    root = ET.fromstring(out.getvalue())  # noqa: S314 - matplotlib wrote it a moment ago, with its text escaped
    _clean(root, prefix, _referenced(root))
    across, down = figure.get_size_inches() * 72
    root.attrib = {"viewBox": f"0 0 {across:g} {down:g}", "role": "img"}
    if alt:
        root.attrib["aria-label"] = visible(alt)
    else:
        root.attrib["aria-hidden"] = "true"
    return Markup(ET.tostring(root, encoding="unicode"))


def responsive(draw: Callable[[int], Figure], prefix: str, alt: str, caption: Inline = None) -> Markup:
    """Draws the same picture for pages and for phones; the style sheet shows one of the two.

    Args:
        draw: Takes the width in pixels.
        prefix: Put before every id; unique within the page.
        alt: What the picture shows, in a sentence.
        caption: A line below.
    """
    wide = inline_svg(draw(WIDE), f"{prefix}-w", alt)
    narrow = inline_svg(draw(NARROW), f"{prefix}-n", alt)
    return figure_block(wide, narrow, caption).html


def _referenced(root: ET.Element) -> set[str]:
    found: set[str] = set()
    for element in root.iter():
        for name, value in element.attrib.items():
            found.update(_REFERENCE.findall(value))
            if name.endswith("href") and value.startswith("#"):
                found.add(value[1:])
    return found


def _clean(element: ET.Element, prefix: str, wanted: set[str]) -> None:  # noqa: C901  # one rule per attribute
    # HTML parses SVG without namespaces; leaving them out keeps every address out of the page.
    element.tag = element.tag.rpartition("}")[2]
    attributes: dict[str, str] = {}
    for key, value in element.attrib.items():
        name = key.rpartition("}")[2]
        if name == "id":
            if value in wanted:
                attributes["id"] = f"{prefix}-{value}"
            elif value == HALO:
                attributes["class"] = HALO
        elif name == "href":
            if value.startswith("#"):
                attributes["href"] = f"#{prefix}-{value[1:]}"
        elif name == "style":
            attributes["style"] = _style(value, prefix)
        elif not value.startswith("rotate(-0 "):  # matplotlib turns every label, most by nothing
            attributes[name] = _REFERENCE.sub(rf"url(#{prefix}-\1)", _LONG.sub(_short, value))
    # The ground of a hatched area comes with its colour as an attribute, where a variable is not sure to be read.
    for name in ("fill", "stroke"):
        if _HEX.fullmatch(attributes.get(name, "")):
            told = _style(f"{name}:{attributes.pop(name)}", prefix)
            attributes["style"] = ";".join(filter(None, (attributes.get("style", ""), told)))
    element.attrib = {name: value for name, value in attributes.items() if value}
    for child in list(element):
        if child.tag.rpartition("}")[2] in ("metadata", "style"):
            element.remove(child)
            continue
        _clean(child, prefix, wanted)
        if child.tag in ("g", "defs") and not len(child) and not child.attrib:
            element.remove(child)
    if element.tag != "text" and element.text and not element.text.strip():
        element.text = None
    if element.tail and not element.tail.strip():
        element.tail = None


def _short(match: re.Match[str]) -> str:
    return f"{float(match.group()):.2f}".rstrip("0").rstrip(".")


def _style(value: str, prefix: str) -> str:
    kept: list[str] = []
    for declaration in value.split(";"):
        name, _, setting = declaration.partition(":")
        name, setting = name.strip(), setting.strip()
        if not name or (name, setting) in _IDLE or name == "font-family":
            continue
        if name == "font":  # the page has its own family; size and weight stay
            size = re.search(r"([\d.]+)px", setting)
            kept.append(f"font-size:{size.group(1)}px" if size else "")
            if re.match(r"(bold|[6-9]00)\b", setting):
                kept.append("font-weight:600")
            continue
        setting = _HEX.sub(lambda match: _VARIABLES[match.group().lower()], _LONG.sub(_short, setting))
        setting = _REFERENCE.sub(rf"url(#{prefix}-\1)", setting)
        kept.append(f"{name}:{setting}")
    return ";".join(filter(None, kept))
