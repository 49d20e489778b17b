#!/usr/bin/env python3
"""Trains a network of three layers with simulated quantization, in NumPy alone, and keeps what it computed.

    python3 examples/data/train_shapes.py     # a few seconds; writes shapes_training.npz beside this file

It tells four shapes (horizontal bar, vertical bar, cross, frame) in noisy 12x12 pictures that it draws itself:

    input 12x12x1 -> conv1 3x3/2, 6, ReLU -> conv2 3x3, 8, ReLU -> pool (mean of 3x3) -> flat -> dense, 4 -> softmax

The first half of the steps trains in float and averages ranges; the second half rounds weights and activations as FakeQuant
does, to int8, weights symmetric, those of convolutions per channel. shapes_training.npz then holds, for 16 pictures in evaluation mode,

    input                            int8 codes, 1/128 a step
    conv1, conv2, pool, flat, dense  float32, behind FakeQuant; softmax behind the division
    LAYER|min, LAYER|max             the ranges of the activations
    LAYER/weights, LAYER/bias        the trained floats (weights as TensorFlow orders them: HWIO, IO)
    LAYER/weights|max                ends of the weights' ranges, which begin at -max

All is computed here, independently of corallite, whose kernels are compared with it: `cargo run --example qat_compare`.
Seeds are fixed: a second run on the same machine gives the same file. Needs NumPy.
"""

import pathlib

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

HERE = pathlib.Path(__file__).resolve().parent
STEPS, BATCH, RATE, DECAY = 800, 64, 0.01, 0.98
f32 = np.float32


def pictures(random, count):
    """Codes int8 [count, 12, 12, 1] and classes [count]."""
    codes = random.normal(-90, 18, (count, 12, 12)).astype(f32)
    classes = random.integers(0, 4, count)
    for picture, shape in zip(codes, classes):
        y, x = random.integers(1, 5, 2)
        size = random.integers(5, 8)
        middle, ink = size // 2, random.uniform(90, 200)
        box = picture[y : y + size, x : x + size]
        if shape in (0, 2):
            box[middle] += ink
        if shape in (1, 2):
            box[:, middle] += ink
        if shape == 3:
            box[[0, -1]] += ink
            box[1:-1, [0, -1]] += ink
    return np.clip(np.round(codes), -128, 127).astype(np.int8)[..., None], classes


def fake_quant(x, low, high):
    """FakeQuantWithMinMaxVars of TensorFlow 2 with 8 bits, in float32, and where its gradient passes."""
    scale = (high - low) / f32(255)
    zero = np.clip(np.floor(-low / scale + f32(0.5)), f32(0), f32(255))
    low, high = -zero * scale, (f32(255) - zero) * scale
    codes = np.floor((np.clip(x, low, high) - low) / scale + f32(0.5))
    return (codes - zero) * scale, (low <= x) & (x <= high)


def quantized_weights(w):
    """The weights on 255 steps per output channel (the last axis; dense ones on 255 in all), and the ends of the ranges."""
    high = np.abs(w).reshape(-1, w.shape[-1] if w.ndim == 4 else 1).max(axis=0)
    scale = high / f32(127)
    return np.round(w / scale) * scale, high


class Convolution:
    """VALID convolution, bias, ReLU."""

    def __init__(self, random, size, inputs, outputs, stride):
        self.w = (random.normal(0, 1, (size, size, inputs, outputs)) / np.sqrt(size * size * inputs)).astype(f32)
        self.b = np.zeros(outputs, f32)
        self.stride = stride

    def forward(self, x, w):
        size = w.shape[0]
        windows = sliding_window_view(x, (size, size), axis=(1, 2))[:, :: self.stride, :: self.stride]
        self.patches = windows.transpose(0, 1, 2, 4, 5, 3)  # N, H, W, window, window, channel
        self.x_shape, self.used = x.shape, w
        z = np.tensordot(self.patches, w, 3) + self.b
        self.positive = z > 0
        return z * self.positive

    def backward(self, dy):
        dy = dy * self.positive
        self.dw, self.db = np.tensordot(self.patches, dy, ((0, 1, 2), (0, 1, 2))), dy.sum(axis=(0, 1, 2))
        dx = np.zeros(self.x_shape, f32)
        rows, columns = (self.stride * extent for extent in dy.shape[1:3])
        for i in range(self.used.shape[0]):
            for j in range(self.used.shape[1]):
                dx[:, i : i + rows : self.stride, j : j + columns : self.stride] += dy @ self.used[i, j].T
        return dx


