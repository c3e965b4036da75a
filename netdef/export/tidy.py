"""Tidy a graph once it is complete: drop what leads nowhere, and give blobs' values the blobs' names."""

from collections.abc import Iterable, Iterator

import onnx

from netdef.export.graph import Graph


def prune(graph: Graph, ends: Iterable[str]) -> set[str]:
    """Drop operations and initializers that no end depends on; the names still read, ends included."""
    needed = set(ends)
    kept = []
    for node in reversed(graph.nodes):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(_reads(node))
    graph.nodes = kept[::-1]
    graph.initializers = {name: tensor for name, tensor in graph.initializers.items() if name in needed}
    return needed


def name_values(
    graph: Graph, inputs: dict[str, str], outputs: dict[str, str], tops: list[tuple[str, str]]
) -> dict[str, str]:
    """Rename values (value -> blob) after blobs: outputs first, then inputs, then every blob's last version.

    `tops` are (value, blob) of every top in order. Where a name is taken, because a layer worked in place, the value
    is called `blob@0`, `blob@1` and so on. Returns the new name of every value that got one.
    """
    names = dict(outputs)
    used = set(outputs.values())
    last = {blob: value for value, blob in tops}
    for value, blob in [*inputs.items(), *((value, blob) for blob, value in last.items())]:
        if value not in names and blob not in used and value not in graph.initializers:
            names[value] = blob
            used.add(blob)
    versions: dict[str, int] = {}
    for value, blob in tops:
        if value not in names and value not in graph.initializers:
            names[value] = graph.fresh(f"{blob}@{versions.setdefault(blob, 0)}")
            versions[blob] += 1
    for node in graph.nodes:
        _rename(node, names)
    return names


def _reads(node: onnx.NodeProto) -> Iterator[str]:
    """The names a node reads, those of the graphs within it (the body of a Loop) included."""
    yield from node.input
    for inner in _within(node):
        yield from _reads(inner)


def _rename(node: onnx.NodeProto, names: dict[str, str]) -> None:
    for field in (node.input, node.output):
        field[:] = [names.get(name, name) for name in field]
    for inner in _within(node):
        _rename(inner, names)


def _within(node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
    for attribute in node.attribute:
        yield from attribute.g.node
