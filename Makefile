# The commands of this project. Everything they need is installed into .venv and .cache, or by apt for the lab.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
COLLECTION := .cache/collections/ansible_collections/boring/lamp
INVENTORY ?= inventories/demo
APT_INSTALL := apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q install --yes --no-install-recommends

export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/.cache/collections
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
# A copy of the collection in the home directory would win over the tree in ansible-lint.
export ANSIBLE_HOME := $(CURDIR)/.cache/ansible
export PYTHONDONTWRITEBYTECODE := 1
# Molecule's commands are logs here, read in files and on paper.
export MOLECULE_COMMAND_BORDERS := 0

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 18

$(READY): requirements-dev.txt
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { $(APT_INSTALL) python3-venv; }
	@# The planner's tests compare it with what rsync itself makes of a tree.
	@command -v rsync >/dev/null || \
	  { $(APT_INSTALL) rsync; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	@mkdir -p $(dir $(COLLECTION)) && ln -sfn $(CURDIR) $(COLLECTION)
	@touch $@

.PHONY: setup
setup: $(READY) ## Install the development tools into .venv

.PHONY: demo
demo: $(READY) ## Build the demo: eight hosts, a WordPress shop, https://localhost:8443
	ansible-playbook -i $(INVENTORY) molecule/shared/create.yml
	ansible-playbook -i $(INVENTORY) playbooks/site.yml
	ansible-playbook -i $(INVENTORY) molecule/shared/demo/wordpress.yml
	ansible-playbook -i $(INVENTORY) playbooks/status.yml

.PHONY: demo-down
demo-down: $(READY) ## Remove the demo's hosts, network and secrets
	ansible-playbook -i $(INVENTORY) molecule/shared/destroy.yml
	rm -rf $(INVENTORY)/.secrets

.PHONY: test
test: $(READY) ## Run everything: lint, unit, consistency, all Molecule scenarios (SCENARIO=name: only that one)
	@$(VENV)/bin/python tests/run.py $(if $(SCENARIO),--scenario $(SCENARIO))

.PHONY: test-quick
test-quick: $(READY) ## Lint, unit and consistency tests only
	@$(VENV)/bin/python tests/run.py --quick

.PHONY: scenario
scenario: $(READY) ## One step of one scenario: SCENARIO=name STEP=test|create|converge|verify|…
	molecule $(or $(STEP),test) --scenario-name $(SCENARIO)

.PHONY: bench
bench: $(READY) ## Run a measurement: BENCH=name, with its JSON in BENCH_JSON=file
	@$(VENV)/bin/python bench/run.py $(BENCH)

.PHONY: docs
docs: $(READY) ## Generate the reference and the roles' READMEs from their specs
	$(VENV)/bin/python docs/generate.py

.PHONY: build
build: $(READY) ## Build the collection's tarball into .cache/build
	ansible-galaxy collection build --force --output-path .cache/build
