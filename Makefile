# Pith: `make demo` shows what it is, `make test` proves that it works.
SWIFT ?= swift
BUILD = $(SWIFT) build -c release
PITH = .build/release/pith
# make never runs two of these at once: they share one build folder.
.NOTPARALLEL:
.PHONY: deps build demo test lint tables portability nano healed-model bench bench-peer clients fuzz fuzz-random clean

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
	$(SWIFT) format lint --strict --recursive --parallel Package.swift Sources Tests Models \
	    Benchmarks/Package.swift Benchmarks/Sources Fuzzing

## Makes the tables of methods in README and Docs anew.
tables: build
	$(PITH) methods --update README.md --update Docs/Methods.md --update Docs/Compression.md --update Docs/Training.md \
	    --update Docs/Conversion.md

## Compares what the kernels of this machine and those of arm64, under an emulator, compute.
portability:
	sh Scripts/check-portability.sh

## Trains the built-in model again, from the fetching of its text on.
nano: build
	sh Models/recipe/train.sh

# For example make healed-model HEAL="model.gguf test.txt train.txt"
HEALED ?= $(HOME)/.cache/pith/healed
## Trains a model on until its weights leave the grid that they were rounded to: HEAL names the model, a text to measure
## on and texts to learn from; HEALED is the folder to write.
healed-model: build
	@set -- $(HEAL) && model=$$1 && shift && sh Scripts/heal-model.sh "$$model" $(HEALED) "$$@"

BENCH_BUILD = $(BUILD) --package-path Benchmarks
BENCH = Benchmarks/.build/release/pith-bench
# For example BENCH_OPTIONS="--shape 135m --threads 4".
BENCH_OPTIONS ?=
PEERS ?=

## Measures speed against what this machine can do: some twenty minutes on an idle machine, 25 GB for models.
bench: deps
	@mkdir -p out
	$(BENCH_BUILD)
	$(BENCH) opening --json out/opening.json --markdown out/opening.md $(BENCH_OPTIONS)
	$(BENCH) sequences --json out/sequences.json --markdown out/sequences.md $(BENCH_OPTIONS)
	$(BENCH) layouts --json out/layouts.json --markdown out/layouts.md $(BENCH_OPTIONS) $(PEERS)

## The same beside llama.cpp, which it builds first; ends with the ratios.
bench-peer:
	peer=$$(sh Benchmarks/peer/build.sh) && $(MAKE) bench PEERS="--peer $$peer $(PEERS)"

# For example CLIENT_OPTIONS="--only llama.cpp --tokens 64".
MODEL ?= nano
CLIENT_OPTIONS ?=
## Has llama.cpp, transformers, compressed-tensors, MLX and others open what Pith writes of MODEL; installs them first.
clients: build
	sh Benchmarks/peer/clients.sh $(PITH) $(MODEL) $(CLIENT_OPTIONS)

FUZZ_BUILD = $(BUILD) --product pith-fuzz
FUZZ_ENGINE = $(shell sh Scripts/fuzzing-engine.sh)
# For example SECONDS=600 READERS="gguf tokenizer".
SECONDS ?= 3600
READERS ?=

## Searches for damaged files that readers do not bear; findings are in out/fuzz/findings. Goes on where it stopped.
fuzz: deps
	$(FUZZ_BUILD) --scratch-path .build/searching $(FUZZ_ENGINE)
	sh Scripts/fuzz.sh .build/searching/release/pith-fuzz $(SECONDS) out/fuzz $(READERS)

COUNT ?= 1000000
## Reads COUNT files that are damaged at random, the same ones each time; needs no engine.
fuzz-random: deps
	$(FUZZ_BUILD)
	sh Scripts/fuzz-random.sh .build/release/pith-fuzz $(COUNT) $(READERS)

clean:
	rm -rf .build Benchmarks/.build out
