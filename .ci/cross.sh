# Steps for other targets: a static build, and tests under an emulator.

# Small models that between them hold every operator family; whole MobileNets take minutes under an emulator.
small_models=arm_cnn_s_quantized,hello_world_int8,micro_speech_quantized,mlperf_ad01_int8,mlperf_kws_ref,mnistnet_u8,person_detect,tinymaix_mnist_arduino,tinymaix_mnist_dw

musl() {
    packages musl-tools linux-libc-dev
    target x86_64-unknown-linux-musl
    # musl's wrapper hides the kernel's headers, which libusb needs.
    CFLAGS_x86_64_unknown_linux_musl="-idirafter /usr/include -idirafter /usr/include/x86_64-linux-gnu" \
        cargo build --locked --release --target x86_64-unknown-linux-musl --features cli,vendored-libusb --bin corallite
    local tool=target/x86_64-unknown-linux-musl/release/corallite
    if ldd "$tool" 2>/dev/null | grep -q '=>'; then
        say "$tool is not static"
        return 1
    fi
    "$tool" inspect examples/data/fashion_mnist_int8.tflite
    "$tool" check examples/data/fashion_mnist_int8.tflite
}

# Those that an emulator runs in reasonable time and that need neither the tool nor the layers' sources. Tests that start
# workers or load the stand-in run on the machine itself: under the emulator they are slow and some of them time out.
cross_tests=(bundled_model fixedpoint_vectors host_abi models npy npz threads vision)

# On 32 bits the messages about arrays beyond the address space are others than the tests of npy expect.
cross_tests_32=(bundled_model fixedpoint_vectors host_abi models)

# tests_under TRIPLE EMULATOR LIBRARIES COMPILER TEST...
tests_under() {
    local triple=$1 emulator=$2 libraries=$3 compiler=$4 variable
    shift 4
    target "$triple"
    variable=$(tr a-z- A-Z_ <<<"$triple")
    has_test_data || skip "models of the corpus on $triple"
    env "CARGO_TARGET_${variable}_LINKER=$compiler" "CARGO_TARGET_${variable}_RUNNER=$emulator -L $libraries" \
        CORALLITE_TEST_MODELS="$small_models" \
        cargo test --locked --release --target "$triple" --features vendored-libusb "${@/#/--test=}"
}

aarch64() {
    packages qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross
    tests_under aarch64-unknown-linux-gnu qemu-aarch64 /usr/aarch64-linux-gnu aarch64-linux-gnu-gcc \
        "${cross_tests[@]}"
}

armv7() {
    packages qemu-user gcc-arm-linux-gnueabihf libc6-dev-armhf-cross
    tests_under armv7-unknown-linux-gnueabihf qemu-arm /usr/arm-linux-gnueabihf arm-linux-gnueabihf-gcc \
        "${cross_tests_32[@]}"
}
