"""A contact sheet: many small images in one PNG file, written without a library."""

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from netdef.files import replacing

GAP = 2
"""Pixels between images."""


def sheet(images: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """(height, width, 3) in RGB from images (channels, height, width): 3 channels are BGR, of others the first shows.

    Cells have the size of the largest image; an image that is not uint8 is stretched from its least value to its most.
    """
    tiles = [_rgb(x) for x in images]
    height, width = max(t.shape[0] for t in tiles), max(t.shape[1] for t in tiles)
    rows = -(-len(tiles) // columns)
    page = np.full((rows * (height + GAP) - GAP, min(columns, len(tiles)) * (width + GAP) - GAP, 3), 255, np.uint8)
    for i, tile in enumerate(tiles):
        top, left = i // columns * (height + GAP), i % columns * (width + GAP)
        page[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    return page


def _rgb(x: np.ndarray) -> np.ndarray:
    if x.dtype != np.uint8:
        low, high = float(x.min()), float(x.max())
        x = ((x - low) * (255 / (high - low or 1))).astype(np.uint8)
    hwc = x.transpose(1, 2, 0)
    return hwc[:, :, ::-1] if len(x) == 3 else np.repeat(hwc[:, :, :1], 3, axis=2)


def write_png(path: Path | str, page: np.ndarray) -> None:
    """(height, width, 3), RGB, uint8; all or nothing."""
    height, width, _ = page.shape
    lines = np.zeros((height, 1 + 3 * width), np.uint8)  # each line begins with the number of its filter, 0
    lines[:, 1:] = page.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    with replacing(path) as f:
        f.write(b"\x89PNG\r\n\x1a\n")
        for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 6)), (b"IEND", b"")):
            f.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))
