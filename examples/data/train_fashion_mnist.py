#!/usr/bin/env python3
"""Trains the bundled Fashion-MNIST model and writes it as a fully int8 TFLite file.

A small convolutional network (plain convolutions, one depthwise-separable and one inverted
residual block, global mean, one dense layer) goes through four steps:

1. float training with batch normalization, on augmented training images;
2. folding of every batch normalization into the convolution before it, so that the weights which
   are fake-quantized in step 3 are the very weights which are stored;
3. quantization-aware training: activation ranges start at measured values (tfmot's own start,
   [-6, 6], takes thousands of steps to leave), then all weights are fine-tuned; weights are
   per channel, depthwise ones too;
4. conversion, followed by the three accuracies on the 10 000 test images: float, fake-quant
   (what training saw) and integer (the file, on TFLite's reference kernels).

Arithmetic of the ends: input int8 [1, 28, 28, 1], scale 1/128, zero point 0, so the code is
`pixel - 128` (mean 128, std 128); output int8 [1, 10], softmax, scale 1/256, zero point -128.

Needs:
  pip: tensorflow==2.15.1 tensorflow-model-optimization==0.8.0 tf_keras==2.15.1
       (Python 3.9 to 3.11)
  apt: dataset-fashion-mnist (the four idx files)

Everything is seeded and runs on one thread: about 12 minutes on one x86-64 core. Leave this file
as it is while it runs: TensorFlow reads its source again when it traces a function.
"""

import argparse
import gzip
import os
import pathlib
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import numpy as np
import tensorflow as tf

import tensorflow_model_optimization as tfmot
from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import (
    default_8bit_quantize_registry as registry,
    default_8bit_quantizers as quantizers,
)

layers = tf.keras.layers

HERE = pathlib.Path(__file__).resolve().parent
BATCH = 128
CLASSES = 10


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data",
        type=pathlib.Path,
        default=pathlib.Path("/usr/share/datasets/fashion-mnist"),
        help="folder of the four idx .gz files (default: %(default)s)",
    )
    parser.add_argument(
        "--output",
        type=pathlib.Path,
        default=HERE / "fashion_mnist_int8.tflite",
        help="file to write (default: next to this script)",
    )
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    parser.add_argument(
        "--float-epochs", type=int, default=9, help="default: %(default)s"
    )
    parser.add_argument(
        "--qat-epochs", type=int, default=2, help="default: %(default)s"
    )
    parser.add_argument(
        "--holdout",
        type=int,
        default=0,
        metavar="N",
        help="measure on the last N training images, left out of training, instead of on the "
        "test images: for trying out changes (default: 0)",
    )
    parser.add_argument(
        "--limit",
        type=int,
        default=60000,
        metavar="N",
        help="train on the first N images only: for a quick check (default: all)",
    )
    return parser.parse_args()


# --- data -------------------------------------------------------------------------------------


