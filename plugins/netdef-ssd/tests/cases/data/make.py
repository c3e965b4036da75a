"""How three_lmdb was made: images of noise with no, one and two objects."""

from pathlib import Path

import numpy as np
from netdef_ssd import records

from netdef.sources import datum, lmdb

rng = np.random.default_rng(0)
items = []
for i in range(3):
    x = rng.integers(0, 256, (3, 6, 8), np.uint8)
    low = rng.uniform(0, 0.5, (i, 2))
    corners = np.concatenate([low, low + rng.uniform(0.2, 0.5, (i, 2))], axis=1)
    objects = np.concatenate([rng.integers(1, 3, (i, 1)), np.arange(i)[:, None], corners, np.zeros((i, 1))], axis=1)
    items.append((b"%d" % i, records.write(datum.write(x, i), objects)))
lmdb.write_records(Path(__file__).parent / "three_lmdb", items)
