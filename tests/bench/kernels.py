"""Times the convolution kernels on the shapes of known nets, beside NumPy's sgemm and PyTorch where it is installed.

python tests/bench/kernels.py [--batch N] [WORD ...]   only shapes whose name holds one of the words

For forward, backward and update: milliseconds, GFLOP/s counted by the plain loops (Winograd's products are fewer, so it
can pass any peak), and in brackets their share of the machine's sgemm rate: the best product of large square matrices
so far, by NumPy's BLAS on all cores that the kernels use (netdef.report.timing.sgemm_gflops). Where reading and writing
the arrays once takes longer than that, as with a channel by itself, the share is of the time that a rectifier needs for
as many bytes (a sum of them, for update), and an m stands by it. --batch 1 is inference.
"""

import argparse
import time

import numpy as np
from netdef_plugins.kernels import conv2d, elementwise, threads

from netdef.report.timing import sgemm_gflops

try:
    import torch
except ImportError:
    torch = None

# name: batch, channels, height, outputs, kernel, stride, pad, group, and dilation where it is not 1
SHAPES = {
    "lenet conv1": (64, 1, 28, 20, 5, 1, 0, 1),
    "lenet conv2": (64, 20, 12, 50, 5, 1, 0, 1),
    "cifar conv1": (100, 3, 32, 32, 5, 1, 2, 1),
    "cifar conv2": (100, 32, 16, 32, 5, 1, 2, 1),
    "cifar conv3": (100, 32, 8, 64, 5, 1, 2, 1),
    "caffenet conv1": (16, 3, 227, 96, 11, 4, 0, 1),
    "caffenet conv2": (16, 96, 27, 256, 5, 1, 2, 2),
    "caffenet conv3": (16, 256, 13, 384, 3, 1, 1, 1),
    "caffenet conv4": (16, 384, 13, 384, 3, 1, 1, 2),
    "caffenet conv5": (16, 384, 13, 256, 3, 1, 1, 2),
    "googlenet conv1": (8, 3, 224, 64, 7, 2, 3, 1),
    "googlenet conv2_reduce": (8, 64, 56, 64, 1, 1, 0, 1),
    "googlenet conv2": (8, 64, 56, 192, 3, 1, 1, 1),
    "googlenet 3a_1x1": (8, 192, 28, 64, 1, 1, 0, 1),
    "googlenet 3a_5x5_reduce": (8, 192, 28, 16, 1, 1, 0, 1),
    "googlenet 3a_5x5": (8, 16, 28, 32, 5, 1, 2, 1),
    "googlenet 3b_3x3": (8, 128, 28, 192, 3, 1, 1, 1),
    "googlenet 3b_5x5": (8, 32, 28, 96, 5, 1, 2, 1),
    "googlenet 4a_1x1": (8, 480, 14, 192, 1, 1, 0, 1),
    "googlenet 4a_5x5_reduce": (8, 480, 14, 16, 1, 1, 0, 1),
    "googlenet 4a_5x5": (8, 16, 14, 48, 5, 1, 2, 1),
    "googlenet 4d_3x3": (8, 144, 14, 288, 3, 1, 1, 1),
    "googlenet 5a_1x1": (8, 832, 7, 256, 1, 1, 0, 1),
    "googlenet 5b_3x3": (8, 192, 7, 384, 3, 1, 1, 1),
    "googlenet 5b_5x5": (8, 48, 7, 128, 5, 1, 2, 1),
    "resnet18 res2": (8, 64, 56, 64, 3, 1, 1, 1),
    "resnet18 res3_1": (8, 64, 56, 128, 3, 2, 1, 1),
    "resnet18 res3_2": (8, 128, 28, 128, 3, 1, 1, 1),
    "resnet18 res3_s": (8, 64, 56, 128, 1, 2, 0, 1),
    "resnet18 res4": (8, 256, 14, 256, 3, 1, 1, 1),
    "resnet18 res5_1": (8, 256, 14, 512, 3, 2, 1, 1),
    "resnet18 res5_2": (8, 512, 7, 512, 3, 1, 1, 1),
    "resnet50 res2_c": (8, 64, 56, 256, 1, 1, 0, 1),
    "resnet50 res4_a": (8, 1024, 14, 256, 1, 1, 0, 1),
    "resnet50 res5_c": (8, 512, 7, 2048, 1, 1, 0, 1),
    "squeezenet fire2": (8, 64, 55, 16, 1, 1, 0, 1),
    "squeezenet fire2 expand": (8, 16, 55, 64, 1, 1, 0, 1),
    "mobilenet2 project": (8, 144, 56, 24, 1, 1, 0, 1),
    "shufflenet compress": (8, 240, 28, 60, 1, 1, 0, 3),
    "vgg conv1_1": (4, 3, 224, 64, 3, 1, 1, 1),
    "inception conv1": (8, 3, 299, 32, 3, 2, 0, 1),
    "inception reduction": (8, 288, 35, 384, 3, 2, 0, 1),
    "squeezenet conv1": (8, 3, 227, 96, 7, 2, 0, 1),
    "zf conv2": (4, 96, 55, 256, 5, 2, 0, 1),
    "ssd conv7_2": (8, 128, 10, 256, 3, 2, 1, 1),
    "mtcnn conv1": (64, 3, 48, 32, 3, 1, 0, 1),
    "deeplab conv5": (2, 512, 41, 512, 3, 1, 2, 1, 2),
    "deeplab fc6": (1, 512, 41, 1024, 3, 1, 12, 1, 12),
    "fcn fc6": (1, 512, 14, 4096, 7, 1, 0, 1),
    "flownet predict": (4, 386, 84, 2, 3, 1, 1, 1),
    "context 64": (2, 19, 128, 19, 3, 1, 64, 1, 64),
    "fcn fc7": (1, 4096, 8, 4096, 1, 1, 0, 1),
    "mobilenet fc7": (8, 1024, 1, 1000, 1, 1, 0, 1),
    "mobilenet conv1": (8, 3, 224, 32, 3, 2, 1, 1),
    "mobilenet depthwise 112": (8, 32, 112, 32, 3, 1, 1, 32),
    "mobilenet depthwise 112/2": (8, 64, 112, 64, 3, 2, 1, 64),
    "mobilenet depthwise 56": (8, 128, 56, 128, 3, 1, 1, 128),
    "mobilenet depthwise 28": (8, 256, 28, 256, 3, 1, 1, 256),
    "mobilenet depthwise 14": (8, 512, 14, 512, 3, 1, 1, 512),
    "mobilenet depthwise 7": (8, 1024, 7, 1024, 3, 1, 1, 1024),
    "efficientnet depthwise 5x5": (8, 240, 28, 240, 5, 1, 2, 240),
    "resnext 32 groups of 4": (8, 128, 56, 128, 3, 1, 1, 32),
    "resnext 32 groups of 8": (8, 256, 28, 256, 3, 1, 1, 32),
    "resnext 32 groups of 8, 56": (8, 256, 56, 256, 3, 1, 1, 32),
    "resnext 32 groups of 8, 56/2": (8, 256, 56, 256, 3, 2, 1, 32),
    "regnet groups of 16": (8, 320, 14, 320, 3, 1, 1, 20),
    "shufflenet 3 groups": (8, 240, 28, 60, 1, 1, 0, 3),
    "fcn upsampling 2": (8, 21, 64, 21, 4, 2, 1, 21),
    "fcn upsampling 8": (1, 21, 568, 21, 16, 8, 0, 21),
    "fcn upsampling 8 full": (1, 21, 568, 21, 16, 8, 0, 1),
    "fcn upsampling 32": (1, 21, 544, 21, 64, 32, 0, 21),
    "fcn upsampling 32 full": (1, 21, 544, 21, 64, 32, 0, 1),
    "dcgan last": (16, 3, 64, 64, 4, 2, 1, 1),
    "mobilenet pointwise": (8, 512, 14, 512, 1, 1, 0, 1),
}


