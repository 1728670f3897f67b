# The one vocabulary of this project: people and CI run the same lines. `make` alone lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*/\1/p' $(firstword $(MAKEFILE_LIST)))

CARGO ?= cargo
# What --version calls the build. Only the program's own file is compiled anew for it, and nothing of the enclave.
ifndef NITRO_ELECT_BUILD
NITRO_ELECT_BUILD := $(shell git describe --always --dirty --tags 2>/dev/null)
endif
export NITRO_ELECT_BUILD
# Where `make install` puts things; DESTDIR is for packages and images.
PREFIX ?= /usr/local
RELEASE := $(or $(CARGO_TARGET_DIR),target)/release
# Debian packages that tests and checks use beyond rustup's toolchain; COMMAND=PACKAGE where another vendor's package may
# own the command's file, and then Debian's would refuse to be installed.
DEBIAN_PACKAGES := buildah chromium debootstrap fonts-dejavu-core fonts-inter gcc git kubectl=kubernetes-client libc6-dev \
  postgresql procps prometheus systemd systemd-container
CARGO_DENY := 0.20.2
# Programs built as `cargo test` builds them: only beside a target that uses dev-dependencies, such as an example, does
# Cargo unite their features too, and otherwise it would build half of everything twice.
AS_TESTED := --bins --examples

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.* ## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16

run: ## the demo: elect a leader, verify it, kill it, elect the next; exits 0 if all went as it must
	$(CARGO) build --locked --workspace --bins
	@$${CARGO_TARGET_DIR:-target}/debug/nitro-elect demo --once

test: ## every test there is, end to end included
	$(CARGO) build --locked --workspace $(AS_TESTED)
	@$(MAKE) --no-print-directory emulated-eif
	$(CARGO) test --locked --workspace
	CARGO='$(CARGO)' tests/mutants/run views-despite-a-promise own-view-not-durable margin-of-1-percent

boot: ## boot the enclave's image in an emulation, elect by it, kill it, elect by the next one
	$(CARGO) build --locked --workspace $(AS_TESTED)
	@$(MAKE) --no-print-directory emulated-eif
	$(CARGO) test --locked --workspace --test boot -- --nocapture

emulated-eif: ## the image that `make boot` boots, where `make deps` has installed what that needs
	@if { command -v qemu-system-x86_64 && command -v vhost-device-vsock && enclave/image/debian-kernel; } >/dev/null 2>&1; \
	then target=$${CARGO_TARGET_DIR:-target}; \
	  EMULATION=1 OUT=$$target/emulation WRITER=$$target/debug/nitro-elect CARGO='$(CARGO)' enclave/image/eif; fi

check: ## formatting, lints, documentation, and what may be linked
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps
	@if $(CARGO) deny --version >/dev/null 2>&1; then \
	  $(CARGO) deny --locked check licenses bans sources; \
	else \
	  echo "SKIPPED: licences, bans and sources: cargo-deny is missing; install it with: make deps" >&2; \
	  [ -z "$${NITRO_ELECT_NO_SKIP:-}" ]; \
	fi

screenshot: ## docs/dashboard.png anew: the page of a cluster whose leader was killed, in a headless Chromium
	$(CARGO) run --locked --package nitro-elect-tests --bin screenshot -- docs/dashboard.png

simulate: ## whole clusters from seeds: SECS=60 of fresh ones, or SEED=n alone, with TRACE=1 its event log; HUNT=name
	$(CARGO) build --locked --release -p nitro-elect-tests --bin simulate
	@$${CARGO_TARGET_DIR:-target}/release/simulate $(if $(HUNT),--hunt $(HUNT)) $(if $(SEED),--seed $(SEED) --seeds 1,--secs $(or $(SECS),60)) $(if $(TRACE),--trace)

exhaust: ## every state of a small cluster within bounds: BOUNDS='--led --ticks 4', see exhaust --help
	$(CARGO) build --locked --release -p nitro-elect-tests --bin exhaust
	@$${CARGO_TARGET_DIR:-target}/release/exhaust $(BOUNDS)

bench: ## how long four nodes are without a leader after its process is killed, in release: ROUNDS=30, fails over 50 ms
	$(CARGO) build --locked --release -p nitro-elect -p nitro-elect-tests --bin nitro-elect --bin failover
	@$${CARGO_TARGET_DIR:-target}/release/failover --rounds $(or $(ROUNDS),30)

