"""TFLite_Detection_PostProcess: regular and fast suppression."""

import numpy as np
from flatbuffers import flexbuffers

from model import Quant
from registry import generator


def options(d, regular):
    classes = d.integer(1, 6)
    found = {
        "max_detections": d.integer(1, 12), "max_classes_per_detection": d.pick(1, 1, 2, 3), "num_classes": classes,
        "nms_score_threshold": d.pick(0.0, 0.3, 0.6), "nms_iou_threshold": d.pick(0.3, 0.5, 1.0),
        "y_scale": 10.0, "x_scale": 10.0, "h_scale": 5.0, "w_scale": 5.0, "use_regular_nms": regular,
    }
    if d.chance(0.5):
        found["detections_per_class"] = d.integer(1, 20)
    return found


def detection(d, m, regular, x, scores, anchors, given):
    outputs = [m.output("float32") for _ in range(4)]
    m.operator("TFLite_Detection_PostProcess", [x, scores, anchors], outputs, custom=bytes(flexbuffers.Dumps(given)))
    # Regular suppression writes one row a box and leaves what there is room for beside; the fast one leaves more.
    told = 1 if regular else given["max_classes_per_detection"]
    m.mask = ("detections", told, given["num_classes"])
    return m


@generator("TFLite_Detection_PostProcess", types=["regular", "fast"], weight=2)
def float32(d, kind):
    m = d.model()
    given = options(d, kind == "regular")
    boxes = d.integer(1, 30)
    columns = given["num_classes"] + d.integer(0, 1)
    x = m.input("float32", d.values("float32", [1, boxes, d.pick(4, 4, 6)], -8.0, 8.0))
    # All different: the order of equal scores depends on the C++ library.
    scores = m.input("float32", (d.rng.permutation(boxes * columns).reshape(1, boxes, columns) + 0.5) / (boxes * columns))
    centres, sizes = d.rng.random((boxes, 2)), d.rng.uniform(0.05, 0.6, (boxes, 2))
    anchors = m.constant("float32", np.hstack([centres, sizes]))
    return detection(d, m, kind == "regular", x, scores, anchors, given)


@generator("TFLite_Detection_PostProcess", types=["regular", "fast"], weight=2)
def uint8(d, kind):
    m = d.model()
    given = options(d, kind == "regular")
    if kind == "fast":
        given["max_classes_per_detection"] = 1  # equal codes are common; of one class the first is told
    boxes = d.integer(1, 30)
    columns = given["num_classes"] + d.integer(0, 1)
    codes = d.values("uint8", [1, boxes, columns])
    if kind == "regular":
        # In tflite-runtime the order of equal scores depends on the C++ library here too.
        boxes = min(boxes, 256 // columns)
        codes = d.rng.permutation(256)[: boxes * columns].reshape(1, boxes, columns)
    x = m.input("uint8", d.values("uint8", [1, boxes, 4]), Quant(d.scale(0.02, 0.1), d.integer(100, 150)))
    scores = m.input("uint8", codes, Quant(1 / 256, d.pick(0, 0, 7)))
    anchors = m.constant("uint8", d.values("uint8", [boxes, 4], 10, 255), Quant(d.scale(0.002, 0.005), 5))
    return detection(d, m, kind == "regular", x, scores, anchors, given)