def read_idx(path):
    """One gzipped idx file of unsigned bytes (magic 00 00 08 <rank>, big-endian dimensions)."""
    raw = gzip.decompress(path.read_bytes())
    if raw[:3] != b"\0\0\x08":
        raise SystemExit(f"{path}: not an idx file of bytes")
    rank = raw[3]
    shape = np.frombuffer(raw, ">u4", rank, 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(shape)


def load(folder, part):
    images = read_idx(folder / f"{part}-images-idx3-ubyte.gz")
    labels = read_idx(folder / f"{part}-labels-idx1-ubyte.gz")
    return images, labels


def normalize(pixels):
    """[n, 28, 28] pixels 0..255 -> [n, 28, 28, 1] reals in [-1, 127/128], exact in float32."""
    return (np.asarray(pixels, np.float32)[..., None] - 128.0) / 128.0


def augment(images, rng):
    """A varied copy of uint8 [n, 28, 28], one draw per image.

    Flip; shift, size, aspect and a slight turn (the background stays 0); blur; gain and a lifted
    background. Aspect goes down to 0.7 because a 4:3 photograph squeezed to a square does that.
    """
    n = len(images)

    def some(share):
        return rng.random(n) < share

    width = np.where(some(0.5), rng.uniform(0.85, 1.12, n), 1.0)
    height = width * np.where(some(0.3), rng.uniform(0.93, 1.07, n), 1.0)
    width = width * np.where(some(0.15), rng.uniform(0.7, 1.0, n), 1.0)
    width = width * np.where(some(0.5), -1.0, 1.0)  # flip
    angle = np.where(some(0.25), rng.uniform(-0.12, 0.12, n), 0.0)
    dx = np.where(some(0.5), rng.uniform(-2.0, 2.0, n), 0.0)
    dy = np.where(some(0.5), rng.uniform(-2.0, 2.0, n), 0.0)

    # Output pixel (x, y) reads input (a0 x + a1 y + a2, b0 x + b1 y + b2), about the middle.
    middle = 13.5
    cos, sin = np.cos(angle), np.sin(angle)
    a0, a1 = cos / width, sin / width
    b0, b1 = -sin / height, cos / height
    a2 = middle - (a0 + a1) * middle + dx
    b2 = middle - (b0 + b1) * middle + dy
    zero = np.zeros(n)
    transforms = np.stack([a0, a1, a2, b0, b1, b2, zero, zero], 1).astype(np.float32)

    gain = np.where(some(0.3), rng.uniform(0.75, 1.25, n), 1.0)
    lift = np.where(some(0.15), rng.uniform(0.0, 12.0, n), 0.0)
    blurred = some(0.15)

    out = np.empty((n, 28, 28), np.float32)
    for start in range(0, n, 2000):
        part = slice(start, start + 2000)
        moved = tf.raw_ops.ImageProjectiveTransformV3(
            images=tf.constant(images[part, ..., None], tf.float32),
            transforms=tf.constant(transforms[part]),
            output_shape=tf.constant([28, 28]),
            interpolation="BILINEAR",
            fill_mode="CONSTANT",
            fill_value=0.0,
        ).numpy()[..., 0]
        out[part] = moved
    soft = out[blurred]
    for axis in (1, 2):  # binomial 1-2-1; images are black at their edges, so wrapping is harmless
        soft = (np.roll(soft, 1, axis) + 2 * soft + np.roll(soft, -1, axis)) / 4
    out[blurred] = soft
    out = out * gain[:, None, None] + lift[:, None, None]
    return np.clip(np.rint(out), 0, 255)


# --- network ----------------------------------------------------------------------------------


def network(batch_norm):
    """The network up to its logits; without batch normalization the convolutions have a bias."""

    def end(x, name, relu):
        if batch_norm:
            x = layers.BatchNormalization(momentum=0.95, name=name + "_bn")(x)
            return layers.ReLU(6.0, name=name + "_relu")(x) if relu else x
        return x

    def options(name, relu):
        # Without batch normalization the activation is part of the convolution: behind one with a
        # ReLU layer of its own, tfmot 0.8.0 takes the quantization of the weights away.
        return {
            "padding": "same",
            "use_bias": not batch_norm,
            "activation": tf.nn.relu6 if relu and not batch_norm else None,
            "name": name,
        }

    def conv(x, name, filters, size=1, stride=1, relu=True):
        x = layers.Conv2D(filters, size, stride, **options(name, relu))(x)
        return end(x, name, relu)

    def depthwise(x, name):
        x = layers.DepthwiseConv2D(3, **options(name, relu=True))(x)
        return end(x, name, relu=True)

    image = layers.Input((28, 28, 1), name="image")
    x = conv(image, "stem", 16, 3)  # 28x28
    x = conv(x, "down1", 32, 3, stride=2)  # 14x14
    y = depthwise(x, "sep_dw")
    y = conv(y, "sep_pw", 32, relu=False)
    x = layers.Add(name="sep_add")([x, y])
    x = conv(x, "down2", 64, 3, stride=2)  # 7x7
    y = conv(x, "res_a", 64, 3)
    y = conv(y, "res_b", 64, 3, relu=False)
    x = layers.Add(name="res_add")([x, y])
    y = conv(x, "inv_expand", 128)
    y = depthwise(y, "inv_dw")
    y = conv(y, "inv_project", 64, relu=False)
    x = layers.Add(name="inv_add")([x, y])
    x = conv(x, "head", 192)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    logits = layers.Dense(CLASSES, name="logits")(x)
    return tf.keras.Model(image, logits, name="fashion")


def fold_batch_norm(trained):
    """The same function without batch normalization.

    With f = gamma / sqrt(variance + epsilon): weights * f, bias = beta - mean * f.
    """
    folded = network(batch_norm=False)
    for layer in folded.layers:
        if isinstance(layer, layers.Dense):
            layer.set_weights(trained.get_layer(layer.name).get_weights())
        elif isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D)):
            (weights,) = trained.get_layer(layer.name).get_weights()
            norm = trained.get_layer(layer.name + "_bn")
            gamma, beta, mean, variance = norm.get_weights()
            factor = gamma / np.sqrt(variance + norm.epsilon)
            if isinstance(layer, layers.DepthwiseConv2D):
                weights = weights * factor[:, None]  # [h, w, channel, 1]
            else:
                weights = weights * factor  # [h, w, in, out]
            layer.set_weights([weights, beta - mean * factor])
    return folded


