# Steps on the machine itself.

format() {
    component fmt rustfmt
    cargo fmt --check
}

# Applications that use the library get these crates and nothing else; what those need themselves is theirs.
dependencies() {
    local expected="bytemuck flatbuffers libc log rusb" found
    found=$(cargo tree --locked --edges normal --depth 1 --prefix none | tail -n +2 | cut -d ' ' -f 1 | sort -u | xargs)
    if [ "$found" != "$expected" ]; then
        say "runtime crates are $found, expected $expected"
        return 1
    fi
}

lint() {
    component clippy clippy
    cargo clippy --locked --all-targets -- -D warnings
    cargo clippy --locked --no-default-features -- -D warnings
    cargo clippy --locked --no-default-features --features npz -- -D warnings
    bash -n .ci/run
}

documentation() {
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps
}

tests() {
    has_test_data || skip "models of the corpus in tests (no $CORALLITE_TEST_DATA)"
    # Large models run in the step `release`; the others do not need the minutes that optimising takes.
    CARGO_PROFILE_DEV_OPT_LEVEL=0 CORALLITE_TEST_MODELS=$small_models cargo test
}

main_job() {
    local answer
    answer=$(cargo run --release --example classify)
    echo "$answer"
    # What the bundled picture shows.
    grep -q '^Ankle boot: ' <<<"$answer"
    if has_test_data; then
        local corpus=$CORALLITE_TEST_DATA/corpus
        answer=$(cargo run --release --example classify -- --model "$corpus/models/mobilenet_v2_1.0_224_quant.tflite" \
            --labels "$corpus/media/imagenet_labels.txt" --input "$corpus/media/parrot.jpg")
        echo "$answer"
        grep -q macaw <<<"$answer"
    fi
}

# Models written here run in real TFLite, of both generations, and NumPy reads what the tool writes.
written() {
    peers
    # Builds the tool, too: by itself, with the features of its own dependencies alone, it would take a library of its own.
    cargo test --locked --release --test oracle_convert
    local profile
    for profile in tflite litert; do
        "$python" tests/data/qat/check_written.py "$profile" target/tmp
    done
    "$python" examples/qat_fake_quant.py target/release/corallite
}

release() {
    has_test_data || { skip "models of the corpus, optimised build"; return; }
    cargo test --release --test models --test allocation --test threads
}

# Some fifty thousand corrupted models, of every operator and of the corpus: no panic, none over 5 s or 1 GB.
mutants() {
    has_test_data || skip "corrupted models of the corpus"
    CORALLITE_MUTANTS=10 cargo test --locked --release --test hostile -- --nocapture
}

# Undefined behaviour in loading, verification, the reference kernels and the arena: Miri runs the unit tests of these
# layers, programs of several subgraphs, sparse constants, and a sample of the conformance cases of an operator of each
# family. Needs a nightly toolchain.
miri() {
    rustup toolchain install nightly --profile minimal --component miri,rust-src
    # Files are read, and functions of libm give the platform's numbers.
    export MIRIFLAGS="-Zmiri-disable-isolation -Zmiri-deterministic-floats"
    local miri=(cargo +nightly miri test --locked --target-dir target/miri)
    "${miri[@]}" --lib -- tensor:: model:: plan:: ops:: fast::
    "${miri[@]}" --test programs --test sparse
    CORALLITE_CONFORMANCE_ONLY=BATCH_MATMUL,CONV_2D,IF,LEAKY_RELU,RANGE,SCATTER_ND \
        "${miri[@]}" --test conformance committed_vectors_are_reproduced -- --nocapture
}

# Peak memory of the main job on a large model: below 20 MB.
memory() {
    has_test_data || { skip "peak memory"; return; }
    packages time
    bash benches/peak_memory.sh
}
