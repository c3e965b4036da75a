"""batch_sampler: random parts of an image that hold its objects well enough."""

from typing import Any

import numpy as np

from netdef.layer import Block, Field, LayerError
from netdef_ssd.boxes import coverage, overlaps
from netdef_ssd.dice import Dice

Array = np.ndarray

_SAMPLER = Block(
    message="Sampler",
    fields=(
        Field("min_scale", "float", 1.0, doc="Least root of a part's area, the image's being 1."),
        Field("max_scale", "float", 1.0, doc="Most of it; at most 1."),
        Field("min_aspect_ratio", "float", 1.0, doc="Least width by height, in parts of the image."),
        Field("max_aspect_ratio", "float", 1.0, doc="Most of it."),
    ),
)


def _bounds(*what: tuple[str, str]) -> tuple[Field, ...]:
    return tuple(
        Field(f"{bound}_{name}", "float", doc=f"{word} {doc}.")
        for name, doc in what
        for bound, word in (("min", "Least"), ("max", "Most"))
    )


_CONSTRAINT = Block(
    message="SampleConstraint",
    doc="What a part must be to some object.",
    fields=_bounds(
        ("jaccard_overlap", "intersection over union with an object"),
        ("sample_coverage", "part of the sample that lies in an object"),
        ("object_coverage", "part of an object that lies in the sample"),
    ),
)

BATCH_SAMPLER = Block(
    message="BatchSampler",
    doc="Random parts of the image, one of which is taken in its place.",
    fields=(
        Field("use_original_image", "bool", True, doc="Whether parts are drawn; false leaves this sampler out."),
        Field("sampler", _SAMPLER, doc="How large parts are."),
        Field("sample_constraint", _CONSTRAINT, doc="Which parts are good."),
        Field("max_sample", "uint32", doc="How many good parts are enough; all that are found where it is left out."),
        Field("max_trials", "uint32", 100, doc="How many parts are tried."),
    ),
)


def check(samplers: Any) -> None:
    """Raises LayerError for a sampler that cannot draw."""
    for s in (sampler.sampler for sampler in samplers):
        if not 0 < s.min_scale <= s.max_scale <= 1:
            raise LayerError(f"a sampler's scales are {s.min_scale:g} to {s.max_scale:g}; want 0 < min <= max <= 1")
        if not 0 < s.min_aspect_ratio <= s.max_aspect_ratio:
            found = f"{s.min_aspect_ratio:g} to {s.max_aspect_ratio:g}"
            raise LayerError(f"a sampler's aspect ratios are {found}; want 0 < min <= max")


def samples(samplers: Any, objects: Array, dice: Dice) -> Array:
    """Good parts of an image with these objects (G, 4), of all samplers: (S, 4)."""
    found = [_good(s, objects, dice) for s in samplers if s.use_original_image]
    return np.concatenate([np.empty((0, 4)), *found])


def _good(sampler: Any, objects: Array, dice: Dice) -> Array:
    parts = drawn(sampler.sampler, dice.many(4, sampler.max_trials))
    parts = parts[satisfied(sampler.sample_constraint, parts, objects)]
    return parts[: sampler.max_sample] if sampler.HasField("max_sample") else parts


def drawn(sampler: Any, u: Array) -> Array:
    """Parts (T, 4) from numbers (4, T) of 0 to 1: scale, then aspect ratio as far as the image allows, then place."""
    scale = sampler.min_scale + u[0] * (sampler.max_scale - sampler.min_scale)
    low = np.maximum(sampler.min_aspect_ratio, scale**2)
    high = np.minimum(sampler.max_aspect_ratio, 1 / scale**2)
    root = np.sqrt(low + u[1] * (high - low))
    width, height = np.minimum(scale * root, 1), np.minimum(scale / root, 1)
    left, top = u[2] * (1 - width), u[3] * (1 - height)
    return np.stack([left, top, left + width, top + height], axis=1)


def satisfied(constraint: Any, parts: Array, objects: Array) -> Array:
    """Which parts are, to some object, all that the constraint says; all of them where it says nothing.

    SSD takes a part that meets one bound of several with one object; here one object has to meet them all.
    """
    good = np.ones((len(parts), len(objects)), bool)
    bounds = {field.name: value for field, value in constraint.ListFields()}
    if not bounds:
        return np.ones(len(parts), bool)
    for name, measure in _MEASURES.items():
        if f"min_{name}" in bounds or f"max_{name}" in bounds:
            value = measure(parts, objects)
            good &= value >= bounds.get(f"min_{name}", -np.inf)
            good &= value <= bounds.get(f"max_{name}", np.inf)
    return good.any(axis=1)


def _covered(a: Array, b: Array) -> Array:
    """The part of each of a (N, 4) that lies in each of b (M, 4): (N, M)."""
    return np.stack([coverage(a, box) for box in b], axis=1) if len(b) else np.zeros((len(a), 0))


_MEASURES = {
    "jaccard_overlap": overlaps,
    "sample_coverage": _covered,
    "object_coverage": lambda parts, objects: _covered(objects, parts).T if len(parts) else np.zeros((0, len(objects))),
}
