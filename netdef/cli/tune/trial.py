"""A solver for a try: settings changed, nothing written."""

from pathlib import Path
from typing import Any

from netdef import read
from netdef.cli import nets, settings
from netdef.errors import SolverError
from netdef.files import finder
from netdef.names import nearest
from netdef.solver import Solver


class Template:
    """A solver's settings with its net written out, from which changed copies are made."""

    def __init__(self, path: str, args: Any):
        self.registry = settings.plugins(args)
        with nets.expecting("solver", path):
            self.param = read.solver_param(path, self.registry)
        self.path = Path(path)
        if self.param.HasField("net"):  # written out, so that a layer's options can be changed
            net = finder(self.path.parent)(self.param.net)
            self.param.net_param.CopyFrom(read.net_param(net, self.registry))
            self.param.ClearField("net")
            self.path = net.parent / self.path.name
        self.prefix = Path(path).with_suffix("")

    def solver(self, iterations: int | None, **changes: Any) -> Solver:
        """Raises SolverError for a name that is no setting."""
        param = type(self.param)()
        param.CopyFrom(self.param)
        for name, value in changes.items():
            set_option(param, name, value)
        param.snapshot, param.snapshot_after_train, param.recoveries = 0, False, 0
        if iterations:
            param.ClearField("max_epoch")
            param.max_iter = iterations
            for name in ("test_interval", "test_interval_epoch"):
                param.ClearField(name)
            param.test_interval = max(1, iterations // 5)
        if not param.HasField("random_seed"):
            param.random_seed = 1
        return Solver(param, path=self.path, registry=self.registry, plan=True)


def set_option(param: Any, name: str, value: Any) -> None:
    """A setting of the solver by its name, or LAYER.OPTION in every layer of that name."""
    holder, field = option(param, name)
    for message in holder:
        kind = message.DESCRIPTOR.fields_by_name[field]
        if kind.enum_type is not None and isinstance(value, str):
            value = kind.enum_type.values_by_name[value].number
        if hasattr(getattr(message, field), "extend"):
            getattr(message, field)[:] = [value]
        else:
            setattr(message, field, value)


def option(param: Any, name: str) -> tuple[list[Any], str]:
    """The messages that hold an option, and its field. Raises SolverError naming what is near."""
    if "." not in name:
        fields = [f.name for f in param.DESCRIPTOR.fields]
        if name not in fields:
            raise SolverError(f"'{name}' is no setting of a solver{nearest(name, fields)}; of a layer: LAYER.OPTION")
        return [param], name
    layer_name, *path = name.split(".")
    layers = [layer for layer in param.net_param.layer if layer.name == layer_name]
    if not layers:
        names = {layer.name for layer in param.net_param.layer}
        raise SolverError(f"no layer '{layer_name}'{nearest(layer_name, names)} for --set {name}")
    return [_holder(layer, path, name) for layer in layers], path[-1]


def _holder(layer: Any, path: list[str], name: str) -> Any:
    """The message within a layer; the name of its option block may be left out."""
    blocks = [layer] + [value for field, value in layer.ListFields() if field.message_type and not _many(value)]
    for block in blocks:
        message = block
        try:
            for step in path[:-1]:
                message = getattr(message, step)
        except AttributeError:
            continue
        if path[-1] in message.DESCRIPTOR.fields_by_name:
            return message
    options = {f.name for block in blocks for f in block.DESCRIPTOR.fields}
    raise SolverError(f"layer '{layer.name}' has no option '{'.'.join(path)}'{nearest(path[0], options)} ({name})")


def _many(value: Any) -> bool:
    return hasattr(value, "extend")


def kind_of(param: Any, name: str) -> str:
    """ "int", "float" or "other"."""
    holder, field = option(param, name)
    kind = type(getattr(type(holder[0])(), field))
    found = holder[0].DESCRIPTOR.fields_by_name[field]
    if found.enum_type is not None or kind is bool:
        return "other"
    whole = found.cpp_type in (found.CPPTYPE_INT32, found.CPPTYPE_INT64, found.CPPTYPE_UINT32, found.CPPTYPE_UINT64)
    return "int" if whole else "float" if found.cpp_type in (found.CPPTYPE_FLOAT, found.CPPTYPE_DOUBLE) else "other"
