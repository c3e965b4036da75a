"""What the tests of data layers share: images whose numbers tell them apart, passes, refusals."""

import numpy as np
import pytest
from nets import net

from netdef.errors import NetdefError

IMAGES = np.random.default_rng(0).integers(0, 256, (11, 3, 8, 10)).astype(np.uint8)


def passes(made, count, top="label"):
    """What a blob held after each of so many passes."""
    found = []
    for _ in range(count):
        made.forward()
        found.append(made.blobs[top].data.copy())
    return np.array(found)


def refusal(text, error=NetdefError, forward=False):
    """What a net of this text, or its first pass, is refused with."""
    with pytest.raises(error) as found:
        made = net(text)
        if forward:
            made.forward()
    return str(found.value)
