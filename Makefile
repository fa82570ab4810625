# Every recipe is one line over the command; logic lives in the package.
.DEFAULT_GOAL := help
.PHONY: help install install-server demo lab docs docs-serve extract status check report schedule query test lint types prove prove-estimates prove-forecast prove-verdicts prove-failures prove-silences prove-pairs prove-time-split prove-rehearsals prove-scale prove-cluster prove-stores prove-week prove-servers soak bench clean

PYTHON ?= python3
VENV   := .venv
RUN    := $(VENV)/bin/strategy-analytics
READY  := $(VENV)/.ready
TOOLS  := $(VENV)/.tools
BENCH  := .venv-bench

# make extract SINCE=2026-07-01 UNTIL=2026-07-08 REALM=acme-cycling ARGS="--force"
window = $(if $(SINCE),--since "$(SINCE)") $(if $(UNTIL),--until "$(UNTIL)")
realm  = $(if $(REALM),--realm "$(REALM)")
sight  = $(if $(REALM),--realm "$(REALM)",--all-realms)
REPORT ?= runaway_rules

help:  ## show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# pip would compile every module of every library, a third of its time; most are never imported, and Python keeps what it compiles,
# here also where an environment forbids it: each process would compile all of them for itself.
export PYTHONDONTWRITEBYTECODE :=
PIP := $(VENV)/bin/python -m pip install --no-compile --quiet --disable-pip-version-check -c requirements.txt
$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
# The command and the embedded server come in less than half the time of the whole: what most targets need, and the demo first of all.
$(READY): pyproject.toml requirements.txt | $(VENV)/bin/python
	$(PIP) -e '.[demo]' && touch $@
$(TOOLS): pyproject.toml requirements.txt | $(VENV)/bin/python
	$(PIP) -e '.[dev]' && touch $(READY) $@

install: $(TOOLS)  ## create .venv with everything pinned: JupyterLab and the tools of tests and docs, too

# EXTRAS=s3 for a lake in a bucket, EXTRAS=s3,spark …
install-server: $(VENV)/bin/python  ## what a scheduled job needs and no more: no JupyterLab, no test tools, no server
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c requirements.txt -e '.$(if $(EXTRAS),[$(EXTRAS)])'

demo: $(READY)  ## embedded PostgreSQL, simulated engine, extract, both reports
	$(RUN) demo $(ARGS)

lab: $(TOOLS)  ## JupyterLab on notebooks/explore.ipynb; makes the demo's lake when there is none
	$(RUN) demo --lake-only --if-missing && $(VENV)/bin/jupyter lab --ServerApp.root_dir="$(CURDIR)" notebooks/explore.ipynb $(ARGS)

docs: $(TOOLS)  ## the documentation as a site in build/site, with notebooks and pictures of the demo's lake; ARGS=--quick without
	$(VENV)/bin/python -m tests.website $(ARGS)

docs-serve: $(TOOLS)  ## show what make docs has built, on loopback until Ctrl-C
	$(VENV)/bin/python -m tests.website --show --serve 8321

extract: $(READY)  ## DATABASE_URL=… make extract SINCE=… UNTIL=… [REALM=…]
	$(RUN) extract $(window) $(realm) $(ARGS)

status: $(READY)  ## calendar of the lake: complete, partial, missing, stale
	$(RUN) status $(sight) $(ARGS)

check: $(READY)  ## checks with severity over the lake
	$(RUN) check $(sight) $(ARGS)

report: $(READY)  ## make report REPORT=post_mortem REALM=… ARGS="--family '…'" SINCE=… UNTIL=…
	$(RUN) report $(REPORT) $(window) $(sight) $(ARGS)

schedule: $(READY)  ## print the crontab lines (ARGS="--format systemd": the units) that run this checkout
	$(RUN) schedule $(ARGS)

query: $(READY)  ## make query REALM=… ARGS="'from strategy_days limit 5'"; without REALM of all of them
	$(RUN) query $(sight) $(ARGS)