campaign: ## KILLS=1000 leading processes die before a gate, and 1000 around a fenced store: nothing may be written twice
	KILLS=$(or $(KILLS),1000) $(CARGO) test --locked --workspace --test gate --test fence -- --ignored --nocapture campaign

mutants: ## remove one guard at a time, and demand that the simulator notices (about a quarter of an hour)
	CARGO='$(CARGO)' tests/mutants/run

enclave: ## the static program of the enclave's image; prints its path
	@CARGO='$(CARGO)' enclave/image/program

eif: ## the enclave's image and its measurements: from nitro-cli, from KERNEL= (MODULES=, CMDLINE=), or for an emulation
	@CARGO='$(CARGO)' enclave/image/eif

measure: ## program and image, each built twice in different folders: exits 0 only if every byte is equal
	@CARGO='$(CARGO)' enclave/image/measure

container-test: ## Dockerfile.enclave built by buildah, offline: exits 0 only if its binary is `make enclave`'s (as root)
	@CARGO='$(CARGO)' enclave/image/container-test

tcb: ## what has to be trusted inside the image: lines of our code, and each crate linked with it
	@CARGO='$(CARGO)' enclave/image/tcb

release: ## the program as it ships; prints its path
	@$(CARGO) build --locked --release --package nitro-elect
	@echo $(RELEASE)/nitro-elect

install: ## what `make release` built, completions, systemd units: under PREFIX=/usr/local, DESTDIR= before it (as root)
	@[ -x $(RELEASE)/nitro-elect ] || { echo "there is no $(RELEASE)/nitro-elect; build it with: make release" >&2; exit 1; }
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,bin libexec/nitro-elect lib/systemd/system lib/sysusers.d \
	  share/nitro-elect share/doc/nitro-elect share/bash-completion/completions share/zsh/site-functions share/fish/vendor_completions.d)
	install -m 755 $(RELEASE)/nitro-elect $(DESTDIR)$(PREFIX)/bin/
	install -m 755 deploy/enclave-keeper $(DESTDIR)$(PREFIX)/libexec/nitro-elect/
	install -m 644 deploy/systemd/nitro-elect.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/nitro-elect.conf
	install -m 644 deploy/systemd/*.env deploy/prometheus/alerts.yml $(DESTDIR)$(PREFIX)/share/nitro-elect/
	install -m 644 README.md CHANGELOG.md LICENSE docs/*.md $(DESTDIR)$(PREFIX)/share/doc/nitro-elect/
	for unit in deploy/systemd/*.service; do \
	  sed 's|@PREFIX@|$(PREFIX)|g' $$unit >$(DESTDIR)$(PREFIX)/lib/systemd/system/$${unit##*/}; done
	$(RELEASE)/nitro-elect completions bash >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/nitro-elect
	$(RELEASE)/nitro-elect completions zsh >$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_nitro-elect
	$(RELEASE)/nitro-elect completions fish >$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/nitro-elect.fish

uninstall: ## remove what `make install` put under PREFIX; state and configuration stay
	rm -rf $(addprefix $(DESTDIR)$(PREFIX)/,libexec/nitro-elect share/nitro-elect share/doc/nitro-elect)
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/,$(patsubst deploy/systemd/%,lib/systemd/system/%,$(wildcard deploy/systemd/*.service)) \
	  bin/nitro-elect lib/sysusers.d/nitro-elect.conf share/bash-completion/completions/nitro-elect \
	  share/zsh/site-functions/_nitro-elect share/fish/vendor_completions.d/nitro-elect.fish)

systemd-test: ## the units in a Debian booted by systemd: exits 0 only if node and proxy work under them (as root)
	@deploy/systemd/try

deps: ## install what tests and checks need: Debian packages (as root), cargo-deny, and what emulates an enclave
	@missing=; \
	for package in $(DEBIAN_PACKAGES); do \
	  case $$package in *=*) ! command -v $${package%=*} >/dev/null || continue; package=$${package#*=};; esac; \
	  [ "$$(dpkg-query -W -f '$${db:Status-Status}' $$package 2>/dev/null)" = installed ] || missing+=" $$package"; \
	done; \
	root=; [ "$$(id -u)" = 0 ] || root=sudo; \
	if [ -n "$$missing" ]; then \
	  $$root apt-get update; \
	  $$root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $$missing; \
	fi
	@[ "$$($(CARGO) deny --version 2>/dev/null)" = "cargo-deny $(CARGO_DENY)" ] || \
	  $(CARGO) install --locked cargo-deny --version $(CARGO_DENY)
	@CARGO='$(CARGO)' tests/emulation/install
