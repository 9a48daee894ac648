# Every target in one line; `make help` prints them. Caches lie outside the repository.
SHELL := /bin/bash
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/resnet-operator
VENV = $(CACHE)/venv
PY = PYTHONPATH=operator:. $(VENV)/bin/python
.DEFAULT_GOAL := help
# Thousands of short Pythons run in the tests: compiling each module again costs more than they do.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help demo demo-down test installs chaos chaos-nodes soak unit test-tools test-kubernetes docs check generate verify images devkit-images release release-digests bench cli cluster cluster-down lock clean venv

help: ## print this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1 \t\2/' | expand -t 22

demo: venv ## from a plain machine to a prediction: cluster, images, helm install, kubectl apply
	@$(PY) -m devkit.demo

demo-down: ## end the demo's cluster and remove all of it
	@python3 devkit/cluster/cluster.py down --name demo

test: test-tools ## all tests but the measuring ones; installs what they need
	@ORT_DISABLE_TELEMETRY=1 RESNET_TEST_STRICT=1 $(PY) -m tests.run

unit: venv ## the quick tests alone, of unit and golden; what is not installed is skipped
	@ORT_DISABLE_TELEMETRY=1 $(PY) -m tests.run quick

installs: test-tools ## install on clusters of their own: a registry with a login, an upgrade and back
	@ORT_DISABLE_TELEMETRY=1 RESNET_TEST_STRICT=1 $(PY) -m tests.run installs

test-tools: venv
	@devkit/cluster/install.sh
	@devkit/images/install.sh
	@devkit/servers/install.sh
	@devkit/torch.sh
	@devkit/originals.sh $(CACHE)/originals-venv
	@devkit/servers/build.sh >/dev/null
	@python3 devkit/ecosystem/build.py >/dev/null

# Another Kubernetes costs its build (minutes, once), the suites that need no node, and the stories of
# the main job on a node. What passed is written to docs/support.json.
test-kubernetes: export KT_KUBERNETES = $(VERSION)
test-kubernetes: test-tools ## chart, cluster, component and the main stories on another Kubernetes: VERSION=v1.33.13
	@[[ "$(VERSION)" =~ ^v1\.[0-9]+\.[0-9]+$$ ]] || { echo "say which: make test-kubernetes VERSION=v1.33.13"; exit 2; }
	@RECORD_SUPPORT=1 $(PY) -m tests.run cluster stories
	@$(PY) -m devkit.support

# The faults of docs/chaos.md. Each step is printed as it is made.
CHAOS = chaos conversion faults leader restart rollouts sight truth two_installations
chaos: venv ## break everything that needs no node, and walk at random: CHAOS_SEEDS=100 CHAOS_STEPS=60
	@devkit/cluster/install.sh
	@$(PY) -m pytest -s -v --no-header --show-capture=no $(patsubst %,tests/component/test_%.py,$(CHAOS))

chaos-nodes: test-tools ## break what needs a whole cluster: killed processes, ill chips, a hostile pod
	@$(PY) -m pytest -s -v --no-header tests/triton/test_endings.py tests/e2e/test_interruptions.py tests/e2e/test_causes_of_node.py tests/e2e/test_repair.py tests/e2e/test_attacks.py tests/e2e/test_causes.py::test_chips_that_fall_ill

soak: venv ## an hour of changes, and whether memory and files of the operator grow: MINUTES=60
	@devkit/cluster/install.sh
	@$(PY) -m tests.perf.soak --minutes $(or $(MINUTES),60)

docs: ## write the documentation site to build/site
	@devkit/venv.sh $(CACHE)/docs-venv requirements/docs.lock
	@said=$$(NO_COLOR=1 $(CACHE)/docs-venv/bin/mkdocs build --strict 2>&1) || { grep -v ^INFO <<<"$$said"; exit 1; }

check: venv docs ## format, lint, types, layers, generated files
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	cd operator && PYTHONPATH=. $(VENV)/bin/lint-imports --config ../pyproject.toml --no-cache
	$(PY) -m devkit.crdgen --check
	$(PY) -m monitoring --check
	$(PY) -m devkit.support --check

generate: venv ## write the CRD, the chart's copy and the references in docs/
	$(PY) -m devkit.crdgen
	$(PY) -m monitoring
	$(PY) -m devkit.support

verify: venv ## say whether the generated files are up to date
	$(PY) -m devkit.crdgen --check
	$(PY) -m monitoring --check
	$(PY) -m devkit.support --check

images: ## build the production images and push them: REGISTRY=... VERSION=... (docs/images.md)
	@python3 -m devkit.images.production

release: venv ## write dist/ from the commit: VERSION=x.y.z [REGISTRY=...] [WITH="IMAGES"] [DIGESTS=FILE]
	@devkit/venv.sh $(CACHE)/docs-venv requirements/docs.lock
	@$(PY) -m devkit.release --version "$(VERSION)" --registry "$(REGISTRY)" --with "$(WITH)" --digests "$(DIGESTS)" \
	  --mkdocs $(CACHE)/docs-venv/bin/mkdocs

release-digests: venv ## print the digests that the chart's images of others have now, for DIGESTS=FILE
	@$(PY) -m devkit.release.digests

devkit-images: ## build the images of the demo and the tests, with simulators, and print where they lie
	@devkit/images/build.sh

bench: venv ## measure the control plane and the data plane, against floors within one run
	@$(PY) -m tests.perf.bench_control_plane
	@$(PY) -m tests.perf.triton_ratio

cli: venv ## write build/kubectl-resnet, the kubectl plugin as one file
	@$(PY) -m devkit.cli

cluster: ## boot the embedded cluster alone and print its kubeconfig
	@python3 devkit/cluster/cluster.py up --name demo

cluster-down: demo-down ## end the embedded cluster and remove all of it

lock: ## write requirements/*.lock from pyproject.toml
	@devkit/venv.sh $(CACHE)/lock-venv requirements/tools.lock
	@$(CACHE)/lock-venv/bin/python requirements/lock.py

clean: ## remove what tests and tools leave in the tree
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

venv:
	@devkit/venv.sh $(VENV)
