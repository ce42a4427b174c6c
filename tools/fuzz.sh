#!/usr/bin/env bash
# Runs every fuzz target for a while (FUZZ_SECONDS, 60 by default) with libFuzzer,
# guided by coverage, on the stable compiler. It begins with fuzz/seeds/TARGET (ours)
# and fuzz/corpus/TARGET (found earlier); what is new and interesting is kept in the
# latter, what fails in fuzz/crashes/TARGET.
# Usage: tools/fuzz.sh [TARGET...]
set -euo pipefail
cd "$(dirname "$0")/../fuzz"

seconds=${FUZZ_SECONDS:-60}
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
    for file in src/bin/*.rs; do
        targets+=("$(basename "$file" .rs)")
    done
fi

# The counters that libFuzzer looks at come from an LLVM pass that the stable
# compiler takes; naming the host as target keeps them out of build scripts.
host=$(rustc -vV | sed -n 's/^host: //p')
export RUSTFLAGS="--cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module \
-Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
build=()
for target in "${targets[@]}"; do
    build+=(--bin "$target")
done
cargo build --release --target "$host" "${build[@]}"
binaries=${CARGO_TARGET_DIR:-target}/$host/release

failed=()
for target in "${targets[@]}"; do
    echo "== $target, $seconds s"
    mkdir -p "corpus/$target" "crashes/$target" "seeds/$target"
    log=crashes/$target/log
    if "$binaries/$target" "corpus/$target" "seeds/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -artifact_prefix="crashes/$target/" -print_final_stats=1 >"$log" 2>&1; then
        grep -E 'INITED|stat::number_of_executed_units|stat::peak_rss_mb' "$log" || true
        # Of what was found, a few inputs that reach every edge that was reached are kept.
        small=$(mktemp -d -p corpus)
        "$binaries/$target" -set_cover_merge=1 -use_counters=0 "$small" "corpus/$target" "seeds/$target" >>"$log" 2>&1
        rm -r "corpus/$target"
        mv "$small" "corpus/$target"
        chmod 755 "corpus/$target"
        echo "corpus: $(find "corpus/$target" -type f | wc -l) inputs"
    else
        tail -n 40 "$log"
        failed+=("$target")
    fi
done
if [ ${#failed[@]} -gt 0 ]; then
    echo "fuzz: FAILED: ${failed[*]}. To repeat one: $binaries/TARGET fuzz/crashes/TARGET/crash-..." >&2
    exit 1
fi
echo "fuzz: all ${#targets[@]} targets held"
