# asset-agent: carries each file of a folder to eGain's Create Asset API.
#
#   make demo     see it work        make check    run all tests        make help

PREFIX     ?= /usr
SYSCONFDIR ?= /etc
BINDIR     ?= $(PREFIX)/bin
UNITDIR    ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
TMPFILESDIR ?= $(PREFIX)/lib/tmpfiles.d
CATALOGDIR ?= $(PREFIX)/lib/systemd/catalog
PRESETDIR  ?= $(PREFIX)/lib/systemd/system-preset
MANDIR     ?= $(PREFIX)/share/man
BASHDIR    ?= $(PREFIX)/share/bash-completion/completions
DOCDIR     ?= $(PREFIX)/share/doc/asset-agent
ZSHDIR     ?= $(PREFIX)/share/zsh/vendor-completions
VERSION    ?= 0.1.0
BUILD      ?= build

PKG_CONFIG ?= pkg-config
INSTALL    ?= install
PROVE      ?= prove
export PROVE
CFLAGS     ?= -O2 -g
PACKAGES   := libcurl json-c libsystemd sqlite3

# The floors of the house, the lowest first: a file includes its own and those below, and
# `make layers` fails where one does not. Below each other in agent/:
#   ground  C and the kernel          logic   pure: no descriptor, no clock, no library
#   format  one format each           device  one outside thing each
#   policy  what happens next         face    arguments, screens, exit statuses
LAYERS  := ground logic format device policy face
LAYER_DIRECTORIES := $(LAYERS:%=agent/%)

