#!/usr/bin/env bash
# papermill: a # inside a text ends the default value of a parameter, and two names on a line are none
#
# Version:  papermill 2.7.0
# Expected: inspect_notebook (and --help-notebook) tell the parameters and defaults that Python would set.
# Seen:     The cell is read by regular expressions: the default of a text that holds a # is cut there and the rest
#           becomes the parameter's help; a line with a second = sign (an equation in a text, two assignments) has no
#           parameter at all, and papermill calls it unknown when it is passed.
# Source:   github.com/nteract/papermill/pull/531 (why expressions and not ast), issue 864 (the second = sign); the #
#           was found here
#
# Fails where what is seen has changed. Installs into a temporary folder and leaves nothing behind.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check papermill==2.7.0 ipykernel==7.4.0
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import logging

import nbformat
import papermill

logging.disable()
cell = nbformat.v4.new_code_cell(
    "\n".join(['title = "Rule #5: bonus"', 'since = "7d"  # of the window', 'where = "points = 5"', "least = 1; most = 2"])
)
cell.metadata["tags"] = ["parameters"]
notebook = nbformat.v4.new_notebook(cells=[cell])
notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python", "language": "python"}
nbformat.write(notebook, "report.ipynb")
seen = {name: (found["default"], found["help"]) for name, found in papermill.inspect_notebook("report.ipynb").items()}
print(papermill.__version__, seen)
assert seen == {
    "title": ('"Rule', '5: bonus"'),
    "since": ('"7d"', "of the window"),
}, "changed"
PY
