"""caffe.NetSpec: nets written in Python; `layers as L` makes layers, `params as P` names enum values."""

from collections import Counter, OrderedDict
from typing import Any

from netdef import registry
from netdef.pycaffe.proto import caffe_pb2


class Top:
    """One output of a layer, to be used as another's bottom."""

    def __init__(self, fn: "Function", n: int):
        self.fn, self.n = fn, n

    def to_proto(self) -> Any:
        """The NetParameter of everything this top depends on."""
        return to_proto(self)


class Function:
    """A layer to be: its type, its bottoms, its settings."""

    def __init__(self, type_name: str, inputs: tuple[Any, ...], params: dict[str, Any]):
        for i in inputs:
            if not isinstance(i, Top):
                raise TypeError(f"{type_name}: bottom {i!r} is no top of another layer")
        self.type_name, self.inputs = type_name, inputs
        self.ntop: int = params.pop("ntop", 1)
        self.in_place: bool = params.pop("in_place", False)
        self.params = params
        self.tops = tuple(Top(self, n) for n in range(self.ntop))

    def top_name(self, top: Top, names: dict[Top, str], counts: "Counter[str]") -> str:
        """The name given to a top, else one made of the type and a count."""
        if self.in_place:
            first = self.inputs[0]
            return first.fn.top_name(first, names, counts)
        if top not in names:
            counts[self.type_name] += 1
            names[top] = f"{self.type_name}{counts[self.type_name]}"
        return names[top]

    def write(self, layers: "OrderedDict[Function, Any]", names: dict[Top, str], counts: "Counter[str]") -> None:
        """Add this layer's message, after those it reads from."""
        if self in layers:
            return
        bottoms = []
        for i in self.inputs:
            i.fn.write(layers, names, counts)
            bottoms.append(i.fn.top_name(i, names, counts))
        layer = caffe_pb2.LayerParameter(type=self.type_name, bottom=bottoms)
        layer.top.extend(self.top_name(top, names, counts) for top in self.tops)
        own = names.get(self.tops[0]) if self.tops else None
        if own is None:
            counts[self.type_name] += not layer.top
            own = layer.top[0] if layer.top else f"{self.type_name}{counts[self.type_name]}"
        layer.name = self.params.get("name", own)
        for key, value in self.params.items():
            if key != "name":
                _set(layer if key in layer.DESCRIPTOR.fields_by_name else _block(layer, self.type_name), key, value)
        layers[self] = layer


class NetSpec:
    """Assign tops to attributes (n.conv1 = L.Convolution(n.data, ...)); to_proto makes the net."""

    def __init__(self) -> None:
        super().__setattr__("tops", OrderedDict())

    def __setattr__(self, name: str, value: Any) -> None:
        self.tops[name] = value

    def __getattr__(self, name: str) -> Any:
        if name == "tops" or name not in self.tops:
            raise AttributeError(f"no top named '{name}'")
        return self.tops[name]

    __setitem__ = __setattr__
    __getitem__ = __getattr__

    def to_proto(self) -> Any:
        """The NetParameter, layers in the order in which they depend on one another."""
        return _net(list(self.tops.values()), {top: name for name, top in self.tops.items()})


def to_proto(*tops: Any) -> Any:
    """The NetParameter of everything that the given tops depend on."""
    return _net([t for top in tops for t in (top if isinstance(top, tuple) else (top,))], {})


def _net(tops: list[Any], names: dict[Top, str]) -> Any:
    layers: OrderedDict[Function, Any] = OrderedDict()
    counts: Counter[str] = Counter()
    for top in tops:
        (top if isinstance(top, Function) else top.fn).write(layers, names, counts)
    net = caffe_pb2.NetParameter()
    net.layer.extend(layers.values())
    return net


def _block(layer: Any, type_name: str) -> Any:
    """The option block that a layer type reads."""
    declared = registry.default().find("layers", type_name).thing.options
    name = getattr(declared, "name", declared)
    if not name:
        raise TypeError(f"{type_name} has no options of its own")
    return getattr(layer, name)


def _set(message: Any, key: str, value: Any) -> None:
    """Assign numbers, texts, dicts (nested messages) and lists of them to a field."""
    if key not in message.DESCRIPTOR.fields_by_name:
        raise TypeError(f"{message.DESCRIPTOR.name} has no option '{key}'")
    field = message.DESCRIPTOR.fields_by_name[key]
    target = getattr(message, key)
    if hasattr(target, "extend"):
        for one in value if isinstance(value, list | tuple) else [value]:
            if field.message_type is None:
                target.append(one)
            else:
                _fill(target.add(), one)
    elif isinstance(value, dict):
        _fill(target, value)
        target.SetInParent()
    else:
        setattr(message, key, value)


def _fill(message: Any, values: dict[str, Any]) -> None:
    for key, value in values.items():
        _set(message, key, value)


class _Layers:
    """L.Type(bottom, ..., option=value, ntop=1, in_place=False): a top, or a tuple of tops."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def layer(*args: Any, **kwargs: Any) -> Any:
            fn = Function(name, args, kwargs)
            if fn.ntop == 0:
                return fn
            return fn.tops if fn.ntop > 1 else fn.tops[0]

        return layer


class _Values:
    """P.Pooling.MAX: the values of an option block's enums."""

    def __init__(self, message: str | None = None):
        self._message = message

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if self._message is None:
            return _Values(f"{name}Parameter")
        return getattr(getattr(caffe_pb2, self._message), name)


layers, params = _Layers(), _Values()