SOURCES := $(wildcard $(LAYER_DIRECTORIES:%=%/*.c))
LIBRARY := $(patsubst %.c,$(BUILD)/%.o,$(filter-out agent/face/main.c,$(SOURCES)))
PROGRAM := $(BUILD)/asset-agent
SERVICE := $(BUILD)/asset-service
UNIT_TESTS     := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/test-*.c))
SCENARIO_TESTS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/scenario/test-*.c))
CRASH_TESTS    := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/crash/test-*.c))
KILLER         := $(BUILD)/tests/crash/killer
BENCH_TOOLS    := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/bench/*.c))
REPLAYS        := $(patsubst tests/fuzz/fuzz-%.c,$(BUILD)/tests/fuzz/replay-%,$(wildcard tests/fuzz/fuzz-*.c))
FUZZERS        := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/fuzz/fuzz-*.c))

WARNINGS  := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
             -Wwrite-strings -Wformat=2 -Wvla -Wundef -Wcast-align -Werror=switch \
             -Werror=implicit -Werror=return-type -Werror=incompatible-pointer-types -Werror=int-conversion
HARDENING := -fstack-protector-strong -fPIE -fno-strict-overflow
FORTIFY   := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
DEFINES   := -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DVERSION='"$(VERSION)"' \
             -DSYSCONFDIR='"$(SYSCONFDIR)"'
override CPPFLAGS += $(DEFINES) $(LAYER_DIRECTORIES:%=-I%) $(shell $(PKG_CONFIG) --cflags $(PACKAGES) 2>/dev/null)
override CFLAGS   += -std=gnu17 -pthread $(WARNINGS) $(HARDENING) $(FORTIFY) $(SANITIZE)
override LDFLAGS  += -pie -pthread -Wl,-z,relro,-z,now -Wl,--as-needed $(SANITIZE)
LIBS      := $(shell $(PKG_CONFIG) --libs $(PACKAGES) 2>/dev/null)

MANUAL_TEST    := tests/manual/test-manual
KEY_LIST       := $(BUILD)/tests/manual/list-keys
PRELOAD        := $(BUILD)/tests/preload/allocation.so
# Prometheus' own judge of what we write for it, whichever build is tested.
PROMTOOL       ?= $(abspath build/tools/promtool)
MEMORY_TEST    := $(BUILD)/tests/memory/test-memory

TEST_CPPFLAGS := -Itests/service -Itests/scenario
TEST_LIBS     := $(shell $(PKG_CONFIG) --libs cmocka libmicrohttpd gnutls 2>/dev/null)
CRASH_OBJECTS   := $(patsubst %,$(BUILD)/tests/crash/%.o,calls fate orphans)
WORLD_OBJECTS   := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/scenario/world*.c))
SIMULATION_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/unit/simulation*.c))
SERVICE_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(filter-out tests/service/main.c,$(wildcard tests/service/*.c)))

# As many jobs as there are processors, unless a make above has said how many.
SUBMAKE = $(MAKE) --no-print-directory $(call jobs,$(shell nproc))
jobs = $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(1))

# `make V=1` shows the commands.
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-4s %s\n' '$(1)' '$(2)')

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all demo check check-programs check-crash check-memory check-system check-real check-package deb layers install \
        uninstall sanitize tidy format bench fuzz coverage deps deps-test deps-check clean help

all: $(PROGRAM) ## build the agent (the default)

$(PROGRAM): $(BUILD)/agent/face/main.o $(LIBRARY)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/%.o: %.c Makefile
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(if $(filter tests/%,$<),$(TEST_CPPFLAGS)) $(CFLAGS) -MMD -MP -c -o $@ $<

# A unit test names the functions that it makes fail in its first lines, `// wrap: read write`.
wraps = $(addprefix -Wl$(comma)--wrap=,$(shell sed -n 's,^// wrap: ,,p' $(1)))
comma := ,

$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(LIBRARY)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $(call wraps,tests/unit/$*.c) -o $@ $^ $(LIBS) $(TEST_LIBS)

$(BUILD)/tests/unit/test-service: $(SERVICE_OBJECTS)
$(BUILD)/tests/unit/test-simulation: $(SIMULATION_OBJECTS)
$(BUILD)/tests/unit/test-secrets: $(WORLD_OBJECTS) $(SERVICE_OBJECTS)

$(SERVICE): $(BUILD)/tests/service/main.o $(SERVICE_OBJECTS) $(LIBRARY)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS) $(TEST_LIBS)

$(BUILD)/tests/scenario/%: $(BUILD)/tests/scenario/%.o $(WORLD_OBJECTS) \
		$(SERVICE_OBJECTS) $(LIBRARY)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS) $(TEST_LIBS)

$(BUILD)/tests/crash/test-%: $(BUILD)/tests/crash/test-%.o $(CRASH_OBJECTS) \
		$(WORLD_OBJECTS) $(SERVICE_OBJECTS) $(LIBRARY)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS) $(TEST_LIBS)

$(KILLER): $(BUILD)/tests/crash/killer.o $(LIBRARY)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

$(MEMORY_TEST): $(BUILD)/tests/memory/test-memory.o $(WORLD_OBJECTS) $(SERVICE_OBJECTS) $(LIBRARY)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS) $(TEST_LIBS)

$(BENCH_TOOLS): $(BUILD)/tests/bench/%: $(BUILD)/tests/bench/%.o
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

$(KEY_LIST): $(BUILD)/tests/manual/list-keys.o $(LIBRARY)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

$(PRELOAD): tests/preload/allocation.c Makefile
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -fPIC -shared -o $@ $<

demo: ## see it work: a stand-in service, the agent, real files, the log
	@tests/install-packages $(DEBIAN_DEMO)
	@$(SUBMAKE) $(PROGRAM) $(SERVICE)
	@BUILD=$(BUILD) tests/demo/run

# The builds that are tested.
BY_GCC    = CC=gcc BUILD=$(BUILD)/gcc
BY_CLANG  = CC=clang BUILD=$(BUILD)/clang
SANITIZED = CC=gcc BUILD=$(BUILD)/sanitize FORTIFY= CFLAGS="-O1 -g -fno-omit-frame-pointer" \
            SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=all"
SANITIZER = ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1

# Tests wait more than they compute: two halves run beside each other, once all is built.
# What is to be downloaded for the second half comes while that is done.
check: deps-check ## install what the tests need, then run all of them (20 minutes)
	@$(SUBMAKE) layers
	@$(MAKE) --no-print-directory $(call jobs,$(shell expr 1 + $$(nproc))) real-servers check-built
	@ASSET_TEST_PATIENCE=$(or $(ASSET_TEST_PATIENCE),2) \
		$(MAKE) --no-print-directory $(call jobs,2) check-builds check-parts
	@find $(BUILD) -path '*/said/*/unsteady' -exec sed 's/^/UNSTEADY: /' {} +

.PHONY: check-built check-built-gcc check-built-clang check-built-sanitized check-builds check-parts
check-built: check-built-gcc check-built-clang check-built-sanitized
check-built-gcc:
	+@$(SUBMAKE) check-ready check-parts-ready $(BY_GCC)
check-built-clang:
	+@$(SUBMAKE) check-ready $(BY_CLANG)
check-built-sanitized:
	+@$(SUBMAKE) check-ready $(SANITIZED)

check-builds:
	+@$(SUBMAKE) check-programs $(BY_GCC)
	+@$(SUBMAKE) check-transcript $(BY_GCC)
	+@$(SUBMAKE) check-programs $(BY_CLANG)
	+@$(SANITIZER) $(SUBMAKE) check-programs $(SANITIZED)

check-parts:
	+@$(SUBMAKE) check-crash $(BY_GCC)
	+@$(SUBMAKE) check-memory $(BY_GCC)
	+@$(SUBMAKE) check-system $(BY_GCC)
	+@$(SUBMAKE) check-servers $(BY_GCC)

.PHONY: check-ready check-parts-ready
check-ready: $(PROGRAM) $(SERVICE) $(KEY_LIST) $(UNIT_TESTS) $(SCENARIO_TESTS) $(REPLAYS)
check-parts-ready: $(KILLER) $(CRASH_TESTS) $(MEMORY_TEST) $(PRELOAD)

# The longest first, so that none is left over in the end.
LONGEST := simulation places spool hostile-service hostile-spool restart ledger-damage known-outages \
           limits changing-world status
programs = $(MANUAL_TEST) $(UNIT_TESTS) $(REPLAYS) $(SCENARIO_TESTS)
long_programs = $(foreach name,$(LONGEST),$(filter %/test-$(name),$(programs)))

# All test programs of one build; they speak TAP.
check-programs: check-ready
	@echo "Testing $(BUILD) ($(CC)):"
	@rm -f $(TRANSCRIPT)
	@$(call run_programs,programs,$(long_programs) $(filter-out $(long_programs),$(programs)))

# As they run, the stand-in writes down what the agent and it said to each other.
TRANSCRIPT = $(BUILD)/transcript
run_programs = ASSET_AGENT=$(abspath $(PROGRAM)) ASSET_SERVICE=$(abspath $(SERVICE)) \
	ASSET_KEYS=$(abspath $(KEY_LIST)) ASSET_PROMTOOL=$(PROMTOOL) \
	ASSET_SERVICE_TRANSCRIPT=$(abspath $(TRANSCRIPT)) \
	CMOCKA_MESSAGE_OUTPUT=TAP tests/prove $(BUILD)/said/$(1) -j2 -- $(2)

# The agent killed at every call, and a thousand times under load: some minutes, once.
check-crash: $(PROGRAM) $(KILLER) $(CRASH_TESTS)
	@ASSET_AGENT=$(abspath $(PROGRAM)) ASSET_KILLER=$(abspath $(KILLER)) \
		CMOCKA_MESSAGE_OUTPUT=TAP tests/prove $(BUILD)/said/crash -j3 --comments -- $(CRASH_TESTS)

# Allocations that fail, in a build without sanitizers, which have a malloc of their own.
check-memory: $(PROGRAM) $(MEMORY_TEST) $(PRELOAD)
	@ASSET_AGENT=$(abspath $(PROGRAM)) ASSET_PRELOAD=$(abspath $(PRELOAD)) \
		CMOCKA_MESSAGE_OUTPUT=TAP tests/prove $(BUILD)/said/memory -- $(MEMORY_TEST)

# The agent as a service of a real systemd, each test in a throw-away container of its own:
# needs root.
AS_ROOT := $(if $(filter 0,$(shell id -u)),,sudo)
SYSTEM_TESTS := $(wildcard tests/system/test-*)
check-system: $(PROGRAM) $(SERVICE) check-package
	@ASSET_TEST_AS_ROOT="$(AS_ROOT) env BUILD=$(BUILD) VERSION=$(VERSION)" \
		tests/prove $(BUILD)/said/system -j2 --comments -- $(SYSTEM_TESTS)

# Servers, networks and programs that no one here wrote, from Debian and npm: needs root.
check-real: deps-test ## against servers that no one here wrote, which it downloads
	+@$(SUBMAKE) real-servers $(PROGRAM) $(SERVICE)
	+@$(SUBMAKE) check-servers
	+@$(SUBMAKE) check-transcript

.PHONY: check-servers check-transcript
run_real = ASSET_TEST_AS_ROOT="$(AS_ROOT) env BUILD=$(BUILD) $(addprefix \
	ASSET_TEST_PATIENCE=,$(ASSET_TEST_PATIENCE))" \
	tests/prove $(BUILD)/said/$(1) -j2 --comments -- $(2)

JUDGE        := tests/real/test-scenarios
REAL_TESTS   := $(filter-out $(JUDGE),$(wildcard tests/real/test-*))
LONGEST_REAL := $(filter %/test-network %/test-writers,$(REAL_TESTS))
check-servers: $(PROGRAM) $(SERVICE)
	@$(call run_real,real,$(LONGEST_REAL) $(filter-out $(LONGEST_REAL),$(REAL_TESTS)))

# What was said in the scenarios, held against the API's document.
check-transcript: $(PROGRAM) $(SERVICE) $(TRANSCRIPT)
	@$(call run_real,transcript,$(JUDGE))

# The last run of all programs has left it, else these are enough.
TELLING := $(patsubst %,tests/scenario/test-%,upload restart outage reload known-faults)
$(TRANSCRIPT):
	+@$(SUBMAKE) $(TELLING:%=$(BUILD)/%)
	@$(call run_programs,telling,$(TELLING:%=$(BUILD)/%))

.PHONY: real-servers
real-servers:
	@tests/real/install

# Includes point downward only.
layers:
	@tests/layers $(LAYERS)

sanitize: ## the same tests under AddressSanitizer and UndefinedBehaviorSanitizer
	+@$(SANITIZER) $(SUBMAKE) check-programs $(SANITIZED)

# ---- fuzzing: the corpus is replayed by `make check`, `make fuzz` goes on from it ----

FUZZ_SECONDS ?= 60
$(BUILD)/tests/fuzz/replay-%: $(BUILD)/tests/fuzz/fuzz-%.o $(BUILD)/tests/fuzz/replay.o $(LIBRARY)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/tests/fuzz/fuzz-%: $(BUILD)/tests/fuzz/fuzz-%.o $(LIBRARY)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(LIBS)

fuzz: deps-test ## fuzz each parser for FUZZ_SECONDS (60)
	@$(SUBMAKE) fuzz-programs BUILD=$(BUILD)/fuzz CC=clang FORTIFY= \
		SANITIZE="-fsanitize=fuzzer-no-link,address,undefined"

.PHONY: fuzz-programs
fuzz-programs: $(FUZZERS)
	@set -e; for fuzzer in $(FUZZERS); do \
		name=$${fuzzer##*/fuzz-}; mkdir -p $(BUILD)/found/$$name; \
		$$fuzzer -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 \
			$(BUILD)/found/$$name tests/fuzz/corpus/$$name; \
	done

# ---- care of the code ----

C_FILES = $(shell git ls-files '*.[ch]')

format: ## lay the code out as .clang-format says
	clang-format -i $(C_FILES)

# gcc 12 knows neither the cleanup attribute nor what tsearch() and asprintf() do with a
# pointer that they are given.
ANALYZER_BLIND := -Wno-analyzer-malloc-leak -Wno-analyzer-use-of-uninitialized-value

tidy: ## clang-format, clang-tidy, cppcheck, gcc -fanalyzer: all must be silent
	@tests/install-packages $(DEBIAN_TEST) clang-format clang-tidy cppcheck
	clang-format --dry-run --Werror $(C_FILES)
	clang-tidy --quiet $(filter %.c,$(C_FILES)) -- $(CPPFLAGS) $(TEST_CPPFLAGS) -std=gnu17
	cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,performance,portability \
		--inline-suppr --suppressions-list=tests/cppcheck.supp $(DEFINES) '-DElfW(type)=type' $(LAYER_DIRECTORIES:%=-I%) \
		--include=/usr/include/$(shell $(CC) -dumpmachine)/sys/queue.h agent
	@$(SUBMAKE) BUILD=$(BUILD)/analyze CC=gcc \
		CFLAGS="-O1 -g -fanalyzer -Werror $(ANALYZER_BLIND)"

coverage: deps-test ## line and branch coverage of agent/ by all tests
	+@$(SUBMAKE) check-programs BUILD=$(BUILD)/coverage CC=gcc FORTIFY= \
		CFLAGS="-O0 -g" SANITIZE=--coverage
	@tests/install-packages gcovr
	gcovr --root . --filter agent/ --print-summary $(BUILD)/coverage

# `make bench BENCH="small large"` measures these lines alone.
bench: deps ## measure against what a user would use instead
	@$(SUBMAKE) $(PROGRAM) $(BENCH_TOOLS)
	@BUILD=$(BUILD) tests/bench/install
	@BUILD=$(BUILD) tests/bench/run $(BENCH)

# ---- packages ----

DEBIAN_BUILD := gcc make pkg-config libcurl4-openssl-dev libjson-c-dev libsystemd-dev \
                libsqlite3-dev
DEBIAN_DEMO  := $(DEBIAN_BUILD) libmicrohttpd-dev libgnutls28-dev jq
DEBIAN_TEST  := $(DEBIAN_DEMO) clang libclang-rt-dev libcmocka-dev perl rsync curl \
                inotify-tools systemd systemd-container procps mandoc groff-base zsh

deps: ## install what the build needs (apt), or name it
	@tests/install-packages $(DEBIAN_BUILD)

deps-check:
	@tests/install-packages $(DEBIAN_TEST) $(DEBIAN_PACKAGE) lintian
	@tests/install-promtool $(PROMTOOL)

deps-test:
	@tests/install-packages $(DEBIAN_TEST)
	@tests/install-promtool $(PROMTOOL)

# ---- the Debian package ----

DEBIAN_PACKAGE := $(DEBIAN_BUILD) debhelper dpkg-dev fakeroot
DEB_TREE = $(BUILD)/deb/asset-agent-$(VERSION)
DEB = $(BUILD)/deb/asset-agent_$(VERSION)_$(shell dpkg --print-architecture 2>/dev/null).deb

# From a copy of the sources, so that nothing of debian/ lies about here. What this make was
# told (BUILD=, CC=) is not for the package. A VERSION that the changelog does not know gets
# an entry with the date of the last one, so that the same sources give the same package.
deb: ## build the Debian package, BUILD/deb/asset-agent_VERSION_ARCH.deb
	@tests/install-packages $(DEBIAN_PACKAGE)
	rm -rf $(DEB_TREE)
	mkdir -p $(DEB_TREE)
	cp -r agent conf systemd Makefile README.md $(DEB_TREE)
	mv $(DEB_TREE)/conf/debian $(DEB_TREE)/debian
	cd $(DEB_TREE)/debian && { \
		grep -qF '($(VERSION))' changelog || { \
			printf 'asset-agent (%s) unstable; urgency=medium\n\n' '$(VERSION)'; \
			printf '  * Version %s.\n\n' '$(VERSION)'; \
			grep '^ -- ' changelog | head -n 1; echo; }; \
		cat changelog; \
	} >changelog.new && mv changelog.new changelog
	cd $(DEB_TREE) && env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS -u CC \
		dpkg-buildpackage --build=binary --unsigned-source --unsigned-changes \
		>../build.log 2>&1 || { cat ../build.log; exit 1; }

# Lintian is silent but for what the overrides in conf/debian explain.
check-package: deb
	@tests/install-packages lintian
	lintian --fail-on error,warning --allow-root $(DEB:.deb=.changes)

# ---- installing ----

# What is installed as it is, FILE:WHERE.
EXAMPLEDIR = $(DOCDIR)/examples
SHIPPED = \
	systemd/asset-agent.sysusers:$(SYSUSERSDIR)/asset-agent.conf \
	systemd/asset-agent.tmpfiles:$(TMPFILESDIR)/asset-agent.conf \
	systemd/asset-agent.preset:$(PRESETDIR)/85-asset-agent.preset \
	systemd/asset-agent.catalog:$(CATALOGDIR)/asset-agent.catalog \
	systemd/spools.conf.example:$(EXAMPLEDIR)/spools.conf \
	systemd/metrics.conf.example:$(EXAMPLEDIR)/metrics.conf \
	agent/asset-agent.8:$(MANDIR)/man8/asset-agent.8 \
	conf/agent.conf.5:$(MANDIR)/man5/agent.conf.5 \
	conf/completion.bash:$(BASHDIR)/asset-agent \
	conf/_asset-agent:$(ZSHDIR)/_asset-agent \
	conf/grafana-dashboard.json:$(EXAMPLEDIR)/grafana-dashboard.json \
	conf/asset-agent.rules.yml:$(EXAMPLEDIR)/asset-agent.rules.yml \
	README.md:$(DOCDIR)/README.md
UNIT = $(DESTDIR)$(UNITDIR)/asset-agent.service

install: all ## install below DESTDIR and PREFIX
	$(INSTALL) -D -m 0755 $(PROGRAM) $(DESTDIR)$(BINDIR)/asset-agent
	$(INSTALL) -D -m 0644 systemd/asset-agent.service $(UNIT)
	sed -i 's,/usr/bin/asset-agent,$(BINDIR)/asset-agent,' $(UNIT)
	@set -e; for pair in $(SHIPPED); do \
		$(INSTALL) -D -m 0644 "$${pair%%:*}" "$(DESTDIR)$${pair#*:}"; \
	done
	$(INSTALL) -d $(DESTDIR)$(SYSCONFDIR)/asset-agent/agent.conf.d
	test -e $(DESTDIR)$(SYSCONFDIR)/asset-agent/agent.conf || \
		$(INSTALL) -m 0644 conf/agent.conf $(DESTDIR)$(SYSCONFDIR)/asset-agent/agent.conf

uninstall: ## remove what install put there; configuration, state and spools stay
	rm -f $(DESTDIR)$(BINDIR)/asset-agent $(UNIT)
	@for pair in $(SHIPPED); do rm -f "$(DESTDIR)$${pair#*:}"; done

clean: ## remove what was built
	rm -rf $(BUILD)

help: ## show this text
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

-include $(shell find $(BUILD) -path $(BUILD)/deb -prune -o -name '*.d' -type f -print 2>/dev/null)
