"""Losses of face recognition: features drawn to a learnt centre of their class."""

from netdef.layer import hookimpl
from netdef_face.center import CenterLoss


@hookimpl
def netdef_layers() -> list[type]:
    return [CenterLoss]
