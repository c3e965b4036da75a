"""The outputs of a net with their weights in the loss."""

from typing import Any

import numpy as np

Result = tuple[str, np.ndarray, float]
"""(blob, values, loss_weight)"""


def outputs(net: Any) -> list[Result]:
    """What the last forward pass left in the blobs that no layer reads; values are flat copies."""
    return [(name, net.blobs[name].data.ravel().copy(), net.loss_weight(name)) for name in net.outputs]
