"""caffe.draw: a net as a picture, written in Graphviz's language and drawn by its program dot."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from netdef.errors import NetdefError
from netdef.files import replacing
from netdef.graph.filter import filter_net
from netdef.upgrade import upgrade_net

TEXT = ("dot", "gv")


def draw_net_to_file(caffe_net: Any, filename: str, rankdir: str = "LR", phase: int | None = None) -> None:
    """Draw a NetParameter into a file of the kind that its name ends in; .dot and .gv need no Graphviz."""
    picture = draw_net(caffe_net, rankdir, Path(filename).suffix[1:] or "png", phase)
    with replacing(filename) as file:
        file.write(picture)


def draw_net(caffe_net: Any, rankdir: str, ext: str = "png", phase: int | None = None) -> bytes:
    """The picture; `phase` leaves out layers of the other phase. Raises NetdefError where Graphviz is missing."""
    net = upgrade_net(caffe_net)
    text = graph(net if phase is None else filter_net(net, phase), rankdir).encode()
    if ext in TEXT:
        return text
    if shutil.which("dot") is None:
        raise NetdefError(f"a picture as {ext} needs Graphviz's program dot; a name that ends in .dot does not")
    done = subprocess.run(["dot", f"-T{ext}"], input=text, capture_output=True, check=False)
    if done.returncode:
        raise NetdefError(f"dot: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def graph(net: Any, rankdir: str = "LR") -> str:
    """The net in Graphviz's language: a box for each layer, an ellipse for each blob."""
    lines = [f"digraph {_quoted(net.name or 'net')} {{", f"  rankdir={_quoted(rankdir)};", "  node [style=filled];"]
    blobs: dict[str, None] = {}
    for i, layer in enumerate(net.layer):
        label = "\n".join([layer.name, f"({layer.type})", *_settings(layer)])
        lines.append(f'  layer{i} [shape=box, fillcolor="#a8c8e8", label={_quoted(label)}];')
        for name in layer.bottom:
            lines.append(f"  {_quoted(name)} -> layer{i}{' [dir=both]' if name in layer.top else ''};")
        lines += [f"  layer{i} -> {_quoted(name)};" for name in layer.top if name not in layer.bottom]
        blobs |= dict.fromkeys([*layer.bottom, *layer.top])
    lines += [f'  {_quoted(name)} [fillcolor="#e8e0d0"];' for name in blobs]
    return "\n".join([*lines, "}\n"])


def _settings(layer: Any) -> Iterator[str]:
    """The plain options that a layer sets, as in kernel_size: 5."""
    for block, message in layer.ListFields():
        if block.name.endswith("_param") and block.message_type is not None:
            for field, value in message.ListFields():
                if field.message_type is None:
                    values = value if hasattr(value, "extend") else [value]
                    yield f"{field.name}: {' '.join(_text(field, v) for v in values)}"


def _text(field: Any, value: Any) -> str:
    if field.enum_type is not None:
        return field.enum_type.values_by_number[value].name
    return f"{value:g}" if isinstance(value, float) else str(value)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
