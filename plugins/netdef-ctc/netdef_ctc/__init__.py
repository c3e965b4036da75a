"""Sequences read without alignment, as line recognizers do: connectionist temporal classification, Graves 2006."""

from netdef.layer import hookimpl
from netdef_ctc.decode import CTCGreedyDecoder, LabelsequenceAccuracy
from netdef_ctc.loss import CtcLoss


@hookimpl
def netdef_layers() -> list[type]:
    return [CtcLoss, CTCGreedyDecoder, LabelsequenceAccuracy]
