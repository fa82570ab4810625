"""The colours of every page and picture, each with one meaning.

A colour is named after what it says, never after how it looks. Pages use the CSS variables, matplotlib draws in the
light values, and `charts.svg` turns those values back into the variables, so that one SVG serves light, dark and print.
For that the light values must differ from each other; a test insists on it.
"""

from __future__ import annotations

LIGHT: dict[str, str] = {
    "bg": "#fffefb",
    "ink": "#1c1c1a",
    "mute": "#67655e",
    "still": "#a5a39b",  # bars and lines of what did not change
    "faint": "#f4f2ea",
    "rule": "#dad7cc",
    "before": "#2b6a99",
    "before-pale": "#dbe7f0",
    "finding": "#c2410c",
    "finding-pale": "#fbe9de",
    "worse": "#9a6a00",
    "fixed": "#14765a",
    "d1": "#dfe8ef",
    "d2": "#b3cbdd",
    "d3": "#7fa8c6",
    "d4": "#4784ad",
    "d5": "#1c5076",
}
DARK: dict[str, str] = {
    "bg": "#15171a",
    "ink": "#e9e7e0",
    "mute": "#a19e95",
    "still": "#6d6b65",
    "faint": "#1e2125",
    "rule": "#383b40",
    "before": "#7db3e0",
    "before-pale": "#1f3243",
    "finding": "#ff8f57",
    "finding-pale": "#3a2419",
    "worse": "#e0b04a",
    "fixed": "#5fc9a4",
    # In the dark "more" is brighter, so the steps run from near the paper to far from it, as in light.
    "d1": "#1d2c39",
    "d2": "#27465f",
    "d3": "#356b92",
    "d4": "#5a9ccb",
    "d5": "#b5dcfa",
}
PRINT: dict[str, str] = {**LIGHT, "bg": "#ffffff", "ink": "#000000", "mute": "#555555", "faint": "#f5f5f2"}

ROLES: tuple[str, ...] = ("before", "finding", "worse", "fixed")
"""Roles a piece of text, a bar or a mark may carry; anything else is drawn grey."""


def variables() -> str:
    """CSS that gives the variables their values: light, dark, the notebook's own theme, and paper."""

    def block(selector: str, scheme: str, colours: dict[str, str]) -> str:
        pairs = "".join(f"--{name}:{value};" for name, value in colours.items())
        return f"{selector}{{color-scheme:{scheme};{pairs}}}"

    # A notebook's theme may differ from the system's: JupyterLab and VS Code say so on the body.
    dark_hosts = '[data-jp-theme-light="false"] .sa,.vscode-dark .sa'
    light_hosts = '[data-jp-theme-light="true"] .sa,.vscode-light .sa'
    return "\n".join(
        [
            block(".sa,.sa-page", "light", LIGHT),
            "@media (prefers-color-scheme:dark){" + block(".sa,.sa-page", "dark", DARK) + "}",
            block(light_hosts, "light", LIGHT),
            block(dark_hosts, "dark", DARK),
            "@media print{" + block(".sa.sa,.sa-page", "light", PRINT) + "}",
        ]
    )
