# Cases drawn at random against the peers' reference kernels.

# Which cases; any number gives others.
: "${CORALLITE_SEED:=1}"

conformance() {
    local peers=target/peers cases=target/conformance-cases
    if [ ! -x "$peers/bin/python" ]; then
        packages python3-venv
        say "pip installs numpy, flatbuffers, tflite-runtime and ai-edge-litert into $peers"
        python3 -m venv "$peers"
        "$peers/bin/pip" -q --disable-pip-version-check install -r tests/conformance/requirements.txt
    fi
    rm -rf "$cases"
    "$peers/bin/python" tests/conformance/generate.py --seed "$CORALLITE_SEED" --least 5000 --out "$cases"
    CORALLITE_CONFORMANCE="$PWD/$cases" cargo test --locked --release --test conformance -- --nocapture
}
