#!/usr/bin/env bash
# Fuzzes the targets: fuzz/run.sh SECONDS [TARGET...]. What is found lands in fuzz/artifacts/.
#
# Needs cargo-fuzz (`cargo install cargo-fuzz`) and a C++ compiler. Runs on the stable toolchain: no sanitizer, because
# what is fuzzed is safe code, whose defects are panics, loops and memory, which libFuzzer sees itself.
set -euo pipefail
cd "$(dirname "$0")"
seconds=$1
shift
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(load verify run package arrays labels)
data=${CORALLITE_TEST_DATA:-../../shared}
# Seconds for one input, on a clock that runs on while other programs have the CPU: more where they do.
limit=${CORALLITE_FUZZ_TIMEOUT:-5}

# Seeds: what the repository holds, and small files of the test data where it is there.
seeds() {
    mkdir -p "corpus/$1" "seeds/$1"
    case $1 in
        load | verify | run)
            cp ../examples/data/*.tflite "seeds/$1/"
            python3 seeds.py models ../tests/conformance/vectors "seeds/$1"
            if [ -d "$data/corpus" ]; then
                find "$data/corpus/models" -name '*.tflite' -size -200k -exec cp -n {} "seeds/$1/" \;
            fi ;;
        package) if [ -d "$data/corpus" ]; then python3 seeds.py options "$data/corpus/models" seeds/package; fi ;;
        arrays) cp ../tests/data/*/*.np[yz] "seeds/arrays/" ;;
        labels) cp ../examples/data/*.txt "seeds/labels/" ;;
    esac
}

for target in "${targets[@]}"; do
    seeds "$target"
    # -s none: see above. The variable lets the stable compiler take the coverage flags.
    RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none "$target" "corpus/$target" "seeds/$target" -- \
        -max_total_time="$seconds" -timeout="$limit" -rss_limit_mb=1024 -max_len=300000 -print_final_stats=1
done
