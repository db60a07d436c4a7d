# Usage: make help.  What needs more than a line is in t/tools/.

SHELL = /bin/sh

# A tree of nginx's sources instead of the installed nginx.
NGINX_SRC =

# Where `make install` puts the module and the example configuration; empty:
# where the installed nginx looks for them.
DESTDIR =
MODULES_DIR =
DOC_DIR = /usr/share/doc/ngx_chat_module

# What `make test` runs: parts, or files such as t/messages.t.
TESTS = check builds unit fuzz tsan perl e2e storms

# How long `make soak` takes.
MINUTES = 30

export NGINX_SRC

.PHONY: all build run test test-faults soak test-valgrind check unit fuzz
.PHONY: tsan lint asan bench bench-cluster install deb test-deb matrix
.PHONY: test-container clean help

all: build

build:
	@t/tools/need.sh check build
	@t/tools/build.sh

run:
	@t/tools/need.sh install run
	@t/tools/build.sh
	@t/tools/npm.sh --omit=dev
	@t/tools/run.sh

test:
	@t/tools/need.sh install test
	@t/tools/build.sh
	@t/tools/build.sh failpoints
	@t/tools/test_nginx.sh
	@t/tools/promtool.sh
	@t/tools/npm.sh
	@t/tools/test.pl $(TESTS)

test-faults:
	@CHAT_WHOLE=1 $(MAKE) --no-print-directory test \
		TESTS="storms t/presence_large.t t/hostile_tokens.t \
		t/events_replay.t t/events_hostile.t t/e2e/events.test.mjs \
		t/e2e/answer.test.mjs t/e2e/browser.test.mjs \
		t/e2e/recovery.test.mjs"

soak:
	@t/tools/need.sh install test
	@t/tools/build.sh
	@t/tools/npm.sh
	@node t/faults/soak.mjs $(MINUTES)

test-valgrind: TESTS = perl
test-valgrind:
	@t/tools/need.sh install valgrind
	@t/tools/build.sh
	@t/tools/build.sh failpoints
	@t/tools/test_nginx.sh
	@t/tools/promtool.sh
	@CHAT_VALGRIND=1 t/tools/test.pl $(TESTS) faults

check: build
	@t/tools/check.pl

unit:
	@t/tools/need.sh check build
	@t/tools/build.sh configure
	@t/tools/test.pl unit

fuzz: export FUZZ_SECONDS ?= 60
fuzz:
	@t/tools/need.sh check fuzz
	@t/tools/build.sh configure
	@t/tools/test.pl fuzz

tsan:
	@t/tools/need.sh check fuzz
	@t/tools/build.sh configure
	@t/tools/test.pl tsan

lint:
	@t/tools/need.sh check lint
	@t/tools/build.sh configure
	@t/tools/test.pl lint

asan: TESTS = perl
asan:
	@t/tools/need.sh install asan
	@t/tools/build.sh
	@t/tools/build.sh asan
	@t/tools/build.sh failpoints
	@t/tools/test_nginx.sh
	@t/tools/promtool.sh
	@CHAT_ASAN=1 t/tools/test.pl $(TESTS) faults

bench:
	@t/tools/need.sh install bench
	@t/tools/build.sh
	@t/bench/bench.pl

bench-cluster:
	@t/tools/need.sh install test
	@t/tools/build.sh
	@t/bench/cluster.pl

install: build
	@t/tools/install.sh "$(DESTDIR)" "$(MODULES_DIR)" "$(DOC_DIR)"

deb:
	@t/tools/need.sh install deb
	@t/tools/deb.sh

test-deb:
	@t/tools/need.sh install roots
	@t/tools/test_deb.sh

matrix:
	@t/tools/need.sh install roots
	@t/tools/matrix.sh

test-container:
	@t/tools/need.sh install roots
	@t/tools/test_container.sh

clean:
	rm -rf build

help:
	@echo "make                build/ngx_chat_module.so for the installed nginx"
	@echo "make NGINX_SRC=DIR  the same for a tree of nginx's sources"
	@echo "make run            the demo on http://127.0.0.1:8080, Ctrl-C ends it"
	@echo "make test           all tests; TESTS='unit t/x.t' chooses some"
	@echo "make test-valgrind  t/*.t with nginx under valgrind"
	@echo "make test-faults    kills, reloads, stalls in full; on an idle machine"
	@echo "make soak           load for MINUTES=30: memory stays"
	@echo "make check          style, sizes, layers, symbols"
	@echo "make unit           unit tests, under ASan and UBSan"
	@echo "make fuzz           the fuzzers, each for FUZZ_SECONDS=60"
	@echo "make tsan           threads of bus, store and webhooks, ThreadSanitizer"
	@echo "make lint           clang-tidy and cppcheck; not in make test"
	@echo "make asan           t/*.t with the module under ASan and UBSan"
	@echo "make bench          the module beside nchan and bare loops, in numbers"
	@echo "make bench-cluster  two nodes: latency, what Redis does for an event"
	@echo "make install        module and example where nginx looks for them"
	@echo "make deb            a Debian package for the installed nginx"
	@echo "make test-deb       the same in clean Debians: install, upgrade, ..."
	@echo "make matrix         t/*.t with several nginx and compilers; an hour"
	@echo "make test-container the steps of conf/Containerfile, without an engine"
	@echo "make clean          removes build/"
	@echo
	@echo "What runs or tests something installs the Debian packages it needs,"
	@echo "as root or by sudo; make, install, check, unit, fuzz, tsan and lint"
	@echo "only say what is missing."
