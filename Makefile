# Pith: `make demo` shows what it is, `make test` proves that it works.
SWIFT ?= swift
BUILD = $(SWIFT) build -c release
PITH = .build/release/pith
# make never runs two of these at once: they share one build folder.
.NOTPARALLEL:
.PHONY: deps build demo test lint portability nano clean

## Installs what is missing: the compiler itself must be there.
deps:
	@sh Scripts/install-dependencies.sh

build: deps
	$(BUILD) --product pith

## Compresses the built-in model eight ways; writes out/report.html.
demo: build
	@mkdir -p out
	$(PITH) compare nano \
	    rtn:bits=4 gptq:bits=4 gptq:bits=3 gptq:bits=2 gptq:bits=2+eora:rank=8 \
	    sparsegpt:sparsity=0.5 sparsegpt:pattern=2:4+gptq:bits=4 svd:ratio=0.6 \
	    --report out/report.html --picture out/report.svg
	@echo "The picture is in out/report.html."

## Style first, since it is quick; then all tests.
test: deps lint
	$(SWIFT) test -c release

lint:
	$(SWIFT) format lint --strict --recursive --parallel Package.swift Sources Tests Models

## Compares what the kernels of this machine and those of arm64, under an emulator, compute.
portability:
	sh Scripts/check-portability.sh

## Trains the built-in model again, from the fetching of its text on.
nano: build
	sh Models/recipe/train.sh

clean:
	rm -rf .build out