def clock(f) -> float:
    start = time.perf_counter()
    f()
    return time.perf_counter() - start


def quickest(calls, rounds=7, seconds=0.15) -> list[float]:
    """The best time of each in at least so many rounds, and so many seconds, of all of them in turn."""
    best, begin = [9.0] * len(calls), time.perf_counter()
    while rounds > 0 or time.perf_counter() < begin + seconds:
        best = [min(t, clock(f)) for t, f in zip(best, calls, strict=True)]
        rounds -= 1
    return best


def settled(array):
    """A copy that begins on a cache line, as the arrays of a net do: elsewhere every vector is parted by one."""
    whole = np.empty(array.size + 16, array.dtype)
    first = -whole.ctypes.data % 64 // array.itemsize
    copy = whole[first : first + array.size].reshape(array.shape)
    copy[...] = array
    return copy


def ours(x, w, b, y, dx, dw, db, stride, pad, group, dilation):
    s, p, d = (stride, stride), (pad, pad), (dilation, dilation)
    return {
        "forward": lambda: conv2d.forward(x, w, b, y, s, p, d, group),
        "backward": lambda: conv2d.backward(y, w, dx, s, p, d, group),
        "update": lambda: conv2d.update(y, x, dw, db, s, p, d, group),
    }


def theirs(x, w, b, y, stride, pad, group, dilation, last):
    layout = torch.channels_last if last else torch.contiguous_format
    x, w, y = (torch.from_numpy(a).contiguous(memory_format=layout) for a in (x, w, y))
    b = torch.from_numpy(b)
    size = [stride] * 2, [pad] * 2, [dilation] * 2, False, [0, 0], group

    def gradient(mask):
        return torch.ops.aten.convolution_backward(y, x, w, [b.numel()], *size, mask)

    return {
        "forward": lambda: torch.nn.functional.conv2d(x, w, b, stride, pad, dilation, group),
        "backward": lambda: gradient([True, False, False]),
        "update": lambda: gradient([False, True, True]),
    }


