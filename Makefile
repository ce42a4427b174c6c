# Each goal installs what it needs and says so. Start with: make help

# Foreign clients that judge the service in the tests.
TEST_PACKAGES = curl swaks libnet-ssleay-perl libdigest-hmac-perl libauthen-sasl-perl \
	msmtp mpop fetchmail getmail6 gsasl openssl python3 strace \
	isync neomutt tmux chromium pebble thunderbird xvfb
# What the C and assembler parts of dependencies (SQLite, AWS-LC) are built with.
BUILD_PACKAGES = gcc g++ make libc6-dev
PACKAGES = tools/install-packages.sh

.PHONY: help demo test check bench fuzz build-packages

help: ## This list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

build-packages:
	@$(PACKAGES) "to build the program" $(BUILD_PACKAGES)

demo: build-packages ## Build, start a filled demo service on loopback, say how to connect; Ctrl-C ends it
	cargo build --release -p sealpost
	cargo run --quiet --release -p sealpost -- demo $(DEMO)

test: build-packages ## All tests, those with foreign clients included
	@$(PACKAGES) "for the tests with foreign clients" $(TEST_PACKAGES)
	@tools/install-clients.sh
	@tools/install-servers.sh
	cargo build --workspace
	cargo test --workspace

check: build-packages ## Format, lints, licences and advisories of dependencies, house rules
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	@command -v cargo-deny >/dev/null || { \
		echo "Installing cargo-deny with cargo, to check licences and advisories"; \
		cargo install cargo-deny --locked; }
	cargo deny --color never check bans licenses sources
	tools/advisories.sh
	cargo test --quiet -p sealpost-testkit --test tidy

bench: build-packages ## Measure ourselves and a peer from Debian in one run
	@test -x bench/run || { echo "bench/run is missing: the load generator comes with the benches" >&2; exit 1; }
	bench/run $(BENCH)

fuzz: build-packages ## Each fuzz target for a minute (FUZZ_SECONDS=60, FUZZ=target for one)
	tools/fuzz.sh $(FUZZ)
