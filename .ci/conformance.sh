# Cases drawn at random against the peers' reference kernels.

# Which cases; any number gives others.
: "${CORALLITE_SEED:=1}"

conformance() {
    local cases=target/conformance-cases
    peers
    rm -rf "$cases"
    "$python" tests/conformance/generate.py --seed "$CORALLITE_SEED" --least 5000 --out "$cases"
    CORALLITE_CONFORMANCE="$PWD/$cases" cargo test --locked --release --test conformance -- --nocapture
}
