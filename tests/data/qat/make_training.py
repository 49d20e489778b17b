"""Writes what a training graph of tf.contrib.quantize computes: training_{conv,dw}_tf113.npz and averages_{tf113,tfmot}.npz.

    python make_training.py tf113    # TensorFlow 1.13.1, Python 3.7: layers and averages
    python make_training.py tfmot    # TensorFlow 2.15.1, model optimization toolkit 0.8.0: averages

A layer is a convolution, batch normalization and a rectifier; its loss is mean((y - 1)^2). Six runs with quant_delay 2 and
freeze_bn_delay 4; every intermediate value, every variable after each run, the gradients, and the evaluation graph.
"""
import sys

import numpy as np
import tensorflow as tf

RUNS = 6
STEP_NAMES = [
    "BatchNorm.FusedBatchNorm:0", "BatchNorm.FusedBatchNorm:1", "BatchNorm.FusedBatchNorm:2", "BatchNorm_Fold.bias",
    "BatchNorm_Fold.batch_norm_correction.scale_compute", "BatchNorm_Fold.batch_norm_correction.use_moving_average",
    "mul_fold", "{}_Fold", "add_fold", "weights_quant.FakeQuantWithMinMaxVars", "weights_quant.activate_quant",
    "weights_quant.delayed_quant.Merge", "act_quant.FakeQuantWithMinMaxVars", "act_quant.activate_quant",
]
EVAL_NAMES = ["BatchNorm_Fold.bias", "mul_fold", "{}_Fold", "add_fold", "weights_quant.FakeQuantWithMinMaxVars"]


def layer(kind, x, training):
    slim = tf.contrib.slim
    common = dict(
        scope="L",
        normalizer_fn=slim.batch_norm,
        normalizer_params=dict(fused=True, is_training=training, decay=0.9, scale=True, epsilon=0.001),
        weights_initializer=tf.random_normal_initializer(stddev=0.5, seed=3),
    )
    if kind == "conv":
        h = slim.conv2d(x, 3, [3, 3], activation_fn=tf.nn.relu6, **common)
    else:
        h = slim.separable_conv2d(
            x, None, [3, 3], depth_multiplier=1, padding="VALID", activation_fn=tf.nn.relu, **common)
    return tf.identity(h, "y")


def tensor(graph, kind, name):
    name = "L/" + name.format("Conv2D" if kind == "conv" else "depthwise").replace(".", "/")
    return graph.get_tensor_by_name(name if ":" in name else name + ":0")


def run_layer(kind):
    random = np.random.RandomState(11)
    inputs = random.normal(0, 1.5, (RUNS, 2, 4, 4, 2)).astype(np.float32)
    arrays = {"X": inputs}
    names = [n.replace("{}", "Conv2D" if kind == "conv" else "depthwise") for n in STEP_NAMES]
    with tf.Graph().as_default() as graph, tf.Session() as session:
        x = tf.placeholder(tf.float32, inputs.shape[1:])
        y = layer(kind, x, True)
        tf.contrib.quantize.experimental_create_training_graph(graph, quant_delay=2, freeze_bn_delay=4)
        trained = tf.trainable_variables()
        loss = tf.reduce_mean(tf.square(y - 1.0))
        fetch = {"L." + n: tensor(graph, kind, n) for n in names}
        fetch["y"] = y
        fetch["loss"] = loss
        for variable, gradient in zip(trained, tf.gradients(loss, trained)):
            fetch["grad." + variable.op.name.replace("/", ".")] = gradient
        updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
        # Moving statistics change only after everything has read them.
        for update in updates:
            getattr(update, "op", update)._add_control_inputs([value.op for value in fetch.values()])
        session.run(tf.global_variables_initializer())
        variables = {v.op.name.replace("/", "."): v for v in tf.global_variables()}
        for name, value in [("gamma", random.uniform(0.5, 1.5)), ("beta", random.uniform(-0.5, 0.5)),
                            ("moving_mean", random.uniform(-0.5, 0.5)), ("moving_variance", random.uniform(0.5, 2))]:
            variable = variables["L.BatchNorm." + name]
            session.run(tf.assign(variable, value + 0.1 * np.arange(int(variable.shape[0]))))
        for name, value in session.run(variables).items():
            arrays["before0.var." + name] = value
        for run in range(RUNS):
            told, _ = session.run([fetch, updates], {x: inputs[run]})
            for name, value in told.items():
                arrays["step%d.%s" % (run, name)] = value
            for name, value in session.run(variables).items():
                arrays["after%d.var.%s" % (run, name)] = value
        saved = tf.train.Saver().save(session, "/tmp/make_training_%s" % kind)
    with tf.Graph().as_default() as graph, tf.Session() as session:
        x = tf.placeholder(tf.float32, inputs.shape[1:])
        y = layer(kind, x, False)
        tf.contrib.quantize.experimental_create_eval_graph(graph, quant_delay=None)
        tf.train.Saver().restore(session, saved)
        names = [n.replace("{}", "Conv2D" if kind == "conv" else "depthwise") for n in EVAL_NAMES]
        fetch = {"L." + n: tensor(graph, kind, n) for n in names}
        fetch["y"] = y
        for name, value in session.run(fetch, {x: inputs[0]}).items():
            arrays["eval." + name] = value
    np.savez_compressed("training_%s_tf113.npz" % kind, **arrays)


def batches():
    random = np.random.RandomState(5)
    return (random.normal(0.3, 1, (150, 8)) * random.uniform(0.5, 3, (150, 1))).astype(np.float32)


def averages_tf113():
    data = batches()
    arrays = {"batches": data}
    from tensorflow.contrib.quantize.python import quant_ops

    for name, symmetric in [("plain", False), ("symmetric", True)]:
        with tf.Graph().as_default(), tf.Session() as session:
            x = tf.placeholder(tf.float32, [8])
            y = quant_ops.MovingAvgQuantize(x, init_min=0.0, init_max=6.0, symmetric=symmetric)
            low, high = y.op.inputs[1:]
            session.run(tf.global_variables_initializer())
            arrays[name] = np.array([session.run([y, low, high], {x: batch})[1:] for batch in data])
    np.savez_compressed("averages_tf113.npz", **arrays)


def averages_tfmot():
    import importlib.util
    import os

    folder = importlib.util.find_spec("tensorflow_model_optimization").submodule_search_locations[0]
    path = os.path.join(folder, "python/core/quantization/keras/quant_ops.py")
    spec = importlib.util.spec_from_file_location("quant_ops", path)
    quant_ops = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(quant_ops)

    data = batches()
    arrays = {"batches": data}
    for name, function, initial, symmetric in [
            ("plain", quant_ops.MovingAvgQuantize, 6.0, False), ("symmetric", quant_ops.MovingAvgQuantize, 6.0, True),
            ("all", quant_ops.AllValuesQuantize, 0.0, False), ("all_symmetric", quant_ops.AllValuesQuantize, 0.0, True)]:
        low, high = tf.Variable(-initial), tf.Variable(initial)
        told = []

        # As Keras runs it: graphs multiply by the reciprocal of a constant instead of dividing by it.
        @tf.function
        def observe(batch):
            return function(batch, low, high, is_training=True, symmetric=symmetric)

        for batch in data:
            observe(tf.constant(batch))
            told.append([low.numpy(), high.numpy()])
        arrays[name] = np.array(told, np.float32)
    np.savez_compressed("averages_tfmot.npz", **arrays)


if sys.argv[1] == "tf113":
    run_layer("conv")
    run_layer("dw")
    averages_tf113()
else:
    averages_tfmot()
