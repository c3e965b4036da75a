"""The net in the readme is one that works."""

import re
from pathlib import Path

import numpy as np
from ssd_nets import net

from netdef import export

README = Path(__file__).parents[1] / "readme.md"


def test_the_example_runs_and_exports():
    text = re.search(r"```\n(name: .*?)```", README.read_text(), re.DOTALL)[1]
    built = net(text.replace("kernel_size: 1 }", 'kernel_size: 1 weight_filler { type: "msra" } }'), dtype=np.float32)
    assert export.verify(built, export.build(built)).difference < 1e-4
