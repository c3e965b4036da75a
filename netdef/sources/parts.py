"""Parts of a collection for training, validation and testing, each with every label's share."""

from pathlib import Path

import numpy as np

from netdef.sources.order import permutation


def stratified(labels: np.ndarray, shares: dict[str, float], seed: int = 0) -> dict[str, np.ndarray]:
    """Rows of each part, in rising order: "train" and those named in `shares`, each with its share of every label.

    Which rows they are depends on the seed alone. Labels with few rows round to the nearest whole row.
    """
    parts: dict[str, list[np.ndarray]] = {name: [] for name in ("train", *shares)}
    for value in np.unique(labels):
        rows = np.flatnonzero(labels == value)
        rows = rows[permutation(len(rows), seed, int(value) % (1 << 63))]
        at = 0
        for name, share in shares.items():
            count = min(round(share * len(rows)), len(rows) - at)
            parts[name].append(rows[at : at + count])
            at += count
        parts["train"].append(rows[at:])
    return {
        name: np.sort(np.concatenate([*rows, np.zeros(0, np.int64)])).astype(np.int64) for name, rows in parts.items()
    }


def named(path: Path, part: str) -> Path:
    """pets_lmdb -> pets_train_lmdb, pets -> pets_train."""
    stem, lmdb = (path.name[:-5], "_lmdb") if path.name.endswith("_lmdb") else (path.name, "")
    return path.with_name(f"{stem}_{part}{lmdb}")
