# What the machine lacks, installed by name, and words for the log.

export CARGO_TERM_COLOR=never
export DEBIAN_FRONTEND=noninteractive
# Nothing is rebuilt twice here, so the state that speeds up rebuilding is not worth its time.
export CARGO_INCREMENTAL=0

: "${CORALLITE_TEST_DATA:=$PWD/../shared}"
export CORALLITE_TEST_DATA
skipped=""

say() {
    echo "== $*" >&2
}

skip() {
    say "SKIPPED: $*"
    skipped="$skipped $*."
}

has_test_data() {
    [ -d "$CORALLITE_TEST_DATA/corpus" ]
}

# packages NAME... installs the Debian packages that are not there yet.
packages() {
    local name missing=()
    for name in "$@"; do
        if [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null || true)" != installed ]; then
            missing+=("$name")
        fi
    done
    if [ ${#missing[@]} -eq 0 ]; then
        return
    fi
    say "apt installs ${missing[*]}"
    apt-get -qq update
    apt-get -qq install --no-install-recommends "${missing[@]}" >/dev/null
}

# Sets `python` to one that has NumPy and both generations of TFLite.
peers() {
    local environment=target/peers
    python=$environment/bin/python
    if [ ! -x "$python" ]; then
        packages python3-venv
        say "pip installs numpy, flatbuffers, tflite-runtime and ai-edge-litert into $environment"
        python3 -m venv "$environment"
        "$environment/bin/pip" -q --disable-pip-version-check install -r tests/conformance/requirements.txt
    fi
}

# component NAME installs a part of the toolchain that is not there yet, such as clippy.
component() {
    if ! cargo "$1" --version >/dev/null 2>&1; then
        say "rustup adds $2"
        rustup component add "$2"
    fi
}

# target TRIPLE installs the standard library of a target that is not there yet.
target() {
    if [ ! -d "$(rustc --print sysroot)/lib/rustlib/$1/lib" ]; then
        say "rustup adds target $1"
        rustup target add "$1"
    fi
}

# Small models that between them hold every operator family; whole MobileNets take minutes under an emulator or unoptimised.
small_models=arm_cnn_s_quantized,hello_world_int8,micro_speech_quantized,mlperf_ad01_int8,mlperf_kws_ref,mobilenet_v1_0.25_128_quant,mnistnet_u8,person_detect,tinymaix_mnist_arduino,tinymaix_mnist_dw