def passes(x, y):
    """Kernels that do nothing but read or write as many bytes as the three passes must."""
    half = np.ones((x.size + y.size) // 2, np.float32)
    other, sums = np.empty_like(half), [np.zeros(a.shape[1], np.float32) for a in (x, y)]
    return {
        "forward": lambda: elementwise.relu(half, other),
        "backward": lambda: elementwise.relu(half, other),
        "update": lambda: [conv2d.add_bias(a, s) for a, s in zip((x, y), sums, strict=True)],
    }


def report(name, sgemm, batch, channels, height, outputs, kernel, stride, pad, group, dilation=1) -> None:
    rng = np.random.default_rng(0)
    out, how = (height + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1, (stride, pad, group, dilation)
    x, w, b, y = (
        settled(rng.standard_normal(shape, np.float32))
        for shape in ((batch, channels, height, height), (outputs, channels // group, kernel, kernel), (outputs,),
                      (batch, outputs, out, out))
    )  # fmt: skip
    work = 2 * batch * outputs * channels // group * kernel**2 * out**2 / 1e9
    runs = ours(x, w, b, settled(y), settled(x), np.zeros_like(w), np.zeros_like(b), *how)
    memory = passes(x, y)
    rivals = [theirs(x, w, b, y, *how, last) for last in (False, True)] if torch else []
    line = f"{name:27}{work * 1e3:8.0f} MFLOP"
    for part in ("forward", "backward", "update"):
        # Apart, as PyTorch's threads spin on for milliseconds and would take a core from whoever is next.
        best = quickest([runs[part], memory[part]]) + (quickest([r[part] for r in rivals]) if rivals else [])
        rate, slow = work / best[0], best[1] > work / sgemm
        share = (best[1] if slow else work / sgemm) / best[0]
        line += f" | {part[0]} {best[0] * 1e3:6.2f} ms {rate:4.0f} ({share:3.0%}{'m' if slow else ' '})"
        if rivals:
            line += f" torch {min(best[2:]) * 1e3:6.2f} x{best[0] / min(best[2:]):4.2f}"
    print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", metavar="WORD")
    parser.add_argument("--batch", type=int, help="in place of each shape's own")
    args = parser.parse_args()
    if torch:
        torch.set_num_threads(threads.count())
    threads.set_count(threads.count())
    sgemm = 0.0
    for name, (batch, *shape) in SHAPES.items():
        if not args.words or any(word in name for word in args.words):
            sgemm = max(sgemm, sgemm_gflops())
            report(name, sgemm, args.batch or batch, *shape)
    print(f"sgemm: {sgemm:.0f} GFLOP/s")


if __name__ == "__main__":
    main()
