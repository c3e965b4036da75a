"""Makes the files beside it, which the cases of Data, ImageData and WindowData read."""

from pathlib import Path

import numpy as np

from netdef.sources import datum, image, lmdb

HERE = Path(__file__).parent


def main() -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 6, 8)).astype(np.uint8)
    lmdb.write_records(HERE / "five_lmdb", ((b"%08d" % i, datum.write(x, i)) for i, x in enumerate(images)))
    for i, x in enumerate(images):
        (HERE / f"{i}.png").write_bytes(image.encode(x, "png"))
    (HERE / "list.txt").write_text("".join(f"{i}.png {i}\n" for i in range(5)))
    (HERE / "vectors.txt").write_text("".join(f"{i}.png {i / 2} {-i} 1\n" for i in range(5)))
    windows = "\n".join(f"# {i}\n{i}.png\n3\n6\n8\n2\n{i + 1} 0.9 1 0 5 4\n{i + 1} 0.1 2 2 7 5" for i in range(5))
    (HERE / "windows.txt").write_text(windows + "\n")


if __name__ == "__main__":
    main()
