//! What `--help` says.

/// Of the tool.
pub const TOOL: &str = "\
corallite: quantized TFLite models on integer-only kernels

usage: corallite COMMAND [OPTIONS]

commands:
  run       runs a model on arrays in .npy files
  inspect   shows what a model file holds
  check     lists everything that is wrong or odd about a model's quantization
  rules     prints the rules that check applies

`corallite COMMAND --help` explains a command. Exit codes: 0 success, 1 failure (one line on stderr says why),
2 wrong usage. RUST_LOG=debug shows what the library does.
";

/// Of `corallite run`.
pub const RUN: &str = "\
Runs a model on arrays in .npy files and writes its outputs as OUT/out0.npy, OUT/out1.npy ... in the model's order.

usage: corallite run MODEL --input IN0.npy [--input IN1.npy ...] --output-dir OUT [OPTIONS]
       corallite run --batch LIST [OPTIONS]

  -i, --input FILE       an array for each of the model's n inputs, in order: same element type, same shape (axes that
                         the model leaves open may differ). K times n arrays are K invocations in a row with state kept;
                         output j of invocation k is out{k*n_outputs+j}.npy. A model without inputs runs once.
  -o, --output-dir OUT   folder for the outputs; made if absent. Files appear there only when all invocations succeeded.
      --profile NAME     whose arithmetic: tflite (default), litert, single-rounding
      --kernels NAME     fastest (default) or reference; both give the same numbers
      --threads N        threads one operator may use, 1 (default) to 256; the numbers are the same for every N
      --batch LIST       runs a case per line of the file LIST: MODEL TAB IN0.npy TAB ... TAB OUT. Empty lines and lines
                         that start with # are skipped; paths are relative to the current folder. A case that fails leaves
                         its reason in OUT/error.txt, and the batch goes on. A model stays loaded while consecutive lines
                         name it. Exit code 0 when every case ran, 1 when any failed.
  -h, --help             this text
";

/// Of `corallite inspect`.
pub const INSPECT: &str = "\
Shows what a model file holds: operators with types and counts, inputs and outputs, tensors, quantization, arena size,
multiply-accumulate operations, signatures and metadata.

usage: corallite inspect MODEL [--json]

      --json             everything as one JSON object
  -h, --help             this text
";

/// Of `corallite check`.
pub const CHECK: &str = "\
Lists every finding on a model's quantization parameters, in file order, and the operators that have no kernel here.

usage: corallite check MODEL [--json]

      --json             {\"findings\": [{rule, severity, subgraph, operator, tensor, found, expected, remedy}],
                         \"operators_without_kernel\": [...], \"summary\": {...}}; of a file that is no model,
                         {\"error\": ...}
  -h, --help             this text

Exit code 0 without errors (warnings alone are none), 1 with errors or when the file is no model.
`corallite rules` prints the rules.
";

/// Of `corallite rules`.
pub const RULES: &str = "\
Prints the rules that loading and `corallite check` apply, as Markdown.

usage: corallite rules
";
