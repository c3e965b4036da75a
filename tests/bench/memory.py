"""Times the layers that only pass over their blobs, and the solver's rules, beside a rectifier over as many bytes.

python tests/bench/memory.py [WORD ...]   only rows whose name holds one of the words

For forward and backward: milliseconds, and the share of memory speed, which is what a rectifier takes to read and write
the bytes that the pass has to move at least: forward its bottoms and tops once, backward their gradients (and no bottom
or top that the gradient may depend on). Where a pass must read its bottoms twice, as BatchNorm in TRAIN, 67% is whole.
"""

import argparse
import statistics

import numpy as np
from kernels import clock
from netdef_plugins.kernels import elementwise, threads

from netdef import prototxt, registry
from netdef.net import Net
from netdef.solver import Solver

# name: the shapes of the bottoms, and the layer
LARGE, MIDDLE = "16 96 55 55", "8 256 28 28"
ROWS = {
    "ReLU": (LARGE, 'type: "ReLU"'),
    "ReLU in place": (LARGE, 'type: "ReLU" top: "x0"'),
    "PReLU": (LARGE, 'type: "PReLU"'),
    "Sigmoid": (LARGE, 'type: "Sigmoid"'),
    "TanH": (LARGE, 'type: "TanH"'),
    "Dropout": (LARGE, 'type: "Dropout"'),
    "LRN": (LARGE, 'type: "LRN" lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 }'),
    "LRN within": (MIDDLE, 'type: "LRN" lrn_param { local_size: 3 norm_region: WITHIN_CHANNEL }'),
    "Pooling MAX 3/2": (LARGE, 'type: "Pooling" pooling_param { kernel_size: 3 stride: 2 }'),
    "Pooling MAX 2/2": (LARGE, 'type: "Pooling" pooling_param { kernel_size: 2 stride: 2 }'),
    "Pooling MAX 3/1": (MIDDLE, 'type: "Pooling" pooling_param { kernel_size: 3 pad: 1 }'),
    "Pooling AVE 3/2": (LARGE, 'type: "Pooling" pooling_param { pool: AVE kernel_size: 3 stride: 2 }'),
    "Pooling AVE global": (MIDDLE, 'type: "Pooling" pooling_param { pool: AVE global_pooling: true }'),
    "BatchNorm": (LARGE, 'type: "BatchNorm"'),
    "BatchNorm in TEST": (LARGE, 'type: "BatchNorm" batch_norm_param { use_global_stats: true }'),
    "Scale": (LARGE, 'type: "Scale" scale_param { bias_term: true }'),
    "Bias": (LARGE, 'type: "Bias"'),
    "Concat": (f"{MIDDLE}; {MIDDLE}", 'type: "Concat"'),
    "Slice": (LARGE, 'type: "Slice" top: "y1"'),
    "Split in 4": (LARGE, 'type: "Split" top: "y1" top: "y2" top: "y3"'),
    "Eltwise SUM of 3": (f"{LARGE}; {LARGE}; {LARGE}", 'type: "Eltwise"'),
    "Eltwise SUM": (f"{LARGE}; {LARGE}", 'type: "Eltwise"'),
    "Eltwise PROD": (f"{LARGE}; {LARGE}", 'type: "Eltwise" eltwise_param { operation: PROD }'),
    "Eltwise MAX": (f"{LARGE}; {LARGE}", 'type: "Eltwise" eltwise_param { operation: MAX }'),
    "Softmax": ("64 1000", 'type: "Softmax"'),
    "Softmax of pixels": ("2 21 321 321", 'type: "Softmax"'),
    "SoftmaxWithLoss": ("64 1000; 64", 'type: "SoftmaxWithLoss"'),
    "SoftmaxWithLoss of pixels": ("2 21 321 321; 2 1 321 321", 'type: "SoftmaxWithLoss"'),
    "EuclideanLoss": (f"{LARGE}; {LARGE}", 'type: "EuclideanLoss"'),
}
# arrays as large as the weights that one step reads and writes: the gradient, a history or two, the weights
RULES = {"SGD": 5, "Nesterov": 5, "AdaGrad": 5, "RMSProp": 5, "AdaDelta": 7, "Adam": 7}


def built(shapes: str, layer: str) -> Net:
    inputs = ["dim: " + " dim: ".join(shape.split()) for shape in shapes.split(";")]
    text = "".join(
        f'layer {{ name: "x{i}" type: "Input" top: "x{i}" input_param {{ shape {{ {dims} }} }} }}'
        for i, dims in enumerate(inputs)
    )
    bottoms = " ".join(f'bottom: "x{i}"' for i in range(len(inputs)))
    top = "" if 'top: "x0"' in layer else 'top: "y"'
    text += f'force_backward: true layer {{ name: "l" {bottoms} {top} {layer} }}'
    return Net(prototxt.parse(text, registry.default().schema.message("NetParameter"), "bench"), 0, seed=1)


def yardstick(floats: int):
    x = np.ones(max(1, floats // 2), np.float32)
    y = np.empty_like(x)
    return lambda: elementwise.relu(x, y)


def compared(call, floats: int, rounds: int = 25) -> str:
    """Both in turn; the medians, since either may be lucky."""
    beside = yardstick(floats)
    times = [(clock(call), clock(beside)) for _ in range(rounds)]
    ours, least = (statistics.median(t) for t in zip(*times[3:], strict=True))
    return f"{ours * 1e3:7.2f} ms {least / ours:4.0%}"


def layer_row(name: str, shapes: str, layer: str) -> str:
    net, rng = built(shapes, layer), np.random.default_rng(0)
    for i, blob in enumerate(net.bottoms[-1]):
        labels = i == 1 and "SoftmaxWithLoss" in layer
        blob.data[...] = rng.integers(0, 21, blob.shape) if labels else rng.standard_normal(blob.shape)
    floats = sum(b.data.size for b in (*net.bottoms[-1], *net.tops[-1]))
    forward = compared(lambda: net.forward_layer(len(net.layers) - 1), floats)
    for blob in net.tops[-1]:
        blob.diff[...] = rng.standard_normal(blob.shape) if blob.shape else 1
    return f"{name:28}| f {forward} | b {compared(lambda: net.backward_layer(len(net.layers) - 1), floats)}"


def rule_row(rule: str, arrays: int, size: int = 4096) -> str:
    text = (
        f'type: "{rule}" base_lr: 0.01 lr_policy: "fixed" weight_decay: 0.0005 max_iter: 1 net_param {{'
        f'layer {{ name: "x" type: "DummyData" top: "x" dummy_data_param {{ shape {{ dim: 1 dim: {size} }} }} }}'
        f'layer {{ name: "f" type: "InnerProduct" bottom: "x" top: "y" inner_product_param {{ num_output: {size} }} }}'
        'layer { name: "l" type: "Reduction" bottom: "y" top: "l" loss_weight: 1 } }'
    )
    text += "" if rule in ("AdaGrad", "RMSProp") else " momentum: 0.9"
    solver = Solver(prototxt.parse(text, registry.default().schema.message("SolverParameter"), "bench"))
    solver.step(1)
    return f"{rule:28}| u {compared(solver.apply_update, arrays * size * size)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", metavar="WORD")
    words = parser.parse_args().words
    threads.set_count(threads.count())
    for name, row in ROWS.items():
        if not words or any(word in name for word in words):
            print(layer_row(name, *row), flush=True)
    for rule, arrays in RULES.items():
        if not words or any(word in rule for word in words):
            print(rule_row(rule, arrays), flush=True)


if __name__ == "__main__":
    main()
