# For GNU make 3.81, which macOS still ships, and later. Needs a POSIX shell and Python 3.11 or newer, which it finds.

VENV := .venv
BIN := $(VENV)/bin
MADE := $(VENV)/.made

# Tried in this order, everywhere on PATH. `make run PYTHON=/path/to/python3` tries only that one.
PYTHON := python3.14 python3.13 python3.12 python3.11 python3 python

# A virtual environment holds absolute paths: one that was moved, or whose Python is gone, is made anew.
ifneq ($(shell test -x $(BIN)/python && cat $(MADE) 2>/dev/null),$(CURDIR))
.PHONY: $(MADE)
endif

# What is installed, and goes into the executable.
ROOMS := actions api beseda hub protocol storage

# As many at a time as there are cores; the tests of one file share what they start, so they stay together.
PARALLEL := --numprocesses auto --dist loadfile

.NOTPARALLEL: # all installs go into one environment
.PHONY: help run install test check binary bench bench-full format clean python compiler proxies always

help:
	@echo "make run      start the server on http://127.0.0.1:8000   (ARGS=\"--port 9000 --data DIR\")"
	@echo "make install  install what the server needs, and start nothing"
	@echo "make test     run the tests                               (ARGS=\"tests/hub -k typing\")"
	@echo "make check    the gate: format, lint, types, import directions, AsyncAPI (needs node), all tests (some need gcc, caddy, nginx)"
	@echo "make binary   build dist/beseda, one file that needs neither Python nor anything else of this folder (Linux)"
	@echo "make bench    measure it beside other servers, in a few minutes  (ARGS=\"--only 'room*' --peers starlette\")"
	@echo "make bench-full  the same with large numbers, of which docs/benchmarks.md tells"
	@echo "make format   format the code, and mend what can be mended by itself"
	@echo "make clean    remove the environment and all caches; data/ stays"

# exec: the server is make's child itself, so that it gets the signals and its exit code counts.
run: $(VENV)/.run
	@exec $(BIN)/beseda serve $(ARGS)

install: $(VENV)/.run

test: $(VENV)/.test
	@echo "Running the tests"
	@$(BIN)/python -m pytest $(PARALLEL) -m 'not gate' $(ARGS)

check: $(VENV)/.dev $(VENV)/.node compiler proxies dist/beseda
	@echo "Checking the format (ruff)"
	@$(BIN)/ruff format --check --quiet . || { echo "Not formatted, see above: make format" >&2; exit 1; }
	@echo "Linting (ruff)"
	@$(BIN)/ruff check --quiet .
	@echo "Checking the types (mypy)"
	@$(BIN)/mypy
	@echo "Checking which way the imports run (import-linter)"
	@$(BIN)/lint-imports --no-logo
	@echo "Checking the description of the socket (AsyncAPI's parser)"
	@$(BIN)/python -c 'import sys; from protocol import asyncapi, codec; \
		sys.stdout.buffer.write(codec.encode(asyncapi.document("check")))' | node tests/asyncapi/check.cjs
	@echo "Running the tests under coverage"
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest $(PARALLEL)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

binary: dist/beseda

dist/beseda: binary/beseda.spec build/commit $(MADE) $(VENV)/.binary $(shell find $(ROOMS) -type f ! -name '*.pyc')
	@[ "$$(uname)" != Linux ] || command -v objcopy >/dev/null || { \
		echo "The file is put together with binutils: install them (on Debian: apt install binutils)." >&2; exit 1; }
	@echo "Building dist/beseda (half a minute or so)"
	@$(BIN)/pyinstaller --noconfirm --log-level ERROR --distpath dist --workpath build/pyinstaller $<

# What `beseda --version` tells. A new file only where it is another commit: the build follows it.
build/commit: always
	@mkdir -p build
	@{ [ -e .git ] && git describe --always --dirty --exclude='*' 2>/dev/null || echo unknown; } > $@.new
	@if cmp -s $@.new $@; then rm $@.new; else chmod +x $@.new && mv $@.new $@; fi

# Linux only: what a server costs is read from /proc.
bench: $(VENV)/.bench
	@$(BIN)/python -m bench $(ARGS)

bench-full: $(VENV)/.bench
	@$(BIN)/python -m bench --full $(ARGS)

