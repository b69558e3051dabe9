# SPDX-License-Identifier: Apache-2.0
# Benchmarks; included by tests/tests.mk.
#
#   make bench        every figure, in less than eight minutes; BASE=FILE compares with an earlier
#                     run, DOCUMENT=doc/PERFORMANCE.md rewrites the table of that page
#   make bench-peers  the same program under the tools that one would use instead
#   make bench-fleet  loads a million handshakes of 1,000 simulated hosts into ClickHouse, see doc/FLEET.md
#   make bench-expected rewrites tests/checks/instructions.txt

.PHONY: bench bench-fleet bench-peers bench-expected bench-binaries

BENCH_PROGRAMS := $(addprefix $(BUILD)/tests/bench/,calls handshake threads inflight startup client)
BENCH_LOADS    := $(addprefix $(BUILD)/tests/bench/,counted allocations connections load)

bench-binaries: $(BENCH_PROGRAMS) $(BENCH_LOADS) $(BUILD)/tests/bench/count_malloc.so $(BUILD)/tests/bench/empty.so $(BUILD)/tests/bench/make_traces \
                $(BUILD)/tests/bench/reader

$(BENCH_PROGRAMS): %: %.c.o $(BUILD)/tests/bench/bench.c.o $(BUILD)/tests/programs/common.c.o
	$(CC) $(ALL_CFLAGS) $^ -lssl -lcrypto -lpthread -lm -o $@

$(BENCH_LOADS): %: %.c.o $(BUILD)/tests/programs/common.c.o
	$(CC) $(ALL_CFLAGS) $^ -lssl -lcrypto -lpthread -o $@

$(BUILD)/tests/bench/count_malloc.c.o: TEST_CFLAGS := -fPIC
$(BUILD)/tests/bench/count_malloc.so: $(BUILD)/tests/bench/count_malloc.c.o
	$(CC) $(ALL_CFLAGS) -shared $< -o $@

$(BUILD)/tests/bench/empty.c.o: TEST_CFLAGS := -fPIC
$(BUILD)/tests/bench/empty.so: $(BUILD)/tests/bench/empty.c.o
	$(CC) $(ALL_CFLAGS) -nostdlib -shared $< -o $@

$(BUILD)/tests/bench/reader: %: %.c.o $(BUILD)/tests/libtools.a
	$(CC) $(ALL_CFLAGS) -pie $^ $(TOOL_LIBS) -o $@

$(BUILD)/tests/bench/make_traces: %: %.c.o
	$(CC) $(ALL_CFLAGS) $< -o $@

BASE ?=
bench:
	@tests/deps.sh build test
	@$(MAKE) --no-print-directory all bench-binaries
	@tests/bench/run $(if $(BASE),--base $(BASE)) $(if $(DOCUMENT),--document $(DOCUMENT))

# Built as users would; LTTng's needs its own library, and is left out without it.
PEERS := $(BUILD)/tests/bench/peers
$(PEERS)/workload: tests/bench/peers/workload.c tests/programs/common.c tests/programs/common.h
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -D_GNU_SOURCE -Itests $< tests/programs/common.c -Wl,-z,lazy -lssl -lcrypto -lpthread -o $@
$(PEERS)/naive.so: tests/bench/peers/naive.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -D_GNU_SOURCE -fPIC -shared $< -o $@
$(PEERS)/lttng_shim.so: tests/bench/peers/lttng_shim.c tests/bench/peers/lttng_provider.h
	@mkdir -p $(@D)
	-$(CC) $(CFLAGS) -D_GNU_SOURCE -Itests -fPIC -shared $< -llttng-ust -ldl -o $@

bench-peers:
	@tests/deps.sh build test peers
	@$(MAKE) --no-print-directory all $(PEERS)/workload $(PEERS)/naive.so $(PEERS)/lttng_shim.so
	@PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 tests/bench/peers.py

bench-fleet:
	@tests/deps.sh build test
	@$(MAKE) --no-print-directory all $(BUILD)/tests/bench/make_traces
	@PYTHONNOUSERSITE=1 PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 tests/bench/fleet.py

bench-expected: all bench-binaries
	@PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 tests/bench/instructions.py write tests/checks/instructions.txt
