//! What `--help` says.

/// Of `corallite qat`.
pub const QAT: &str = "\
The numbers of quantization-aware training, as TensorFlow and the converters compute them.

usage: corallite qat COMMAND [OPTIONS]

commands:
  qparams   scale and zero point of a range, in training and after conversion
  fq        rounds an array as FakeQuant does, and its gradients
  compare   training's activations against the integer model's, layer by layer
  diff      two models, or one in two arithmetics, layer by layer
  lint      what is wrong or wasted in a model, and what an Edge TPU cannot take
  budget    how far rounding may take each layer from the one that was trained

`corallite qat COMMAND --help` explains a command.
";

/// Of `corallite qat qparams`.
pub const QPARAMS: &str = "\
Shows scale and zero point of a range as training's FakeQuant chooses them (float32) and as a converter stores them
(float64), and says where the two differ.

usage: corallite qat qparams --min A --max B [OPTIONS]

      --min A[,A...]     lower end of the range; several for several channels
      --max B[,B...]     upper end, as many
      --type TYPE        uint8 (default), int8 or int16
      --bits N           2 to 16; default is the type's
      --narrow           without the lowest code, as weights are quantized
      --symmetric        widens the range around zero first
      --profile NAME     one side alone: tf1.13, tf2 or tflite (FakeQuant, the same in all three), or toco (converter)
      --input-scale S    with --weight-scale: also the multiplier S * W / scale of a layer whose output the range is, as the
      --weight-scale W   kernels use it: a 31-bit integer and a shift
      --json             everything as one JSON object
  -h, --help             this text

Exit code 0; 1 when a range can neither be trained nor converted.
";

/// Of `corallite qat fq`.
pub const FQ: &str = "\
Rounds a float32 array as a FakeQuant node does and writes the result as array `y`; bit-exact with the framework named.

usage: corallite qat fq IN.npz --min A --max B -o OUT.npz [OPTIONS]

      --min A[,A...]     lower end of the range; several for channels along the last axis
      --max B[,B...]     upper end, as many
  -o, --output OUT.npz   the archive to write
      --array NAME       which array; default is `x`, or the only one
      --bits N           2 to 16, default 8
      --narrow           without the lowest code
      --profile NAME     tf1.13 (default), tf2 or tflite
      --grad             also reads array `g`, the gradients of the result, and writes `dx`, `dmin` and `dmax`
  -h, --help             this text

Values that are not numbers are refused; infinities are clamped.
";

/// Of `corallite qat compare`.
pub const COMPARE: &str = "\
Compares training's activations with those of the integer model, layer by layer, in LSB, and names the first layer whose
differences rounding does not explain, with the likeliest cause.

usage: corallite qat compare MODEL DUMP.npz [OPTIONS]

DUMP.npz holds the values of the training graph in evaluation mode, samples along axis 0: the input (an array named as the
model's input, or beginning with `input`; codes or real values) and the output of each layer behind its FakeQuant node.
Weights (`LAYER...weight...` or `...kernel...`) and biases (`LAYER...bias`) beside them make causes certain. Arrays are
paired with tensors by name, else by value where one is by far the nearest; what is ambiguous is not paired.

      --map MAP.json     {\"inputs\": {INPUT: ARRAY}, \"tensors\": {TENSOR: ARRAY or null}}; names or indices
      --local            also the histogram of each layer's own differences
      --profile NAME     whose arithmetic: tflite (default), litert, single-rounding
      --html OUT.html    also a page with pictures
      --json             everything as one JSON object
  -h, --help             this text

Columns: differ, max, mean, SQNR, sat and codes are of the model as it runs, with all that came before. The local ones are
of the layer alone, on training's own inputs: exact, explained by rounding (within 0.5 + M/2 + 2^-(s+1) LSB of the real
number, or the operator's tolerance), or UNEXPLAINED. Exit code 0 when nothing is unexplained, else 1.
";

/// Of `corallite qat diff`.
pub const DIFF: &str = "\
Compares two models, or one model in two arithmetics, on the same inputs: per layer how many codes differ and by how many
LSB, which layers differ by themselves and which only pass on what came before, and what is not the same about them.

usage: corallite qat diff A [B] [OPTIONS]

Layers are matched by name, else in order among those of one operator and shape; what is ambiguous is not matched.

      --profile-a NAME   A's arithmetic: tflite (default), litert, single-rounding
      --profile-b NAME   B's; without a second model, A's file runs in both
  -i, --input FILE       a .npy file for each input of A in order, samples along axis 0; or one .npz with arrays named as
                         the inputs, or beginning with `input`. Integers are codes of A, floats are real values; B gets
                         the same real values.
      --samples N        without inputs: N inferences (default 4) on random codes over the full range of each input
      --seed N           of the random codes, default 1
      --json             everything as one JSON object
  -h, --help             this text

Columns: differ, max and mean (with its sign, A minus B) are of the two runs as they are, in LSB of A. own differ and own
max are of the layer alone, A's on B's values. Exit code 0 when no code differs, else 1.
";

/// Of `corallite qat lint`.
pub const LINT: &str = "\
Lists every finding on a model, in file order: what `corallite check` finds, ranges and weights that waste codes, floats
between quantized operators. Reads the model alone: no data, nothing runs.

usage: corallite qat lint MODEL [--edgetpu] [--json]

      --edgetpu          also which operators the Edge TPU compiler maps by its published conditions, where the graph is
                         cut, and what share of the multiply-accumulate operations stays in front of the cut
      --json             {\"findings\": [{rule, severity, subgraph, operator, tensor, found, expected, remedy}],
                         \"edge_tpu\": {...} or null, \"summary\": {...}}; of a file that is no model, {\"error\": ...}
  -h, --help             this text

Exit code 0 without errors (warnings alone are none; what does not map is a warning), 1 with errors or when the file is no
model. `corallite rules` prints the rules.
";

/// Of `corallite qat budget`.
pub const BUDGET: &str = "\
Tells per layer, from the model alone, how far rounding may take it from the layer that was trained, and what to expect of
all layers together.

usage: corallite qat budget MODEL [--json]

      --json             {\"layers\": [{operator, kind, tensor, name, multiplier, bound_lsb, local_rms_lsb, rms_lsb}]}
  -h, --help             this text

Columns, in LSB of the tensor: M is input scale * weight scale / output scale, the largest of all channels; bound how far the
layer may be off alone, on training's own input: 0.5 + M/2 + 2^-(s+1) from the real number for operators with weights, from
training's code for others. local RMS and RMS predict the differences that the layer adds and those that arrive there: of the
order of magnitude of what `qat compare` measures. A dash stands where an operator's arithmetic is not modelled.
";
