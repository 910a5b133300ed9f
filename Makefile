# Every task of the project; `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup build compile generate check format test test-long conformance bench bench-save demo demo-clean demo-kube setup-kube test-kube cluster cluster-down image image-root clean

# Tests compile changed copies of the program: they set BPF_DIRECTORY and BPF_OBJECT.
BPF_DIRECTORY := datapath/kernel/bpf
BPF_SOURCES := $(wildcard $(BPF_DIRECTORY)/*.c $(BPF_DIRECTORY)/*.h)
BPF_SOURCE = $(BPF_DIRECTORY)/sfc.bpf.c
BPF_OBJECT := dist/datapath/kernel/sfc.bpf.o
FLOOR_OBJECT := dist/bench/floor.bpf.o
# The CNI plugin in one file, which starts sooner than several.
CNI_BUNDLE := dist/cni/sfc-cni.cjs
BPF_CFLAGS = -O2 -g -Wall -Werror -target bpf -mcpu=v3 $(if $(MULTIARCH),-I/usr/include/$(MULTIARCH))
CLANG ?= clang
MULTIARCH := $(shell $(CC) -print-multiarch 2>/dev/null)
STAMP := node_modules/.installed
# Where Node.js brings its headers along, the packages that compile themselves need no download for them.
NODE_PREFIX := $(shell node -p "path.resolve(process.execPath, '../..')" 2>/dev/null)
NODE_HEADERS := $(if $(wildcard $(NODE_PREFIX)/include/node/node.h),npm_config_nodedir=$(NODE_PREFIX))

help: ## list the tasks
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## install what the other tasks need (npm packages; clang, libbpf, tcpdump, tshark, … from Debian)
	@tools/setup.sh

# Debian's packages first: two npm packages compile themselves and need python3 and a C++ compiler for it.
$(STAMP): package.json package-lock.json
	@tools/setup.sh
	$(NODE_HEADERS) npm ci --no-audit --no-fund
	@touch $@

build: setup ## compile the TypeScript and the BPF program to dist/
	@$(MAKE) -s $(FLOOR_OBJECT) compile

# What the programs are made of; what it needs is there.
compile: $(BPF_OBJECT)
	@npx tsc -p tsconfig.build.json
	@npx rolldown dist/cni/main.js --format cjs --platform node --log-level warn --file $(CNI_BUNDLE) >/dev/null

$(BPF_OBJECT): $(BPF_SOURCES)
	@mkdir -p $(@D)
	@echo "compiling $(BPF_SOURCE)"; $(CLANG) $(BPF_CFLAGS) -c $(BPF_SOURCE) -o $@

$(FLOOR_OBJECT): bench/floor.bpf.c
	@mkdir -p $(@D)
	@echo "compiling $<"; $(CLANG) $(BPF_CFLAGS) -c $< -o $@

# Not after `build`: the BPF program may need the headers that this writes.
generate: setup ## write the generated files anew (C headers, reference tables)
	@npx tsc -p tsconfig.build.json
	@node dist/tools/generate-layouts.js

check: build ## formatting, lint, types, import rules, links of the documents, generated files
	@npx tsc -p tsconfig.json
	@npx biome check --error-on-warnings .
	@node dist/tools/check-imports.js
	@node dist/tools/check-docs.js
	@node dist/tools/generate-layouts.js --check

format: $(STAMP) ## put the sources into the project's format
	@npx biome check --write .

test: check ## every check and every test but the long ones (as root: with real kernel programs and network namespaces)
	@npx vitest run

test-long: build ## the tests that wait for time-outs, kills and restarts, some 10 minutes (as root)
	@SFC_LONG=1 npx vitest run

setup-kube: setup ## install what the cluster needs (etcd, containerd, runc, CNI plugins, buildah, … from Debian; Go is yours to install)
	@tools/setup-kube.sh

test-kube: build setup-kube ## the tests on a real Kubernetes on this machine (as root); the first run builds its programs
	@node dist/test/kube/main.js build
	@SFC_KUBE=1 npx vitest run

cluster: build setup-kube ## a Kubernetes on this machine, which stays (as root); NODES=3, CNI=bridge, ptp or flannel, FAMILY=4, 6 or dual, MASQUERADE=1
	@node dist/test/kube/main.js build
	@node dist/test/kube/main.js up

cluster-down: build ## take the cluster away, also one whose start was killed
	@node dist/test/kube/main.js down

conformance: build ## both datapaths on N packets (default 1000000) drawn at random, SEED to see one again (as root)
	@node dist/test/conformance/main.js '$(or $(N),1000000)' '$(SEED)'

bench: build ## ns a packet and a look-up, steered against plain throughput, the agent's memory (as root; BENCH='matcher pipeline' without)
	@node dist/bench/main.js $(BENCH)

bench-save: build ## the same, kept in docs/reference/benchmarks.md
	@node dist/bench/main.js --save docs/reference/benchmarks.md

demo: build ## real packets between namespaces; DEMO=walkthrough, chain, reply or twice, DATAPATH=kernel or userspace, FAMILY=4, 6 or dual, KEEP=1 leaves it running
	@node dist/demo/main.js

demo-kube: build setup-kube ## from nothing to a Kubernetes on this machine with the walkthrough steered in it (as root); INSTALLER=kustomize or helm, CNI=bridge, ptp or flannel, KEEP=1
	@node dist/test/kube/main.js build
	@node dist/demo/kube/main.js

demo-clean: build ## remove what a kept or killed demo left
	@node dist/demo/main.js --clean

# What an image has of ours, as it lies there. Only what the programs need: no tests, no testbed, no tools of development.
IMAGE_FOLDERS := agent api capture cli cni controller datapath errors geneve kubernetes maps policy replay settings
ROOT ?= dist/image
BASE ?= docker.io/library/node:20-bookworm-slim
IMAGE ?= sfc:$(shell node -p "require('./package.json').version" 2>/dev/null)

image-root:
	@rm -rf '$(ROOT)' && mkdir -p '$(ROOT)/opt/sfc/dist' '$(ROOT)/usr/local/bin'
	@cp -a package.json bin '$(ROOT)/opt/sfc'
	@for folder in $(IMAGE_FOLDERS); do [ ! -d dist/$$folder ] || cp -a dist/$$folder '$(ROOT)/opt/sfc/dist'; done
	@find '$(ROOT)/opt/sfc/dist' \( -name '*.map' -o -name 'cast.js' -o -name '*.records.js' -o -name 'fake-*.js' \) -delete
	@npm ls --omit=dev --all --parseable 2>/dev/null | sed -n 's#^$(CURDIR)/##p' | xargs cp -a --parents -t '$(ROOT)/opt/sfc'
	@find '$(ROOT)/opt/sfc/node_modules' -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' -o -name '*.md' \) -delete
	@for program in bin/*; do ln -s "/opt/sfc/$$program" '$(ROOT)/usr/local/bin'; done
	@cp tools/tcpdump-as-root.sh '$(ROOT)/usr/local/bin/tcpdump'

image: build ## the container image, by buildah; IMAGE=sfc:VERSION, BASE=an image with Debian 12 and Node.js 20 or later
	@$(MAKE) -s image-root
	buildah bud --build-arg ARTIFACTS=prebuilt --build-arg BASE='$(BASE)' -t '$(IMAGE)' .

clean: ## remove what was built
	rm -rf dist
