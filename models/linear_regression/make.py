"""Makes train.h5 and test.h5: y = 2 x0 - 3 x1 + 0.5 x2 + 1 and noise of standard deviation 0.1."""

from pathlib import Path

import h5py
import numpy as np

HERE = Path(__file__).parent


def main() -> None:
    rng = np.random.default_rng(0)
    for name, rows in (("train", 400), ("test", 100)):
        x = rng.normal(size=(rows, 3))
        y = x @ [2, -3, 0.5] + 1 + rng.normal(0, 0.1, rows)
        with h5py.File(HERE / f"{name}.h5", "w") as f:
            f["x"], f["y"] = x.astype("f4"), y.reshape(rows, 1).astype("f4")
        (HERE / f"{name}.txt").write_text(f"{name}.h5\n")


if __name__ == "__main__":
    main()