test: $(TOOLS)  ## the tests
	$(VENV)/bin/python -m pytest -q -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(TOOLS)  ## ruff and stripped notebooks
	$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check . && $(VENV)/bin/nbstripout --verify notebooks/*.ipynb

types: $(TOOLS)  ## mypy, strict; and the library as a caller types it
	$(VENV)/bin/mypy && $(VENV)/bin/mypy tests/typed_api.py && $(VENV)/bin/mypy -m tests.website.__main__ -m tests.website.hooks

prove: $(TOOLS)  ## long proof: killed, starved, cut off, lied to, and the lake equals the source; writes docs/proof.md
	$(VENV)/bin/python -m tests.proof --markdown docs/proof.md $(ARGS) && \
	$(VENV)/bin/python -m tests.kills && $(VENV)/bin/python -m tests.walk --seeds 60 && \
	$(VENV)/bin/python -m tests.midrun && \
	$(VENV)/bin/python -m pytest -q --long -m "long or more" --timeout 1800 && \
	$(VENV)/bin/python -m pytest -q tests/extraction/test_lossless.py tests/extraction/test_extract.py --demo-runs 240000 --demo-days 14 --timeout 1800

prove-estimates: $(TOOLS)  ## half an hour: do the intervals cover the truth? writes docs/estimates.md
	$(VENV)/bin/python -m tests.intervals --markdown docs/estimates.md $(ARGS)

prove-forecast: $(TOOLS)  ## a quarter of an hour: do the days to the cap hold? writes docs/forecast.md
	$(VENV)/bin/python -m tests.forecast --markdown docs/forecast.md $(ARGS)

prove-verdicts: $(TOOLS)  ## an hour: is a post-mortem's verdict ever wrong? writes docs/verdicts.md
	$(VENV)/bin/python -m tests.verdicts --markdown docs/verdicts.md $(ARGS)

prove-failures: $(TOOLS)  ## an hour: are steady failures ever called an incident, and is a burst found?
	$(VENV)/bin/python -m tests.failing $(ARGS)

prove-silences: $(TOOLS)  ## ten minutes: is a quiet log ever called silent, and are lost rows named?
	$(VENV)/bin/python -m tests.silences $(ARGS)

prove-pairs: $(TOOLS)  ## ten minutes: 20,000 pairs of programs around a built-in, tried on each other's runs
	$(VENV)/bin/python -m tests.whole_program $(ARGS)

prove-time-split: $(TOOLS)  ## five minutes: is the time of runs split as it was planted? writes docs/time-split.md
	$(VENV)/bin/python -m tests.fields --markdown docs/time-split.md $(ARGS)

prove-rehearsals: $(TOOLS)  ## a quarter of an hour: what drafts would have paid, held against a simulation; writes docs/rehearsal-proof.md
	$(VENV)/bin/python -m tests.rehearsals --markdown docs/rehearsal-proof.md $(ARGS)

prove-scale: $(VENV)/.spark  ## twenty minutes: a bucket's faults, Spark row for row, a report by many processes; fills docs/scale.md
	$(VENV)/bin/python -m tests.scale --markdown docs/scale.md $(ARGS)

# Debian: apt-get install parallel openssh-server; Airflow comes by pip into an environment of its own
prove-cluster: $(VENV)/.spark  ## half an hour: Spark standalone, GNU parallel over ssh, Airflow, and killed; fills docs/spark.md, docs/fan_out
	$(VENV)/bin/python -m tests.cluster --markdown docs/spark.md $(ARGS) && \
	$(VENV)/bin/python -m tests.schedulers --markdown docs/fan_out/README.md

prove-stores: $(TOOLS)  ## ten minutes: a lake in Ceph's gateway and other stores, their faults too; fills docs/stores.md
	$(VENV)/bin/python -m tests.stores --markdown docs/stores.md $(ARGS)

prove-week: $(TOOLS)  ## half an hour: a week hour by hour, with kills, crashes, changes and reports; a reader checks each hour
	$(VENV)/bin/python -m tests.week $(ARGS)

# Debian: apt-get install postgresql postgresql-contrib pgbouncer prometheus victoria-metrics; other versions come by npm and pip
prove-servers: $(TOOLS)  ## half an hour: PostgreSQL 12 to 18, TLS, PgBouncer, standbys, replicas, odd settings; fills docs/servers.md
	$(VENV)/bin/python -m tests.servers --markdown docs/servers.md $(ARGS) && \
	$(VENV)/bin/python -m tests.servers.hours

$(VENV)/.spark: $(TOOLS)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c requirements.txt -e '.[dev,spark]' && touch $@

soak: $(TOOLS)  ## ten minutes of late writers, extracts, random kills and a reader that checks each step
	$(VENV)/bin/python -m tests.proof --soak 600 $(ARGS)

$(BENCH)/.ready: pyproject.toml requirements.txt benchmarks/requirements.txt
	@test -x $(BENCH)/bin/python || $(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python benchmarks/install.py && touch $@

bench: $(BENCH)/.ready  ## side by side with what people use today; make bench ARGS=--quick
	$(BENCH)/bin/python -m benchmarks $(ARGS)

clean:  ## remove the environments, caches, demo data and rendered reports (never your lake)
	rm -rf $(VENV) $(BENCH) benchmarks/.cache demo reports/out build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
