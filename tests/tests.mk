# SPDX-License-Identifier: Apache-2.0
# Tests; included by the top Makefile.
#
#   make check        everything; with KINDS="checks unit" some of: checks unit fuzz e2e, and matrix
#   make checks       properties of the tree and of the built files
#   make unit         tests/unit/test_*.c with the tool's objects, tests/unit/shim/test_*.c with the shim's
#   make fuzz         tests/fuzz/fuzz_*.c, FUZZ_SECONDS each
#   make confusion    the verdict on each reproduction, into doc/DIAGNOSIS.md
#   make catalog      the table of causes in doc/DIAGNOSIS.md, from causes.def
#   make soak         SOAK_MINUTES (10) of load: nothing may grow
#   make check-suites public test suites, test by test, into doc/TRANSPARENCY.md
#   make check-harm   the program notices nothing: a part of make check
#   make e2e          real programs against real servers; PYTEST_ARGS are passed on
#   make check-deb    the Debian packages: built twice, lintian, installed in a clean root
#   make check-rpm    the rpm package: built, unpacked, tracing a curl that hangs
#   make check-dist   the archive of `make dist`, in roots of the oldest and a recent Debian; also for arm64
#   make check-matrix the end-to-end tests in roots of five Debian suites: OpenSSL 1.1.1 to 4.0

.PHONY: soak check-deb check-rpm check-dist check-suites check-harm check checks unit fuzz e2e check-matrix test-binaries programs sanitized

KINDS        ?= checks unit fuzz e2e
FUZZ_SECONDS ?= 5
PYTEST_ARGS  ?=
export FUZZ_SECONDS LIBFUZZER PYTEST_ARGS

