//! What `--help` says.

/// Of the tool.
pub const TOOL: &str = "\
corallite: quantized TFLite models on integer-only kernels and the Coral Edge TPU

usage: corallite COMMAND [OPTIONS]

commands:
  run       runs a model on arrays in .npy files
  bench     measures how long a model takes
  inspect   shows what a model file holds
  check     lists everything that is wrong or odd about a model's quantization
  rules     prints the rules that check and qat lint apply
  devices   lists the Edge TPUs of this machine
  doctor    tells why an Edge TPU does not work, and what to do
  qat       the numbers of quantization-aware training

`corallite COMMAND --help` explains a command. Exit codes: 0 success, 1 failure (one line on stderr says why),
2 wrong usage. RUST_LOG=debug shows what the library does.

A DEVICE is one of
  auto              the first Edge TPU that can be used (default); a model that is not compiled runs on the CPU
  cpu               no Edge TPU
  usb, pci          the first of its kind; usb:N, pci:N, :N by number
  /dev/apex_0, /sys/bus/usb/devices/2-1
                    by path
and may stand behind a model as well: MODEL@DEVICE. The environment: CORALLITE_LIBEDGETPU names the libedgetpu to load,
CORALLITE_EDGETPU_OPTIONS its options (NAME=VALUE,...), CORALLITE_EDGETPU_VERBOSITY (0 to 10) how much it tells on
stderr, CORALLITE_LOCK_DIR where the locks of devices lie.
";

/// Of `corallite run`.
pub const RUN: &str = "\
Runs a model on arrays in .npy files and writes its outputs as OUT/out0.npy, OUT/out1.npy ... in the model's order.

usage: corallite run MODEL[@DEVICE] --input IN0.npy [--input IN1.npy ...] --output-dir OUT [OPTIONS]
       corallite run --batch LIST [OPTIONS]

  -i, --input FILE       an array for each of the model's n inputs, in order: same element type, same shape (axes that
                         the model leaves open may differ). K times n arrays are K invocations in a row with state kept;
                         output j of invocation k is out{k*n_outputs+j}.npy. A model without inputs runs once.
  -o, --output-dir OUT   folder for the outputs; made if absent. Files appear there only when all invocations succeeded.
      --profile NAME     whose arithmetic: tflite (default), litert, single-rounding
      --kernels NAME     fastest (default), reference, or one instruction set's: avx512vnni, avx512bw, avx2, dotprod,
                         neon, portable; all give the same numbers
      --threads N        threads one operator may use, 1 (default) to 256; the numbers are the same for every N
      --signature NAME   runs the signature NAME of the model (`corallite inspect` lists them): its inputs and outputs, in
                         the order of its subgraph
      --resize           inputs take their arrays' shapes (batch, height, width ...) even where the model declares others,
                         as far as its operators allow it
      --device DEVICE    where operators compiled for the Edge TPU run, see `corallite --help`: auto (default), cpu, usb:N,
                         pci:N, a path. One line on stderr says which device it is.
      --cpu-model FILE   the model that the compiled one was compiled from: runs in its place where auto finds no device
      --isolated         libedgetpu in a process of its own: a device that is lost fails the run with its reason
      --device-option NAME=VALUE
                         Performance=Low|Medium|High|Max, Usb.AlwaysDfu=True|False, Usb.MaxBulkInQueueLength=0..256 (0
                         may save time on models with large outputs); may be repeated
      --batch LIST       runs a case per line of the file LIST: MODEL TAB IN0.npy TAB ... TAB OUT. Empty lines and lines
                         that start with # are skipped; paths are relative to the current folder. A case that fails leaves
                         its reason in OUT/error.txt, and the batch goes on. A model stays loaded while consecutive lines
                         name it. Exit code 0 when every case ran, 1 when any failed.
  -h, --help             this text
";

/// Of `corallite bench`.
pub const BENCH: &str = "\
Measures how long a model takes on this machine, and how much memory. Inputs hold a fixed pattern.

