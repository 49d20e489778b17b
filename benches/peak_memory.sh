#!/usr/bin/env bash
# Peak memory of `classify` on mobilenet_v2_1.0_224_quant with a photograph: at most 20 MB. Needs the Debian package time.
set -euo pipefail
cd "$(dirname "$0")/.."
corpus=${CORALLITE_TEST_DATA:-../shared}/corpus
cargo build --locked --release --example classify
peak=$(/usr/bin/time -f %M target/release/examples/classify \
    --model "$corpus/models/mobilenet_v2_1.0_224_quant.tflite" --labels "$corpus/media/imagenet_labels.txt" \
    --input "$corpus/media/parrot.jpg" 2>&1 >/dev/null | tail -n 1)
echo "peak memory of classify on mobilenet_v2_1.0_224_quant: $peak KiB"
[ "$peak" -lt $((20 * 1000 * 1000 / 1024)) ]
