# SPDX-License-Identifier: Apache-2.0
#
#   make              libtlstall.so and tlstall
#   make demo         installs what is missing, builds, shows a real stall and its diagnosis
#   make check        installs what is missing, builds, runs all tests
#   make deb          Debian packages, in build/deb
#   make rpm          an rpm package, in build/rpm
#   make dist         one archive that runs where it is unpacked, in build/dist; ARCH=arm64 for arm64
#   make install      the tool, the shim, documentation and completions, below PREFIX; make uninstall
#   make clean        removes what was built
#   make help         every target, those of the tests too

CC      ?= cc
PREFIX  ?= /usr/local
LIBDIR  ?= $(PREFIX)/lib
DESTDIR ?=
BUILD   ?= build$(if $(LIBFUZZER),-libfuzzer)$(if $(SANITIZE),-$(subst $(comma),-,$(SANITIZE)))
comma   := ,

VERSION := 0.1.0

WARN     := -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes \
            -Wmissing-prototypes -Wpointer-arith -Wvla $(if $(WERROR),-Werror)
HARDEN   := -fstack-protector-strong -fstack-clash-protection
CFLAGS   ?= -O2 -g
ALL_CFLAGS := -std=gnu11 $(WARN) $(CFLAGS) $(HARDEN) -MMD -MP -Iinclude \
              -D_GNU_SOURCE -DTLSTALL_VERSION='"$(VERSION)"' \
              $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer -Wno-tsan) \
              $(if $(findstring -O0,$(CFLAGS)),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
ALL_LDFLAGS := $(LDFLAGS) -Wl,-z,relro,-z,now,-z,noexecstack $(if $(SANITIZE),-fsanitize=$(SANITIZE))

# Two products that share only include/. settings.c comes first, so that what every process touches is on
# one page.
SHIM_SOURCES := shim/settings.c $(filter-out shim/settings.c,$(sort $(wildcard shim/*.c shim/*.S)))
TOOL_SOURCES := $(sort $(wildcard tools/*.c tools/*/*.c))
SHIM_OBJECTS := $(SHIM_SOURCES:%=$(BUILD)/%.o)
OTLP := $(BUILD)/tools/formats/otlp.pb-c
TOOL_OBJECTS := $(TOOL_SOURCES:%=$(BUILD)/%.o) $(OTLP).c.o

# The shim is built for the oldest supported glibc, and for musl. It needs only libc, and only what both
# have: none of the functions that _FORTIFY_SOURCE calls.
SHIM_CFLAGS := -U_FORTIFY_SOURCE -fPIC -fvisibility=hidden -ftls-model=initial-exec -fno-plt -fasynchronous-unwind-tables
# Sorted by name, .bss.large comes after .bss: see shim/large.h.
SHIM_LDFLAGS := -shared -Wl,--sort-section=name -Wl,-soname,libtlstall.so -Wl,-z,defs -Wl,-z,nodelete -Wl,-Bsymbolic-functions \
                -Wl,--version-script,$(BUILD)/shim/exports.map -Wl,--as-needed
# Separate parts of libc before glibc 2.34, empty since.
LIBC_LIBS := -lpthread -ldl

TOOL_PACKAGES := jansson libdw libelf libunwind-generic libunwind ncursesw smartcols sqlite3 zlib libprotobuf-c babeltrace2
# Loaded when they are needed: see tools/late.h.
LATE_PACKAGES := libmicrohttpd libcurl
TOOL_CFLAGS  = $(shell pkg-config --cflags $(TOOL_PACKAGES) $(LATE_PACKAGES)) -Itools -fPIE
TOOL_LIBS    = $(shell pkg-config --libs $(TOOL_PACKAGES))

.PHONY: all deps demo check install uninstall deb rpm dist clean help
# The copies at the top are made only by the usual build.
all: $(if $(filter build,$(BUILD)),libtlstall.so tlstall,$(BUILD)/libtlstall.so $(BUILD)/tlstall)

libtlstall.so tlstall: %: $(BUILD)/%
	cp -f $< $@.new && mv -f $@.new $@

$(BUILD)/libtlstall.so: $(SHIM_OBJECTS) $(BUILD)/shim/exports.map
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $(SHIM_LDFLAGS) $(SHIM_OBJECTS) $(LIBC_LIBS) -o $@

$(BUILD)/tlstall: $(TOOL_OBJECTS)
	$(CC) $(ALL_CFLAGS) -pie $(ALL_LDFLAGS) $(TOOL_OBJECTS) $(TOOL_LIBS) $(LIBC_LIBS) -o $@

# Exports exactly what is in the table.
$(BUILD)/shim/exports.map: shim/functions.def shim/exports.awk
	@mkdir -p $(@D)
	awk -f shim/exports.awk shim/functions.def > $@.new && mv $@.new $@

# Sanitizers look up functions, and call them, before their runtime is ready. These files run then.
EARLY := elf reach_dlsym signals signals_real guard ask announce
$(EARLY:%=$(BUILD)/shim/%.c.o): ALL_CFLAGS := $(filter-out -fsanitize=%,$(ALL_CFLAGS))
$(BUILD)/shim/%.c.o: shim/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(SHIM_CFLAGS) -c $< -o $@

$(BUILD)/shim/%.S.o: shim/%.S
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -Iinclude -fPIC -MMD -MP -c $< -o $@

# The build time: a clock that shows an earlier time is wrong.
$(BUILD)/tools/diagnosis/cause_certificate.c.o $(BUILD)/fuzz/tools/diagnosis/cause_certificate.c.o: ALL_CFLAGS += -DTLSTALL_BUILT=$(or $(SOURCE_DATE_EPOCH),$(shell date +%s))ull

$(BUILD)/tools/%.c.o: tools/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(TOOL_CFLAGS) -c $< -o $@

# Where the shim is, relative to the tool's prefix.
$(BUILD)/tools/check/check.c.o $(BUILD)/fuzz/tools/check/check.c.o: ALL_CFLAGS += -DTLSTALL_LIBDIR='"$(patsubst $(PREFIX)/%,%,$(LIBDIR))"'

# Runs without libc, without a stack of ours, and without sanitizers: see tools/look/stub.h.
$(BUILD)/tools/look/stub.c.o $(BUILD)/tools/attach/stub.c.o: TOOL_CFLAGS += -O2 -fno-builtin -fno-jump-tables -fno-stack-protector -fno-sanitize=all

# The messages of the OpenTelemetry protocol.
$(OTLP).c: tools/formats/otlp.proto
	@mkdir -p $(@D)
	protoc-c --proto_path=$(<D) --c_out=$(@D) $(<F)
$(OTLP).h: $(OTLP).c ;
$(OTLP).c.o: $(OTLP).c
	$(CC) $(filter-out -Wconversion -Wshadow,$(ALL_CFLAGS)) $(TOOL_CFLAGS) -c $< -o $@
$(BUILD)/tools/formats/otlp.c.o: $(OTLP).h
$(BUILD)/tools/formats/otlp.c.o: TOOL_CFLAGS += -I$(BUILD)/tools/formats

# The assembler embeds the viewer's files, and does not report them as dependencies.
CHART_JS ?= /usr/share/javascript/chart.js/chart.min.js
$(BUILD)/tools/web/assets.c.o: ALL_CFLAGS += -DCHART_JS='"$(CHART_JS)"'
$(BUILD)/tools/web/assets.c.o: $(wildcard tools/web/*.html tools/web/*.css tools/web/*.js) $(CHART_JS)

PAGES := $(sort $(wildcard doc/*.1 doc/*.5 doc/*.7))
# Manual pages and the README name them by these paths, so they keep them.
DOCUMENTS := README.md $(sort $(filter-out $(PAGES),$(wildcard doc/*.* doc/*/*)))
DOCUMENTATION := share/doc/tlstall
BASH_COMPLETION := share/bash-completion/completions/tlstall
ZSH_COMPLETION  := share/zsh/site-functions/_tlstall
FISH_COMPLETION := share/fish/vendor_completions.d/tlstall.fish