format: $(VENV)/.dev
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format .

clean:
	@echo "Removing the environment and the caches"
	@rm -rf $(VENV) build dist *.egg-info .coverage .coverage.* htmlcov
	@rm -rf tests/asyncapi/node_modules bench/peers/socketio/node_modules
	@rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	@find $(ROOMS) bench tests -name __pycache__ -type d -prune -exec rm -rf {} +

# --- The environment. Each stamp is written last, so that an interrupted step is done again. ---

define install
@echo "Installing $(1) (only when pyproject.toml changed, or the first time)"
@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '$(2)'
@touch $(3)
endef

$(VENV)/.run: pyproject.toml $(MADE)
	$(call install,Beseda and what it runs on,.,$@)

$(VENV)/.test: pyproject.toml $(MADE)
	$(call install,Beseda and what its tests need,.[test],$(VENV)/.run $@)

$(VENV)/.dev: pyproject.toml $(MADE)
	$(call install,Beseda and the tools of its gate,.[dev],$(VENV)/.run $(VENV)/.test $(VENV)/.binary $@)

$(VENV)/.binary: pyproject.toml $(MADE)
	$(call install,Beseda and what makes one file of it,.[binary],$(VENV)/.run $@)

$(VENV)/.bench: pyproject.toml $(MADE)
	$(call install,Beseda and the servers beside which it is measured,.[bench],$(VENV)/.run $@)

$(VENV)/.node: tests/asyncapi/package.json tests/asyncapi/.npmrc $(MADE)
	@command -v node >/dev/null && command -v npm >/dev/null || { \
		echo "The gate checks /asyncapi.json with AsyncAPI's own parser, which needs node 18 or newer and npm:" \
			"install them (on Debian: apt install nodejs npm)." >&2; exit 1; }
	@echo "Installing AsyncAPI's parser (only when tests/asyncapi changed, or the first time)"
	@cd tests/asyncapi && npm install --loglevel=error
	@touch $@

# What fails the disk and steps the clock of a server under test is a library in C.
compiler:
	@printf '#include <dlfcn.h>\n' | gcc -E - >/dev/null 2>&1 || { \
		echo "Some of the gate's tests need gcc and the C library's headers:" \
			"install them (on Debian: apt install gcc libc6-dev)." >&2; exit 1; }

# Debian keeps servers where only root looks.
proxies:
	@PATH="$$PATH:/usr/sbin"; command -v caddy >/dev/null && command -v nginx >/dev/null || { \
		echo "The gate runs the server behind Caddy and nginx:" \
			"install them (on Debian: apt install caddy nginx-light)." >&2; exit 1; }

$(MADE):
	@$(find_python); \
	echo "Creating $(VENV) with $$python"; \
	"$$python" -m venv --clear $(VENV) && pwd -P > $@

# Says which Python would be used, or why there is none.
python:
	@$(find_python); echo "$$python"

# Leaves the path in $python. Every candidate is run, since a shim may be on PATH and yet stand for nothing.
# Debian ships Python without ensurepip, so one that lacks it gives way to any other that is complete.
define find_python
python=; lacking=; \
for name in $(PYTHON); do \
	IFS=:; \
	for folder in $$PATH; do \
		unset IFS; \
		case "$$name" in (*/*) candidate="$$name" ;; (*) candidate="$$folder/$$name" ;; esac; \
		[ -x "$$candidate" ] || continue; \
		"$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' </dev/null >/dev/null 2>&1 || continue; \
		if "$$candidate" -c 'import ensurepip, venv' </dev/null >/dev/null 2>&1; then python="$$candidate"; break 2; fi; \
		lacking="$${lacking:-$$candidate}"; \
	done; \
done; \
unset IFS; \
if [ -z "$$python" ] && [ -n "$$lacking" ]; then \
	case "$${lacking##*/}" in (python3.*) package="$${lacking##*/}-venv" ;; (*) package=python3-venv ;; esac; \
	echo "$$lacking cannot make virtual environments: install the package $$package (apt install $$package)." >&2; \
	exit 1; \
elif [ -z "$$python" ]; then \
	echo "No Python 3.11 or newer was found on PATH: install one (on Debian: apt install python3 python3-venv)." >&2; \
	exit 1; \
fi
endef
