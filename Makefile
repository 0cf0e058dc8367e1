# The verbs of this project; `make help` lists them. Everything lives in .venv, nothing is installed elsewhere.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check
ARGS   ?=
CONFIG ?= models/configs/nano-neu.toml
OUT    ?= runs/$(basename $(notdir $(CONFIG)))

# Tests and checks need PyTorch, and its CPU build is enough. "+cpu" never takes a build with CUDA (gigabytes).
# That build is not on the general package index: give TORCH_INDEX the address of PyTorch's CPU wheels.
ifeq ($(shell uname -s),Linux)
TORCH ?= torch==2.13.0+cpu
else
TORCH ?= torch==2.13.0
endif
TORCH_INDEX ?=

# What protoc makes of proto/, into the folder $(1). Other programs bring the names of the Open Inference Protocol too, so what is
# made of that one does not go into the process's own pool of descriptors.
OPEN_INFERENCE := flawline/rpc/open_inference/grpc_service
generate = $(BIN)/python -m grpc_tools.protoc -Iproto --python_out=$(1) --pyi_out=$(1) --grpc_python_out=$(1) \
	  flawline/rpc/v1/inspection.proto $(OPEN_INFERENCE).proto && \
	  sed -i.made 's/_descriptor_pool\.Default()/_descriptor_pool.DescriptorPool()/' $(1)/$(OPEN_INFERENCE)_pb2.py && \
	  rm $(1)/$(OPEN_INFERENCE)_pb2.py.made

.DEFAULT_GOAL := help
.PHONY: run test check train bench proto images-test clean help python

run: $(VENV)/serving ## serve on loopback and inspect a sample frame; ARGS=--once ends after the answer
	@$(BIN)/flawline demo $(ARGS)

# Side by side, a file on one of them: what a file's tests share, as a server, is set up once. Each has a PyTorch of its own.
TESTERS ?= auto --maxprocesses=4

test: $(VENV)/testing $(VENV)/tritonclient/ready ## run every test; ARGS="-k queue" picks some, TESTERS=0 runs one after another
	@$(BIN)/python -m pytest -n $(TESTERS) --dist loadfile $(ARGS)

check: $(VENV)/testing ## lint, format, types, import rules, generated code
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@out=$$(mktemp -d) && $(call generate,$$out) && \
	  for f in $$(cd $$out && find . -name '*.py*'); do cmp "$$out/$$f" "service/$$f" || { \
	  echo "service/$$f differs from what proto/ says: run 'make proto' and commit" >&2; exit 1; }; done; \
	  status=$$?; rm -rf "$$out"; exit $$status

train: $(VENV)/training ## train CONFIG=models/configs/nano-neu.toml into OUT=runs/...; ARGS=--resume goes on
	@$(BIN)/mobilemamba train $(CONFIG) --out $(OUT) $(ARGS)

# Some hours; ARGS=--quick takes some minutes. docs/performance.md says what is measured, and how to read it.
bench: $(VENV)/benching ## measure Flawline beside a bare loop and other servers; ARGS="--help" tells what can be chosen
	@PYTHONPATH=benchmarks:service:models $(BIN)/python -m serving $(ARGS)

proto: $(VENV)/testing ## make the gRPC code anew from proto/
	@$(call generate,service)

# Some minutes, some gigabytes under /var/tmp; as root where no Docker engine runs. Each is a script that can be run by itself.
images-test: $(VENV)/testing ## build the images, run them, compose and the manifests for real
	@set -e; for proof in lint serving sbom compose kube upgrade edge arm64 cuda train; do docker/prove/$$proof; done; k8s/prove; docker/prove/off

clean: ## remove the environment and everything that was built
	rm -rf $(VENV) .cache build dist inspected
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

python:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "$(PYTHON) is missing. On Debian: apt-get install python3 python3-venv" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	  echo "Python 3.10 or newer is needed; $(PYTHON) is $$($(PYTHON) -V). Try: make PYTHON=python3.11 ..." >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "python3-venv is missing. On Debian: apt-get install python3-venv" >&2; exit 2; }

# Each stamp is newer than pyproject.toml when the environment holds what it asks for.
$(VENV)/serving: pyproject.toml | python
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing Flawline into $(VENV) (about a minute the first time) ..."
	@$(PIP) --editable .
	@touch $@

$(VENV)/torch: | python
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing $(TORCH) ..."
	@$(PIP) '$(TORCH)' $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) || { \
	  echo "No CPU build of PyTorch was found. Give the address of PyTorch's CPU wheels: make TORCH_INDEX=https://... ," >&2; \
	  echo "or install a PyTorch 2.13 of your choice into $(VENV) and run: touch $@" >&2; exit 2; }
	@touch $@

$(VENV)/training: pyproject.toml $(VENV)/torch
	@$(PIP) --editable '.[train]'
	@touch $@ $(VENV)/serving

$(VENV)/benching: benchmarks/serving/requirements.txt $(VENV)/serving
	@$(PIP) -r $<
	@touch $@

# Triton's client, for tests, in an environment of its own: it wants an older protobuf than we do.
$(VENV)/tritonclient/ready: | python
	@echo "Installing Triton's client beside ..."
	@$(PYTHON) -m venv $(VENV)/tritonclient
	@$(VENV)/tritonclient/bin/python -m pip install --quiet --disable-pip-version-check 'tritonclient[grpc,http]==2.73.0'
	@touch $@

$(VENV)/testing: pyproject.toml $(VENV)/torch
	@echo "Installing what tests and checks need ..."
	@$(PIP) --editable '.[train,otel,dev]'
	@touch $@ $(VENV)/serving