class Dense:
    """Matrix product and bias."""

    def __init__(self, random, inputs, outputs):
        self.w = (random.normal(0, 1, (inputs, outputs)) / np.sqrt(inputs)).astype(f32)
        self.b = np.zeros(outputs, f32)

    def forward(self, x, w):
        self.x, self.used = x, w
        return x @ w + self.b

    def backward(self, dy):
        self.dw, self.db = self.x.T @ dy, dy.sum(axis=0)
        return dy @ self.used.T


class Network:
    def __init__(self, random):
        self.layers = {
            "conv1": Convolution(random, 3, 1, 6, 2),
            "conv2": Convolution(random, 3, 6, 8, 1),
            "dense": Dense(random, 8, 4),
        }
        self.ranges = {}

    def activation(self, name, y, training, quantized):
        """Moves the range towards the batch's, and rounds."""
        if training:
            seen = np.array([min(y.min(), 0), max(y.max(), 0)], f32)
            before = self.ranges.get(name, seen)
            self.ranges[name] = f32(DECAY) * before + f32(1 - DECAY) * seen
        if not quantized:
            return y, np.ones(y.shape, bool)
        return fake_quant(y, *self.ranges[name])

    def forward(self, codes, training, quantized):
        """Every activation by name, and where gradients pass behind each."""
        x = codes.astype(f32) / f32(128)
        values, passes = {}, {}
        for name, layer in self.layers.items():
            if name == "dense":  # in front of it the mean, which keeps the range of conv2
                mean = x.mean(axis=(1, 2))
                self.pool_area = x.shape[1] * x.shape[2]
                x = fake_quant(mean, *self.ranges["conv2"])[0] if quantized else mean
                values["pool"] = values["flat"] = x
            w = quantized_weights(layer.w)[0] if quantized else layer.w
            x, passes[name] = self.activation(name, layer.forward(x, w), training, quantized)
            values[name] = x
        e = np.exp(x - x.max(axis=1, keepdims=True))
        values["softmax"] = e / e.sum(axis=1, keepdims=True)
        return values, passes

    def backward(self, values, passes, classes):
        d = values["softmax"].copy()
        d[np.arange(len(classes)), classes] -= 1
        d = self.layers["dense"].backward(d / len(classes) * passes["dense"])
        d = np.broadcast_to(d[:, None, None] / self.pool_area, values["conv2"].shape)
        d = self.layers["conv2"].backward(d * passes["conv2"])
        self.layers["conv1"].backward(d * passes["conv1"])


def train(network, random):
    moments = {}
    for step in range(1, STEPS + 1):
        codes, classes = pictures(random, BATCH)
        quantized = step > STEPS // 2
        values, passes = network.forward(codes, True, quantized)
        network.backward(values, passes, classes)
        rate = RATE * (0.1 if quantized else 1)
        for name, layer in network.layers.items():  # Adam
            for parameter, gradient in (("w", layer.dw), ("b", layer.db)):
                m, v = moments.get((name, parameter), (0, 0))
                m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
                moments[name, parameter] = m, v
                update = (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
                setattr(layer, parameter, (getattr(layer, parameter) - rate * update).astype(f32))


def accuracy(network, codes, classes, quantized):
    values, _ = network.forward(codes, False, quantized)
    return 100 * np.mean(values["softmax"].argmax(axis=1) == classes)


def main():
    random = np.random.default_rng(1712)
    network = Network(random)
    train(network, random)
    codes, classes = pictures(random, 2000)
    print(f"float {accuracy(network, codes, classes, False):.2f} %, "
          f"fake-quant {accuracy(network, codes, classes, True):.2f} % of 2000 pictures")
    codes, _ = pictures(random, 16)
    values, _ = network.forward(codes, False, True)
    arrays = {"input": codes, **values}
    for name, layer in network.layers.items():
        arrays[f"{name}|min"], arrays[f"{name}|max"] = network.ranges[name]
        arrays[f"{name}/weights"], arrays[f"{name}/bias"] = layer.w, layer.b
        arrays[f"{name}/weights|max"] = quantized_weights(layer.w)[1]
    assert all(array.dtype in (np.float32, np.int8) for array in map(np.asarray, arrays.values()))
    file = HERE / "shapes_training.npz"
    np.savez_compressed(file, **arrays)
    print(f"{file.name}: {file.stat().st_size} bytes")


main()