install: all
	install -D -m 755 $(BUILD)/tlstall $(DESTDIR)$(PREFIX)/bin/tlstall
	install -D -m 755 $(BUILD)/libtlstall.so $(DESTDIR)$(LIBDIR)/tlstall/libtlstall.so
	install -d $(DESTDIR)$(PREFIX)/include/tlstall
	install -m 644 include/tlstall/*.h $(DESTDIR)$(PREFIX)/include/tlstall/
	install -D -m 644 tools/completions/tlstall.bash $(DESTDIR)$(PREFIX)/$(BASH_COMPLETION)
	install -D -m 644 tools/completions/_tlstall $(DESTDIR)$(PREFIX)/$(ZSH_COMPLETION)
	install -D -m 644 tools/completions/tlstall.fish $(DESTDIR)$(PREFIX)/$(FISH_COMPLETION)
	for page in $(PAGES); do \
		install -D -m 644 $$page $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/} || exit; \
	done
	for document in $(DOCUMENTS); do \
		install -D -m 644 $$document $(DESTDIR)$(PREFIX)/$(DOCUMENTATION)/$$document || exit; \
	done

uninstall:
	for page in $(PAGES); do rm -f $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/}; done
	rm -f $(DESTDIR)$(PREFIX)/bin/tlstall
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/,$(BASH_COMPLETION) $(ZSH_COMPLETION) $(FISH_COMPLETION))
	rm -rf $(DESTDIR)$(LIBDIR)/tlstall $(addprefix $(DESTDIR)$(PREFIX)/,include/tlstall $(DOCUMENTATION))

deb:
	@tests/deb/build $(BUILD)/deb

rpm:
	@tests/rpm/build $(BUILD)/rpm

dist:
	@tests/dist/build $(BUILD)/dist $(ARCH)

clean:
	rm -rf build build-* libtlstall.so tlstall

help:
	@sed -sn '1,/^$$/s/^#   //p' Makefile $(wildcard tests/tests.mk tests/bench/bench.mk)

-include $(SHIM_OBJECTS:.o=.d) $(TOOL_OBJECTS:.o=.d)
-include tests/tests.mk