usage: corallite bench MODEL [OPTIONS]

      --threads N        threads one operator may use, 1 (default) to 256
      --iters N          inferences that are measured, 50 by default
      --warmup N         inferences between the first and the measured ones, 1 by default
      --kernels NAME     fastest (default), reference, or one instruction set's: avx512vnni, avx512bw, avx2, dotprod,
                         neon, portable
      --profile-ops      also measures every operator, in N further inferences: median time, share, multiply-accumulates,
                         kernel
      --json             one line: median_us, min_us (wall time of an inference), cpu_us (least CPU time of an inference,
                         all threads), load_us (reading, checking and preparing), first_us, arena_bytes, peak_rss_bytes;
                         with --profile-ops also operators
  -h, --help             this text
";

/// Of `corallite inspect`.
pub const INSPECT: &str = "\
Shows what a model file holds: operators with types and counts, inputs and outputs, tensors, quantization, arena size,
multiply-accumulate operations, signatures and metadata. Of a model compiled for the Edge TPU also what runs there:
programs, what stays on the chip and what is sent for every inference, layers, and what is left to the CPU.

usage: corallite inspect MODEL [--cpu-model FILE] [--json]

      --cpu-model FILE   the model that it was compiled from: tells the share of the work that the Edge TPU does, which a
                         compiled model does not say
      --json             everything as one JSON object
  -h, --help             this text
";

/// Of `corallite check`.
pub const CHECK: &str = "\
Lists every finding on a model's quantization parameters, in file order, and the operators that have no kernel here;
those of an Edge TPU are counted for themselves.

usage: corallite check MODEL [--json]

      --json             {\"findings\": [{rule, severity, subgraph, operator, tensor, found, expected, remedy}],
                         \"operators_without_kernel\": [...], \"summary\": {...}}; of a file that is no model,
                         {\"error\": ...}
  -h, --help             this text

Exit code 0 without errors (warnings alone are none), 1 with errors or when the file is no model.
`corallite rules` prints the rules.
";

/// Of `corallite devices`.
pub const DEVICES: &str = "\
Lists the Edge TPUs of this machine, a line each: number, kind, path, then speed or temperature, state, whether this user
may open it, and which processes have it open. Needs neither libedgetpu nor root, and opens nothing.

usage: corallite devices [--json] [--root DIR]

      --json             an array of objects with everything known of each
      --root DIR         looks at the system whose /sys, /proc, /dev and /etc lie in DIR: the host of a container, or a copy
  -h, --help             this text

Exit code 0, with and without devices.
";

/// Of `corallite doctor`.
pub const DOCTOR: &str = "\
Walks the chain from libedgetpu to the chip, a line per check (ok, warn, fail or skip), with the fix below what is wrong.

usage: corallite doctor [MODEL[@DEVICE]] [--device DEVICE] [--no-open] [--json] [--root DIR]

  MODEL                  checks also whether this model fits the library
      --device DEVICE    looks at this device alone, see `corallite --help`
      --device-option NAME=VALUE
                         opens with this option, see `corallite run --help`
      --no-open          opens no device: opening takes 2 to 3 seconds on USB, and longer where it fails
      --json             {\"healthy\": ..., \"steps\": [{check, outcome, subject, found, findings: [{cause, severity, what,
                         found, fix}]}], \"devices\": [...], \"host\": {...}}
      --root DIR         looks at the system whose /sys, /proc, /dev and /etc lie in DIR, without libedgetpu
  -h, --help             this text

Exit code 0 when nothing keeps an Edge TPU from working (warnings alone are none), else 1. Causes have names that do not
change between versions, in brackets; docs/devices.md explains them.
";

/// Of `corallite rules`.
pub const RULES: &str = "\
Prints the rules that loading, `corallite check` and `corallite qat lint` apply, as Markdown.

usage: corallite rules
";