# --- training ---------------------------------------------------------------------------------


def fit(model, images, labels, epochs, peak_rate, rng, weight_decay=0.0):
    """Adam with a short warm-up and a cosine to zero; new augmentation in each epoch."""
    steps = epochs * (len(images) // BATCH)
    warm_up = min(300, steps // 10)

    def rate(step):
        if step < warm_up:
            return peak_rate * (step + 1) / warm_up
        done = (step - warm_up) / max(1, steps - warm_up)
        return peak_rate * 0.5 * (1 + np.cos(np.pi * done))

    optimizer = tf.keras.optimizers.AdamW(peak_rate, weight_decay=weight_decay)
    loss_of = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    variables = model.trainable_variables

    @tf.function
    def train_step(x, y):
        with tf.GradientTape() as tape:
            logits = model(x, training=True)
            loss = loss_of(y, logits)
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        hits = tf.equal(tf.argmax(logits, 1), tf.cast(y, tf.int64))
        return loss, tf.reduce_mean(tf.cast(hits, tf.float32))

    step = 0
    for epoch in range(epochs):
        started = time.time()
        order = rng.permutation(len(images))
        varied = normalize(augment(images[order], rng))
        targets = labels[order].astype(np.int32)
        sums = np.zeros(2)
        count = len(images) // BATCH
        for i in range(count):
            part = slice(i * BATCH, (i + 1) * BATCH)
            optimizer.learning_rate.assign(rate(step))
            loss, hits = train_step(
                tf.constant(varied[part]), tf.constant(targets[part])
            )
            sums += (float(loss), float(hits))
            step += 1
        print(
            f"  epoch {epoch + 1}/{epochs}: loss {sums[0] / count:.4f}, training accuracy "
            f"{100 * sums[1] / count:.2f} %, {time.time() - started:.0f} s",
            flush=True,
        )


def logits_of(model, pixels):
    run = tf.function(lambda x: model(x, training=False))
    x = normalize(pixels)
    return np.concatenate([run(x[i : i + 500]).numpy() for i in range(0, len(x), 500)])


def percent(scores, labels):
    return 100.0 * np.mean(np.argmax(scores, 1) == labels)


# --- quantization -----------------------------------------------------------------------------


class DepthwiseWeights(tfmot.quantization.keras.quantizers.Quantizer):
    """Symmetric int8 per channel, -127..127, of a depthwise kernel [h, w, channel, 1].

    tfmot's own takes the last axis for the channel, which is 1 long here.
    """

    def build(self, tensor_shape, name, layer):
        def limit(suffix, value):
            return layer.add_weight(
                name + suffix,
                shape=(tensor_shape[2],),
                initializer=tf.keras.initializers.Constant(value),
                trainable=False,
            )

        return {"min_var": limit("_min", -6.0), "max_var": limit("_max", 6.0)}

    def __call__(self, inputs, training, weights, **kwargs):
        if training:
            largest = tf.reduce_max(tf.abs(inputs), axis=[0, 1, 3])
            weights["min_var"].assign(-largest)
            weights["max_var"].assign(largest)
        height, width, channels, _ = inputs.shape
        fake = tf.quantization.fake_quant_with_min_max_vars_per_channel(
            tf.reshape(inputs, (1, height, width, channels)),
            weights["min_var"],
            weights["max_var"],
            narrow_range=True,
        )
        return tf.reshape(fake, inputs.shape)

    def get_config(self):
        return {}


class ConvolutionConfig(registry.Default8BitQuantizeConfig):
    """Kernel per channel; output as it is stored, behind the activation."""

    def __init__(self, kernel):
        super().__init__([kernel], [], True)
        self.kernel = kernel
        self.weight_quantizer = (
            DepthwiseWeights()
            if kernel == "depthwise_kernel"
            else quantizers.Default8BitConvWeightsQuantizer()
        )

    def get_config(self):
        return {"kernel": self.kernel}


def wrap(folded):
    """tfmot's 8-bit wrapping of every layer, the convolutions' being ours."""
    keras = tfmot.quantization.keras

    def annotate(layer):
        if isinstance(layer, layers.DepthwiseConv2D):
            config = ConvolutionConfig("depthwise_kernel")
        elif isinstance(layer, layers.Conv2D):
            config = ConvolutionConfig("kernel")
        else:
            config = None
        return keras.quantize_annotate_layer(layer, config)

    with keras.quantize_scope(
        {"relu6": tf.nn.relu6, "ConvolutionConfig": ConvolutionConfig}
    ):
        return keras.quantize_apply(
            tf.keras.models.clone_model(folded, clone_function=annotate)
        )


def quantization_aware(folded, pixels):
    """tfmot's 8-bit wrapping of `folded`, its activation ranges set from `pixels`.

    The input range is [-1, 127/128], which makes the scale exactly 1/128 and the zero point 0.
    tfmot's weights carry names that end in `_min` and `_max`; only those of activations are set
    here (weight ranges are recomputed in each step).
    """
    qat = wrap(folded)
    x = normalize(pixels)
    for layer in qat.layers:
        ranges = {w.name.split("/")[-1].split(":")[0]: w for w in layer.weights}
        if "quantize_layer_min" in ranges:
            ranges["quantize_layer_min"].assign(-1.0)
            ranges["quantize_layer_max"].assign(127.0 / 128.0)
            continue
        kinds = [
            k for k in ("output", "post_activation") if f"{k}_min" in ranges
        ]
        if not kinds:
            continue
        source = folded.get_layer(layer.name.removeprefix("quant_"))
        values = tf.keras.Model(folded.input, source.output).predict(
            x, batch_size=BATCH, verbose=0
        )
        batches = [values[i : i + BATCH] for i in range(0, len(values), BATCH)]
        low = min(0.0, float(np.mean([b.min() for b in batches])))
        high = max(0.0, float(np.mean([b.max() for b in batches])))
        for kind in kinds:
            ranges[f"{kind}_min"].assign(low)
            ranges[f"{kind}_max"].assign(high)
    return qat


def convert(qat):
    """Bytes of the int8 model: the trained network for one image, with a softmax behind it."""

    @tf.function(input_signature=[tf.TensorSpec((1, 28, 28, 1), tf.float32, "image")])
    def classify(image):
        return {"probabilities": tf.nn.softmax(qat(image, training=False))}

    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [classify.get_concrete_function()], qat
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    return converter.convert()


def check(interpreter):
    """Stops unless both ends are as the header of this file says and nothing re-quantizes."""
    operators = [o["op_name"] for o in interpreter._get_ops_details()]
    if {"QUANTIZE", "DEQUANTIZE"} & set(operators):
        raise SystemExit(f"surplus operators: {operators}")
    (entry,) = interpreter.get_input_details()
    (exit_,) = interpreter.get_output_details()
    found = [
        (tuple(t["shape"]), t["dtype"], t["quantization"]) for t in (entry, exit_)
    ]
    expected = [
        ((1, 28, 28, 1), np.int8, (1 / 128, 0)),
        ((1, 10), np.int8, (1 / 256, -128)),
    ]
    if found != expected:
        raise SystemExit(f"ends are {found}, expected {expected}")


def integer_scores(model, pixels):
    interpreter = tf.lite.Interpreter(
        model_content=model,
        experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_REF,
    )
    interpreter.allocate_tensors()
    check(interpreter)
    entry = interpreter.get_input_details()[0]["index"]
    exit_ = interpreter.get_output_details()[0]["index"]
    codes = (pixels.astype(np.int16) - 128).astype(np.int8)[..., None]
    scores = np.empty((len(pixels), CLASSES), np.int8)
    for i in range(len(pixels)):
        interpreter.set_tensor(entry, codes[i : i + 1])
        interpreter.invoke()
        scores[i] = interpreter.get_tensor(exit_)[0]
    return scores


def main():
    args = arguments()
    started = time.time()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.keras.utils.set_random_seed(args.seed)
    tf.config.experimental.enable_op_determinism()
    rng = np.random.default_rng(args.seed)

    images, labels = load(args.data, "train")
    if args.holdout:
        test_images, test_labels = images[-args.holdout :], labels[-args.holdout :]
        images, labels = images[: -args.holdout], labels[: -args.holdout]
    else:
        test_images, test_labels = load(args.data, "t10k")
    images, labels = images[: args.limit], labels[: args.limit]

    model = network(batch_norm=True)
    print(f"float training, {model.count_params()} parameters", flush=True)
    fit(model, images, labels, args.float_epochs, 3e-3, rng, weight_decay=0.01)
    folded = fold_batch_norm(model)
    float_accuracy = percent(logits_of(model, test_images), test_labels)
    folded_accuracy = percent(logits_of(folded, test_images), test_labels)
    print(f"float {float_accuracy:.2f} %, with folded weights {folded_accuracy:.2f} %")

    print("quantization-aware training", flush=True)
    qat = quantization_aware(folded, augment(images[:4096], rng))
    before = percent(logits_of(qat, test_images), test_labels)
    print(f"  fake-quant before it {before:.2f} %", flush=True)
    fit(qat, images, labels, args.qat_epochs, 3e-4, rng)
    fake_scores = logits_of(qat, test_images)

    converted = convert(qat)
    args.output.write_bytes(converted)
    scores = integer_scores(converted, test_images)

    agree = 100 * np.mean(np.argmax(scores, 1) == np.argmax(fake_scores, 1))
    print(f"{args.output}: {len(converted)} bytes, {time.time() - started:.0f} s in all")
    print(f"accuracy on {len(test_images)} {'held-out' if args.holdout else 'test'} images:")
    print(f"  float (before quantization-aware training) {float_accuracy:.2f} %")
    print(f"  fake-quant (after it)                      {percent(fake_scores, test_labels):.2f} %")
    print(f"  integer (tf.lite, reference kernels)       {percent(scores, test_labels):.2f} %")
    print(f"  integer and fake-quant name the same class {agree:.2f} %")


if __name__ == "__main__":
    main()
