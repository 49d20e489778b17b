# Steps for other targets: a static build, and tests under an emulator.

musl() {
    packages musl-tools linux-libc-dev
    target x86_64-unknown-linux-musl
    # musl's wrapper hides the kernel's headers, which libusb needs. Whether the tool links and starts is what is asked here:
    # without optimisation the answer takes a quarter of the time.
    CFLAGS_x86_64_unknown_linux_musl="-idirafter /usr/include -idirafter /usr/include/x86_64-linux-gnu" \
    CARGO_PROFILE_DEV_OPT_LEVEL=0 \
        cargo build --locked --target x86_64-unknown-linux-musl --features cli,vendored-libusb --bin corallite
    local tool=target/x86_64-unknown-linux-musl/debug/corallite
    if ldd "$tool" 2>/dev/null | grep -q '=>'; then
        say "$tool is not static"
        return 1
    fi
    "$tool" inspect examples/data/fashion_mnist_int8.tflite
    "$tool" check examples/data/fashion_mnist_int8.tflite
}

# Those that an emulator runs in reasonable time and that need neither the tool nor the layers' sources.
cross_tests=(bundled_model fixedpoint_vectors host_abi models edgetpu npy npz threads vision)

# On 32 bits the messages about arrays beyond the address space are others than the tests of npy expect.
cross_tests_32=(bundled_model fixedpoint_vectors host_abi models edgetpu)

# Those that start programs of the target, which needs the kernel to know the emulator.
worker_tests=(delegated isolation libedgetpu_log)

# Tells the kernel which programs the emulator runs; false where it cannot be told.
programs_start_emulated() {
    packages qemu-user-binfmt binfmt-support
    local registry=/proc/sys/fs/binfmt_misc
    [ -e "$registry/register" ] || mount -t binfmt_misc none "$registry" || return
    [ -e "$registry/$1" ] || update-binfmts --enable "$1" || return
    [ -e "$registry/$1" ]
}

# tests_under TRIPLE EMULATOR LIBRARIES COMPILER TEST...
# The same profile, target and features for all (`build`): the library is built once, and optimised little: its build takes longer than
# its tests.
tests_under() {
    local triple=$1 emulator=$2 libraries=$3 compiler=$4 variable
    shift 4
    target "$triple"
    variable=CARGO_TARGET_$(tr a-z- A-Z_ <<<"$triple")
    has_test_data || skip "models of the corpus on $triple"
    local tests=("$@") arguments=()
    if programs_start_emulated "$emulator"; then
        tests+=("${worker_tests[@]}")
    else
        skip "processes that fail, and isolated devices, on $triple (no binfmt_misc)"
        arguments=(--skip failing_device_takes_the_process_with_it)
    fi
    export "${variable}_LINKER=$compiler" "${variable}_RUNNER=$emulator" QEMU_LD_PREFIX=$libraries
    export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OPT_LEVEL=1
    build=(--locked --release --target "$triple" --features vendored-libusb,cli)
    cargo build "${build[@]}" --example standin
    CORALLITE_TEST_MODELS=$small_models CORALLITE_STANDIN="$PWD/target/$triple/release/examples/libstandin.so" \
        cargo test "${build[@]}" "${tests[@]/#/--test=}" -- "${arguments[@]}"
}

aarch64() {
    packages qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross
    tests_under aarch64-unknown-linux-gnu qemu-aarch64 /usr/aarch64-linux-gnu aarch64-linux-gnu-gcc \
        "${cross_tests[@]}"
    # The kernels of both instruction sets: without dot products and with them.
    local processor
    for processor in cortex-a53 cortex-a76; do
        QEMU_CPU=$processor cargo test "${build[@]}" --lib -- variants taps fast:: rescaled
    done
}

armv7() {
    packages qemu-user gcc-arm-linux-gnueabihf libc6-dev-armhf-cross
    tests_under armv7-unknown-linux-gnueabihf qemu-arm /usr/arm-linux-gnueabihf arm-linux-gnueabihf-gcc \
        "${cross_tests_32[@]}"
}
