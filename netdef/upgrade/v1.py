"""V1 (`layers { type: CONVOLUTION blobs_lr: 1 }`, 2014) to today's `layer { type: "Convolution" param { } }`."""

from typing import Any

from netdef.errors import PrototxtError

# where the name is not just the enum's words, capitalised and joined
_NAMES = {
    "NONE": "",
    "ABSVAL": "AbsVal",
    "ARGMAX": "ArgMax",
    "BNLL": "BNLL",
    "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output",
    "LRN": "LRN",
    "MVN": "MVN",
    "RELU": "ReLU",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "TANH": "TanH",
}
# one list of V1 for each setting of today's param { } blocks
_PARAM = {"param": "name", "blob_share_mode": "share_mode", "blobs_lr": "lr_mult", "weight_decay": "decay_mult"}


def needed(net: Any) -> str:
    """Why the net is V1, or ""; a V0 net has its own reason."""
    old = sum(not layer.HasField("layer") for layer in net.layers)
    return f"{old} V1 layers (layers {{ type: ENUM }})" if old else ""


def upgrade(net: Any) -> Any:
    """The net with its `layers` as `layer`; both in one net are an error, where Caffe drops every `layer`."""
    if len(net.layer):
        error = PrototxtError(f"{len(net.layers)} 'layers' and {len(net.layer)} 'layer' in one net; want only 'layer'")
        raise error.at(net.layer[0].netdef_origin) if net.layer[0].netdef_origin else error
    new = type(net)()
    new.CopyFrom(net)
    del new.layers[:]
    for layer in net.layers:
        _upgrade_layer(layer, new.layer.add())
    return new


def type_name(enum_name: str) -> str:
    """Today's type for the name of a V1 enum value: INNER_PRODUCT is InnerProduct."""
    words = "".join(word.capitalize() for word in enum_name.split("_"))
    return _NAMES.get(enum_name, words)


def _upgrade_layer(old: Any, new: Any) -> None:
    for field, value in old.ListFields():
        if field.name == "type":
            new.type = type_name(field.enum_type.values_by_number[value].name)
        elif field.name in _PARAM:
            _set_params(new, _PARAM[field.name], value)
        elif hasattr(value, "CopyFrom"):
            getattr(new, field.name).CopyFrom(value)
        elif hasattr(value, "extend"):
            getattr(new, field.name).extend(value)
        else:
            setattr(new, field.name, value)


def _set_params(layer: Any, name: str, values: Any) -> None:
    while len(layer.param) < len(values):
        layer.param.add()
    for param, value in zip(layer.param, values):
        setattr(param, name, value)
