# SPDX-License-Identifier: Apache-2.0
# Tests; included by the top Makefile.
#
#   make check     everything
#   make checks    what must hold of the tree and of what was built
#   make unit      tests/unit/test_*.c against the tool's objects, tests/unit/shim/test_*.c against the shim's
#   make fuzz      tests/fuzz/fuzz_*.c, FUZZ_SECONDS each
#   make bench     what tlstall costs, see tests/bench/bench.mk
#   make confusion what the diagnosis says of each reproduction, into doc/DIAGNOSIS.md
#   make e2e       real programs against real servers; PYTEST_ARGS are passed on
#   make check KINDS=matrix   only some of: checks unit fuzz e2e, and matrix
#   make check-matrix   the end-to-end tests in roots of five Debian suites: OpenSSL 1.1.1 to 4.0

.PHONY: check checks unit fuzz e2e check-matrix test-binaries programs

KINDS        ?= checks unit fuzz e2e
FUZZ_SECONDS ?= 5
PYTEST_ARGS  ?=
export FUZZ_SECONDS PYTEST_ARGS

UNIT_TESTS      := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/test_*.c))
SHIM_UNIT_TESTS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/shim/test_*.c))
UNIT_FIXTURES   := $(filter-out tests/unit/test_%,$(wildcard tests/unit/*.c))
FUZZERS         := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/fuzz/fuzz_*.c))
PROGRAMS        := $(patsubst %.c,$(BUILD)/%,$(filter-out tests/programs/common.c,$(wildcard tests/programs/*.c)))
STALLS          := $(patsubst %.c,$(BUILD)/%,$(filter-out tests/stalls/stall.c,$(wildcard tests/stalls/*.c)))

# Each is one command from a fresh clone. The second make runs when the
# packages are there: what pkg-config says is computed once.
deps:
	@tests/deps.sh build demo test

demo:
	@tests/deps.sh build demo
	@$(MAKE) --no-print-directory all
	@tests/demo.sh

check:
	@tests/deps.sh build demo test
	@$(MAKE) --no-print-directory WERROR=1 all test-binaries
	@tests/run-all $(KINDS)

checks unit fuzz e2e: all test-binaries
	@tests/run-all $@

check-matrix:
	@tests/deps.sh build demo test
	@tests/matrix/run $(SUITES)

programs: $(PROGRAMS)
test-binaries: $(UNIT_TESTS) $(SHIM_UNIT_TESTS) $(FUZZERS) $(PROGRAMS) $(STALLS) $(BUILD)/tests/bench/counted

TEST_HEADERS := $(wildcard include/tlstall/*.h tools/*.h tools/*/*.h tools/*/*.def shim/*.h shim/*.def tests/*/*.h)
TEST_CFLAGS   = $(filter-out -MMD -MP,$(ALL_CFLAGS)) -Itools -Itests -fPIE $(shell pkg-config --cflags $(TOOL_PACKAGES))

# All of the tool but its main(): a test links what it needs of it.
$(BUILD)/tests/libtools.a: $(filter-out $(BUILD)/tools/main.c.o,$(TOOL_OBJECTS))
$(BUILD)/tests/libshim.a: $(filter %.c.o,$(SHIM_OBJECTS))
# What several of the unit tests build upon.
$(BUILD)/tests/libfixtures.a: $(UNIT_FIXTURES:%.c=$(BUILD)/%.o)
$(BUILD)/tests/%.a:
	@mkdir -p $(@D)
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/tests/unit/%.o: tests/unit/%.c $(TEST_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(TEST_CFLAGS) -c $< -o $@

$(UNIT_TESTS): $(BUILD)/%: %.c $(BUILD)/tests/libfixtures.a $(BUILD)/tests/libtools.a $(TEST_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(TEST_CFLAGS) -pie $< $(filter %.a,$^) $(TOOL_LIBS) -lcmocka -o $@

$(SHIM_UNIT_TESTS): $(BUILD)/%: %.c $(BUILD)/tests/libshim.a $(TEST_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(filter-out -MMD -MP,$(ALL_CFLAGS)) -iquote shim $< $(BUILD)/tests/libshim.a -lcmocka -o $@

# gcc has no libFuzzer: driver.c mutates the seeds itself. The sources of what
# is fuzzed are compiled again, with the sanitizers.
FUZZ_SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
FUZZ_SOURCES  := tests/fuzz/driver.c $(wildcard tools/trace/*.c tools/check/*.c)
$(FUZZERS): $(BUILD)/%: %.c $(FUZZ_SOURCES) $(TEST_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(TEST_CFLAGS) -O1 -U_FORTIFY_SOURCE $(FUZZ_SANITIZE) $< $(FUZZ_SOURCES) $(TOOL_LIBS) -o $@

$(PROGRAMS): $(BUILD)/%: %.c tests/programs/common.c tests/programs/common.h
	@mkdir -p $(@D)
	$(CC) $(filter-out -MMD -MP,$(ALL_CFLAGS)) $< tests/programs/common.c -lssl -lcrypto -lpthread -o $@

$(STALLS): $(BUILD)/%: %.c tests/stalls/stall.c tests/stalls/stall.h tests/programs/common.c tests/programs/common.h
	@mkdir -p $(@D)
	$(CC) $(filter-out -MMD -MP,$(ALL_CFLAGS)) $< tests/stalls/stall.c tests/programs/common.c -lssl -lcrypto -lpthread -o $@

include tests/bench/bench.mk

# The table in doc/DIAGNOSIS.md of what is said of each reproduction.
.PHONY: confusion
CONFUSION := $(abspath $(BUILD))/confusion.jsonl
confusion: all test-binaries
	@rm -f $(CONFUSION)
	@TLSTALL_CONFUSION=$(CONFUSION) TLSTALL_COUNTS=/dev/null PYTEST_ARGS="$(notdir $(wildcard tests/e2e/test_causes_*.py))" tests/e2e/run
	@tests/e2e/confusion.py $(CONFUSION) doc/DIAGNOSIS.md
