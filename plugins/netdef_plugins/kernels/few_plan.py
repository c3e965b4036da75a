"""When a convolution into few outputs is made of others, and how these are cut."""

from . import scatter_plan, thin_plan
from .plan import Plan

Pair = tuple[int, int]
# Outputs of a group at most in an update, and pixels of an image at least.
FEW, LEAST = 4, 64


def _around(kernel: Pair, pad: Pair, dilation: Pair) -> Pair:
    """The pad of the convolution that leads back."""
    return (kernel[0] - 1) * dilation[0] - pad[0], (kernel[1] - 1) * dilation[1] - pad[1]


def suits(kernel: Pair, stride: Pair, pad: Pair, dilation: Pair, channels: int, rows: int, image: Pair,
          out: Pair) -> bool:  # fmt: skip
    """Whether a forward pass gains by that every pixel meets all taps."""
    fits = stride == (1, 1) and min(_around(kernel, pad, dilation)) >= 0
    return fits and scatter_plan.suits(kernel, stride, channels, rows, image, out)


def forward(batch: int, groups: int, channels: int, rows: int, image: Pair, out: Pair, kernel: Pair, pad: Pair,
            dilation: Pair, count: int) -> Plan:  # fmt: skip
    """The plan of a pass from x[batch, groups * channels, *image] to y[batch, groups * rows, *out]."""
    sizes = kernel, (1, 1), _around(kernel, pad, dilation), dilation, count
    return scatter_plan.plan(batch, groups, channels, rows, image, out, *sizes)


def suits_update(kernel: Pair, stride: Pair, channels: int, rows: int, plane: int) -> bool:
    """Whether an update gains by copies of dy, one for each tap."""
    lines = rows * kernel[0] * kernel[1]
    few = kernel[0] * kernel[1] > 1 and rows <= FEW and lines <= thin_plan.FEW and channels >= 2 * lines
    return stride == (1, 1) and few and plane >= LEAST


def update(groups: int, channels: int, rows: int, plane: int) -> tuple[Plan, int, int, int]:
    """The plan of an update of so many rows of copies, by an image."""
    return thin_plan.plan(1, groups, channels, rows, plane, False)
