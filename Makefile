SHELL = /bin/sh
.DEFAULT_GOAL = help
.PHONY: help setup lock licences extras demo cloud cloud-stop cloud-status quick check test fix synth aws-smoke \
  histories histories-planted mutants bench bench-start bench-collect bench-burst bench-drain bench-cost bench-engines bench-report \
  screenshots

LOCALCLOUD = .venv/bin/python -m localcloud
# What starts no process: the functions' tests on the fast fake of AWS, and those that read files.
QUICK_FUNCTIONS = tests/lambdas tests/test_stored_names.py --ignore tests/lambdas/test_least_boto3.py \
  --deselect tests/test_stored_names.py::test_outputs_are_frozen
QUICK_OTHERS = tests/tools/test_pins.py tests/tools/test_workflow.py tests/stacks/test_settings.py \
  tests/test_documentation.py tests/cli/test_help.py tests/cli/test_terminal.py tests/cli/test_hostile_names.py
# Node.js may be there (tools/setup), and `cdk` runs `python3 app.py`.
export PATH := $(CURDIR)/.venv/bin:$(PATH)

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what is needed, into this folder only; quick when it is there
	@tools/setup

lock: ## The locks anew, after a pin in pyproject.toml was changed [ARGS=--upgrade]
	@tools/lock $(ARGS)

licences: setup ## The licence of everything that is installed; fails where a copyleft one has no reason beside it
	@.venv/bin/python -m tools.licences

# EXTRAS: text labels moderation search
extras: setup ## Install engines of the local cloud beyond faces and segments [EXTRAS='text labels moderation search']
	@tools/extras $(or $(EXTRAS),text labels moderation search)

# VIDEO and its like reach the command through the environment and in quotes: a path may have spaces.
demo: setup ## Drop a video, see its faces, on this machine alone [VIDEO=path]
	@.venv/bin/python -m demo $${VIDEO:+"$$VIDEO"}

# REKOGNITION_ENDPOINT=http://127.0.0.1:5000  use that endpoint instead of the project's own
# ENGINE=simulated SECONDS=5 DETECTIONS=100   don't look at the videos: a job takes this long and finds this much
# CONTEXT='retain_data=false analyses={"face-detection":{}}'   settings for the stack, as cdk's -c
# PORT=4566                                   not just any free port
# EXTRAS='text search'                        engines to install first (make extras)
cloud: setup ## Start the local cloud and deploy to it; again: bring it up to date (options: see Makefile)
	@$(if $(EXTRAS),tools/extras $(EXTRAS))
	@$(LOCALCLOUD) up \
	  $${REKOGNITION_ENDPOINT:+--rekognition-endpoint "$$REKOGNITION_ENDPOINT"} \
	  $(if $(ENGINE),--engine $(ENGINE)) $(if $(SECONDS),--seconds $(SECONDS)) \
	  $(if $(DETECTIONS),--detections $(DETECTIONS)) $(if $(PORT),--port $(PORT)) \
	  $${CONTEXT:+--context "$$CONTEXT"}

cloud-status: setup ## Whether the local cloud runs, where, and its outputs
	@$(LOCALCLOUD) status || true

cloud-stop: ## End the local cloud and remove everything in it
	@if [ -x .venv/bin/python ]; then $(LOCALCLOUD) down; fi

quick: setup ## Style, types and the tests that start no server or browser: before each commit
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/lint-imports --no-cache --no-logo >/dev/null || .venv/bin/lint-imports --no-cache --no-logo
	@.venv/bin/mypy & types=$$!; \
	  WORLD=fast .venv/bin/python -m pytest -q -n auto $(QUICK_FUNCTIONS) && \
	  .venv/bin/python -m pytest -q -n auto $(QUICK_OTHERS); tests=$$?; \
	  wait $$types && exit $$tests

# One worker more than there are processors: the tests of the deployed local cloud mostly wait.
check: setup ## Everything that must hold: style, types, and all tests, end to end (what CI runs)
	@tools/browser --install >/dev/null
	@tools/extras text labels moderation search
	@tools/lock --check
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/lint-imports --no-cache --no-logo >/dev/null || .venv/bin/lint-imports --no-cache --no-logo
	@.venv/bin/mypy & types=$$!; \
	  .venv/bin/python -m pytest -n $$(($$(getconf _NPROCESSORS_ONLN) + 1)) --cov --cov-report=; tests=$$?; \
	  .venv/bin/python -m tools.coverage; \
	  wait $$types && exit $$tests

test: setup ## The tests alone [TESTS=tests/lambdas]
	@.venv/bin/python -m pytest $(TESTS)

fix: setup ## Let the formatter and the linter repair what they can
	@.venv/bin/ruff check --fix --exit-zero .
	@.venv/bin/ruff format .

synth: setup ## The CloudFormation template, in cdk.out/ [ARGS='-c key=value']
	@node_modules/.bin/cdk synth --quiet --no-notices $(ARGS)

histories: setup ## 10,000 generated histories against the handlers [HISTORIES=number]
	@.venv/bin/python -m tests.histories --histories $(or $(HISTORIES),10000)

histories-planted: setup ## Bugs planted one by one, and which promise catches each
	@.venv/bin/python -m tests.histories.planted

# MODULES='streams events'   some of them; HISTORIES=0   the tests alone
mutants: setup ## The deciding modules changed in small places, and whether a test notices [MODULES= HISTORIES=number]
	@nice -n 10 .venv/bin/python -m tools.mutants --modules "$(MODULES)" $(if $(HISTORIES),--histories $(HISTORIES))

bench: bench-start bench-collect bench-burst bench-drain bench-cost bench-engines bench-report ## All benches; each writes bench/results/<bench>.json

bench-start: setup ## Cold-start imports, beside bare boto3 clients
	@.venv/bin/python -m bench.start

bench-collect: setup ## Six hours of results, beside the plain loop
	@.venv/bin/python -m bench.collect

bench-burst: setup ## 200 jobs that ended at once: how soon they are collected, beside pages ÷ rate
	@.venv/bin/python -m bench.burst

bench-drain: setup ## Videos at once on 20, 200 and 1,000 slots, four shares, an urgent clip, in virtual time
	@.venv/bin/python -m bench.drain

bench-cost: setup ## Dollars per 1,000 jobs and per idle month, from the two runs above
	@.venv/bin/python -m bench.cost

bench-engines: setup ## The local engines, as multiples of real time and beside decoding alone
	@.venv/bin/python -m bench.engines

bench-report: setup ## A report of 100,000 detections in real Chromium: how soon, how smooth
	@.venv/bin/python -m bench.pages

# PROFILE=name REGION=us-east-1   the account; YES=1 does not ask; ONLY='tokens burst' some scenarios; LIST=1 names them
# REMOVE=aws-smoke/made.json      what a killed run has left
aws-smoke: setup ## AWS beside the local cloud: deploys a second stack, costs some cents, asks first [PROFILE= REGION=]
	@.venv/bin/python -m tools.aws_smoke $(if $(PROFILE),--profile $(PROFILE)) $(if $(REGION),--region $(REGION)) \
	  $(if $(YES),--yes) $(if $(ONLY),--only $(ONLY)) $(if $(LIST),--list) $(if $(REMOVE),--remove $(REMOVE))

screenshots: setup ## The README's pictures of the pages, anew [docs/pictures]
	@.venv/bin/python -m tools.screenshots