UNIT_TESTS      := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/test_*.c))
SHIM_UNIT_TESTS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/shim/test_*.c))
HARMS          := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/programs/harm/*.c))
UNIT_FIXTURES   := $(filter-out tests/unit/test_%,$(wildcard tests/unit/*.c))
FUZZERS         := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/fuzz/fuzz_*.c))
PROGRAMS        := $(patsubst %.c,$(BUILD)/%,$(filter-out tests/programs/common.c,$(wildcard tests/programs/*.c)))
STALLS          := $(patsubst %.c,$(BUILD)/%,$(filter-out tests/programs/stalls/stall.c,$(wildcard tests/programs/stalls/*.c)))

# Each is one command from a fresh clone. The second make starts after the packages are installed,
# because make calls pkg-config only once.
deps:
	@tests/deps.sh build demo test

demo:
	@tests/deps.sh build demo
	@$(MAKE) --no-print-directory all
	@tests/demo.sh

check:
	@tests/deps.sh build demo test suites
	@$(MAKE) --no-print-directory WERROR=1 all test-binaries
	@tests/run-all $(KINDS)

fuzz: export TLSTALL_BUILD := $(BUILD)
checks unit fuzz e2e: all test-binaries
	@tests/run-all $@

check-matrix:
	@tests/deps.sh build demo test
	@tests/matrix/run $(SUITES)

# Tests that programs behave the same with and without the shim.
HARM_TESTS := $(notdir $(wildcard tests/e2e/test_harm_*.py)) test_programs.py test_clients.py test_servers.py test_processes.py test_preloads.py
check-harm: all test-binaries
	@TLSTALL_COUNTS=/dev/null PYTEST_ARGS="$(HARM_TESTS) $(PYTEST_ARGS)" tests/e2e/run

check-deb:
	@tests/deps.sh build package
	@tests/run-all deb

check-rpm:
	@tests/deps.sh build demo rpm
	@tests/run-all rpm

check-dist:
	@tests/deps.sh build matrix
	@tests/run-all dist

check-suites: all
	@tests/deps.sh suites
	@tests/suites/run --write doc/TRANSPARENCY.md

soak: all $(BUILD)/tests/soak/soak $(BUILD)/tests/programs/bio_pair $(BUILD)/tests/programs/harm/exec_later
	@tests/soak/run
	@tests/soak/crowd

programs: $(PROGRAMS)
test-binaries: sanitized $(UNIT_TESTS) $(SHIM_UNIT_TESTS) $(FUZZERS) $(PROGRAMS) $(STALLS) $(HARMS) $(BUILD)/tests/bench/counted

# The shim with gcc's sanitizers, if their runtime is installed.
SANITIZED := address-undefined thread
SANITIZER_CC := $(if $(findstring ccache,$(CC)),ccache )gcc
sanitized: $(SANITIZED:%=$(BUILD)/sanitized/%)
$(BUILD)/sanitized/%: FORCE
	@case $$($(SANITIZER_CC) -print-file-name=lib$(if $(findstring thread,$*),tsan,asan).so) in \
	/*) $(MAKE) --no-print-directory CC="$(SANITIZER_CC)" CFLAGS='-O1 -g' SANITIZE=$(subst -,$(comma),$*) BUILD=$@ $@/libtlstall.so ;; \
	esac
FORCE:

# Each source is compiled separately, recording its includes (-MMD): a test is rebuilt when something
# that it includes has changed, and ccache can help.
TEST_CFLAGS = $(shell pkg-config --cflags $(TOOL_PACKAGES)) -Itools -Itests -fPIE
$(BUILD)/tests/unit/shim/%.c.o: TEST_CFLAGS := -iquote shim -Itests
$(BUILD)/tests/%.c.o: tests/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(TEST_CFLAGS) -c $< -o $@

# The tool without its main(): tests link what they need of it.
$(BUILD)/tests/libtools.a: $(filter-out $(BUILD)/tools/main.c.o,$(TOOL_OBJECTS))
$(BUILD)/tests/libshim.a: $(filter %.c.o,$(SHIM_OBJECTS))
# Shared by several unit tests.
$(BUILD)/tests/libfixtures.a: $(UNIT_FIXTURES:%=$(BUILD)/%.o)
$(BUILD)/tests/%.a:
	@mkdir -p $(@D)
	@rm -f $@
	$(AR) rcs $@ $^

$(UNIT_TESTS): %: %.c.o $(BUILD)/tests/libfixtures.a $(BUILD)/tests/libtools.a
	$(CC) $(ALL_CFLAGS) -pie $^ $(TOOL_LIBS) -lcmocka -o $@

$(SHIM_UNIT_TESTS): %: %.c.o $(BUILD)/tests/libshim.a
	$(CC) $(ALL_CFLAGS) $^ -lcmocka -lpthread -ldl -lm -o $@

# The stacks that test_unwind walks, as compiled with different options.
CHAINS := O0 O1 O2 O3 Os O0_without O2_with O3_with O2_array
CHAIN_OBJECTS := $(CHAINS:%=$(BUILD)/tests/unit/shim/chains_%.o)
chain_flags = -$(firstword $(subst _, ,$(1))) $(if $(findstring _with,$(1)),-f$(if $(findstring _without,$(1)),,no-)omit-frame-pointer) $(if $(findstring _array,$(1)),-fstack-protector-all)
$(CHAIN_OBJECTS): $(BUILD)/tests/unit/shim/chains_%.o: tests/unit/shim/chains.c
	@mkdir -p $(@D)
	$(CC) $(filter-out -D_FORTIFY_SOURCE=2,$(ALL_CFLAGS)) $(call chain_flags,$*) -DCHAINS=chains_$* -DFLAGS='"$(call chain_flags,$*)"' -c $< -o $@
$(BUILD)/tests/unit/shim/test_unwind: $(CHAIN_OBJECTS)

$(BUILD)/tests/unit/shim/test_room: $(BUILD)/tests/unit/scratch.c.o

$(BUILD)/tests/soak/soak $(PROGRAMS) $(HARMS): %: %.c.o $(BUILD)/tests/programs/common.c.o
	$(CC) $(ALL_CFLAGS) $^ -lssl -lcrypto -lpthread -ldl -lm -o $@

$(STALLS): %: %.c.o $(BUILD)/tests/programs/stalls/stall.c.o $(BUILD)/tests/programs/common.c.o
	$(CC) $(ALL_CFLAGS) $^ -lssl -lcrypto -lpthread -o $@

# Fuzzed code is compiled a second time, with sanitizers, into separate objects. gcc has no libFuzzer:
# driver.c mutates the seeds itself. With clang, LIBFUZZER=1 has them guided by coverage.
FUZZ_SANITIZE := -fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=all -fno-omit-frame-pointer
FUZZ_DRIVER   := tests/fuzz/driver.c
ifdef LIBFUZZER
FUZZ_SANITIZE += -fsanitize=fuzzer-no-link
FUZZ_DRIVER   :=
$(FUZZERS): FUZZ_ENGINE := -fsanitize=fuzzer
endif
FUZZ_OBJECTS  := $(patsubst %,$(BUILD)/fuzz/%.o,$(FUZZ_DRIVER) tests/fuzz/everything.c tests/fuzz/harmless.c tests/fuzz/run_command.c tools/text/clean.c tools/text/json.c tools/text/print.c $(wildcard tools/trace/*.c tools/check/*.c))
$(BUILD)/fuzz/%.c.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(TEST_CFLAGS) -O1 -U_FORTIFY_SOURCE $(FUZZ_SANITIZE) -c $< -o $@

FUZZ_SHIM := $(patsubst %,$(BUILD)/fuzz/shim/%.c.o,cfi cfi_reader cfi_run unwind expression readable elf elf_walk)
$(FUZZ_SHIM) $(BUILD)/fuzz/tests/fuzz/fuzz_unwind.c.o: TEST_CFLAGS := -iquote shim
$(BUILD)/tests/fuzz/fuzz_unwind: $(FUZZ_SHIM)

# Fuzzers of whole commands: the rooms that they use are compiled with sanitizers, the rest of the tool
# without.
FUZZ_ROOMS := $(filter-out tools/formats/otlp.c tools/look/stub.c tools/text/clean.c tools/text/json.c tools/text/print.c,$(wildcard $(patsubst %,tools/%/*.c,diagnosis formats kernel live look report symbols text view words)))
FUZZ_WHOLE := $(patsubst %,$(BUILD)/fuzz/%.o,$(FUZZ_ROOMS) $(patsubst %,tools/cmd_%.c,ctl export ps report stack))
WHOLE := $(patsubst %,$(BUILD)/tests/fuzz/fuzz_%,commands look report)
$(WHOLE): $(FUZZ_WHOLE)
$(BUILD)/tests/fuzz/fuzz_commands: FUZZ_WRAPPED := pread
$(BUILD)/tests/fuzz/fuzz_look: FUZZ_WRAPPED := kernel_access memory_open regions_read sockets_read threads_read stub_start kill waitpid

$(FUZZERS): $(BUILD)/%: $(BUILD)/fuzz/%.c.o $(FUZZ_OBJECTS) $(BUILD)/tests/libtools.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(FUZZ_SANITIZE) $(FUZZ_ENGINE) $(FUZZ_WRAPPED:%=-Wl,--wrap=%) $(filter-out %.a,$^) $(filter %.a,$^) $(TOOL_LIBS) -o $@

# The table of causes in doc/DIAGNOSIS.md; tests/checks/catalog.sh reports when it is outdated.
.PHONY: catalog
catalog:
	@tests/checks/catalog.py write

include tests/bench/bench.mk

# The table in doc/DIAGNOSIS.md with the verdict on each reproduction.
.PHONY: confusion
CONFUSION := $(abspath $(BUILD))/confusion.jsonl
confusion: all test-binaries
	@rm -f $(CONFUSION)
	@for mode in all watch; do TLSTALL_TEST_MODE=$$mode TLSTALL_CONFUSION=$(CONFUSION) TLSTALL_COUNTS=/dev/null \
		PYTEST_ARGS="$(notdir $(wildcard tests/e2e/test_causes_*.py))" tests/e2e/run || exit; done
	@tests/e2e/confusion.py $(CONFUSION) doc/DIAGNOSIS.md

-include $(wildcard $(BUILD)/tests/*/*.d $(BUILD)/tests/*/*/*.d $(BUILD)/fuzz/*/*/*.d $(BUILD)/fuzz/*/*.d)
