"""Pictures with objects on them, and messages that say what is done to them."""

import numpy as np
from google.protobuf import text_format

from netdef import registry

OBJECTS = np.array([[3, 0, 0.25, 0.25, 0.5, 0.75, 0], [1, 0, 0.5, 0.5, 1, 1, 1], [3, 1, 0.1, 0, 0.2, 0.1, 0]])
"""Rows as a record has them: label, instance, corners, difficult."""


def picture(i, height=20, width=24, channels=3):
    return np.random.default_rng(i).integers(0, 256, (channels, height, width), np.uint8)


def message(name, text):
    return text_format.Parse(text, registry.default().schema.message(name)())
