# Everything sets itself up: a fresh machine with Python 3.11 is enough. As root, `make test` also installs the servers,
# and jq for the recipes of the README.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
PIP_INTO := $(BIN)/python -m pip --disable-pip-version-check --python
OLDEST := .venv-oldest
MEASURED := .venv-measured
SERVER_PACKAGES := prosody lua-sec ejabberd erlang-p1-sqlite3 jq
GHOSTS_PACKAGES := go-sendxmpp iproute2
FOREIGN_PACKAGES := go-sendxmpp sendxmpp profanity-light mcabber poezio
BENCH_PACKAGES := go-sendxmpp sendxmpp
PYTHONS ?= python3.11 python3.12 python3.13 python3.14
NEXT_ROOT ?= /var/tmp/xmppsh-next
NEWEST = $(addprefix --newest ,$(wildcard $(NEXT_ROOT)/usr/bin/go-sendxmpp)) # after `make interop-next`

.PHONY: demo test test-all lint soak fuzz ghosts bench table interop-next dist zipapp docs servers upgrade test-oldest clean

demo: $(VENV)/.installed
	@$(BIN)/xmppsh playground --tour

# Most tests wait most of their time. Those of tests/hostile overlap by themselves, in one process beside the others.
test: $(VENV)/.installed-dev servers lint
	@sh tests/support/side-by-side "$(BIN)/pytest -q tests/hostile $(PYTEST_OPTIONS)" \
	  "$(BIN)/pytest -q -n 4 --dist worksteal --ignore tests/hostile $(PYTEST_OPTIONS)"

# The same with what `make test` leaves out to be done in minutes: each test on both servers, and the long ones.
test-all: $(VENV)/.installed-dev servers lint
	-@sh tests/support/install-servers $(FOREIGN_PACKAGES)
	XMPPSH_ALL=1 $(BIN)/pytest -q -n 4 --dist worksteal --ignore tests/hostile $(PYTEST_OPTIONS)
	XMPPSH_ALL=1 $(BIN)/pytest -q tests/hostile $(PYTEST_OPTIONS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The long runs: thousands of messages through random faults, kill -9, lost sessions; seeds are printed.
soak: $(VENV)/.installed-dev servers
	$(BIN)/python -m tests.soak $(SOAK_OPTIONS)
	XMPPSH_SOAK=1 $(BIN)/pytest -q -s tests/outbox/test_power_loss.py tests/outbox/test_kill.py tests/e2e/test_connect_flood.py

# Random input for every parser of what others write: FUZZ_INPUTS for each; tests/fuzz has the short form.
FUZZ_INPUTS ?= 1000000
fuzz: $(VENV)/.installed-dev
	$(BIN)/python -m tests.fuzz $(FUZZ_INPUTS)

# How long a session stays online after its program ended, for us and for others: docs/ghosts.md. As root; otherwise the
# rounds with a pulled cable are skipped, which it says. What is missing of GHOSTS_PACKAGES is skipped, too.
ghosts: $(VENV)/.installed-dev servers
	-@sh tests/support/install-servers $(GHOSTS_PACKAGES)
	$(BIN)/python -m tests.ghosts $(GHOSTS_OPTIONS)

# Every command of the registry with its test, on both servers: the table of docs/commands.md with what came of it.
table: $(VENV)/.installed-dev servers
	@$(BIN)/python tests/arch/table.py

# tests/interop against the newest servers: Debian's testing suite in a folder, by debootstrap and chroot, as root.
interop-next: $(VENV)/.installed-dev
	@sh tests/support/next-servers $(NEXT_ROOT)
	XMPPSH_TEST_ROOT=$(NEXT_ROOT) $(BIN)/pytest -q -n 2 --dist worksteal tests/interop $(PYTEST_OPTIONS)
	XMPPSH_ALL=1 XMPPSH_TEST_ROOT=$(NEXT_ROOT) $(BIN)/pytest -q tests/interop/test_cluster.py $(PYTEST_OPTIONS)

# Of the program as users install it, with no tools beside it.
bench: export XMPPSH_MEASURED = $(CURDIR)/$(MEASURED)/bin/xmppsh
bench: $(VENV)/.installed-dev servers
	-@sh tests/support/install-servers $(BENCH_PACKAGES)
	$(PYTHON) -m venv --clear --without-pip $(MEASURED)
	$(PIP_INTO) $(MEASURED)/bin/python install --quiet --require-hashes -r requirements/run.txt
	$(PIP_INTO) $(MEASURED)/bin/python install --quiet --no-deps .
	$(BIN)/python -m benchmarks.cold $(BENCH_OPTIONS) $(NEWEST)
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.pipes
	$(BIN)/python -m benchmarks.listens
	$(BIN)/python -m benchmarks.draws
	$(BIN)/python -m benchmarks.shell
	$(BIN)/python -m benchmarks.tab
	$(BIN)/python -m benchmarks.agent $(NEWEST)
	$(BIN)/python -m benchmarks.archive

# Both packages, each installed and tried in a new environment of each of these Pythons that is here.
dist: $(VENV)/.installed-dev
	rm -rf dist
	$(BIN)/python -m hatchling build
	sh tests/support/try-packages $(PYTHONS)

# The program in one file, for a machine where nothing can be installed; the README says what it lacks.
zipapp: $(VENV)/.installed
	$(BIN)/python tests/support/single_file.py dist/xmppsh.pyz

# The site, in build/site; a link that leads nowhere is an error.
docs: $(VENV)/bin/python
	$(PIP) -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# What was tested, by its hashes; then the project itself, which needs nothing more.
$(VENV)/.installed: pyproject.toml requirements/run.txt | $(VENV)/bin/python
	$(PIP) --require-hashes -r requirements/run.txt
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml requirements/dev.txt | $(VENV)/bin/python
	$(PIP) --require-hashes -r requirements/dev.txt
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.installed

# Prosody and ejabberd: by apt when we may, otherwise a line that says what to do. They are never started as services.
servers:
	@sh tests/support/install-servers $(SERVER_PACKAGES)

# The newest versions that pyproject.toml allows become the tested ones. Run the tests before you commit requirements/.
upgrade: $(VENV)/bin/python
	$(PIP) uv
	sh tests/support/pin "$(BIN)/uv" requirements/run.txt
	sh tests/support/pin "$(BIN)/uv" requirements/dev.txt --extra dev

# The tests on the lowest versions that pyproject.toml promises.
test-oldest: servers
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(OLDEST)/bin/uv pip compile --quiet --resolution lowest-direct pyproject.toml -o $(OLDEST)/lowest.txt
	$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r $(OLDEST)/lowest.txt
	$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(OLDEST)/bin/pytest -q -n 4 --dist worksteal --ignore tests/arch $(PYTEST_OPTIONS)

clean:
	rm -rf $(VENV) $(OLDEST) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
