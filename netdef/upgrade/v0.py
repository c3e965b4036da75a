"""V0 (`layers { layer { type: "conv" ... } }`, 2013) to V1: settings find their blocks, padding layers fold away."""

from typing import Any

from netdef.errors import GraphError, NetdefError, PrototxtError

TYPES = {
    "accuracy": "ACCURACY",
    "bnll": "BNLL",
    "concat": "CONCAT",
    "conv": "CONVOLUTION",
    "data": "DATA",
    "dropout": "DROPOUT",
    "euclidean_loss": "EUCLIDEAN_LOSS",
    "flatten": "FLATTEN",
    "hdf5_data": "HDF5_DATA",
    "hdf5_output": "HDF5_OUTPUT",
    "im2col": "IM2COL",
    "images": "IMAGE_DATA",
    "infogain_loss": "INFOGAIN_LOSS",
    "innerproduct": "INNER_PRODUCT",
    "lrn": "LRN",
    "multinomial_logistic_loss": "MULTINOMIAL_LOGISTIC_LOSS",
    "pool": "POOLING",
    "relu": "RELU",
    "sigmoid": "SIGMOID",
    "softmax": "SOFTMAX",
    "softmax_loss": "SOFTMAX_LOSS",
    "split": "SPLIT",
    "tanh": "TANH",
    "window_data": "WINDOW_DATA",
}

_CONV, _DENSE, _POOL = "convolution_param", "inner_product_param", "pooling_param"
_DATA, _HDF5, _IMAGES, _WINDOW = "data_param", "hdf5_data_param", "image_data_param", "window_data_param"

# the block that holds today what stood flat in a V0 layer, by V0 type; a type that is not named never read it
SETTINGS: dict[str, tuple[str, dict[str, str]]] = {
    "num_output": ("num_output", {"conv": _CONV, "innerproduct": _DENSE}),
    "biasterm": ("bias_term", {"conv": _CONV, "innerproduct": _DENSE}),
    "weight_filler": ("weight_filler", {"conv": _CONV, "innerproduct": _DENSE}),
    "bias_filler": ("bias_filler", {"conv": _CONV, "innerproduct": _DENSE}),
    "pad": ("pad", {"conv": _CONV, "pool": _POOL}),
    "kernelsize": ("kernel_size", {"conv": _CONV, "pool": _POOL}),
    "stride": ("stride", {"conv": _CONV, "pool": _POOL}),
    "group": ("group", {"conv": _CONV}),
    "pool": ("pool", {"pool": _POOL}),
    "dropout_ratio": ("dropout_ratio", {"dropout": "dropout_param"}),
    "local_size": ("local_size", {"lrn": "lrn_param"}),
    "alpha": ("alpha", {"lrn": "lrn_param"}),
    "beta": ("beta", {"lrn": "lrn_param"}),
    "k": ("k", {"lrn": "lrn_param"}),
    "source": (
        "source",
        {
            "data": _DATA,
            "hdf5_data": _HDF5,
            "images": _IMAGES,
            "window_data": _WINDOW,
            "infogain_loss": "infogain_loss_param",
        },
    ),
    "batchsize": ("batch_size", {"data": _DATA, "hdf5_data": _HDF5, "images": _IMAGES, "window_data": _WINDOW}),
    "rand_skip": ("rand_skip", {"data": _DATA, "images": _IMAGES}),
    "shuffle_images": ("shuffle", {"images": _IMAGES}),
    "new_height": ("new_height", {"images": _IMAGES}),
    "new_width": ("new_width", {"images": _IMAGES}),
    "concat_dim": ("concat_dim", {"concat": "concat_param"}),
    "det_fg_threshold": ("fg_threshold", {"window_data": _WINDOW}),
    "det_bg_threshold": ("bg_threshold", {"window_data": _WINDOW}),
    "det_fg_fraction": ("fg_fraction", {"window_data": _WINDOW}),
    "det_context_pad": ("context_pad", {"window_data": _WINDOW}),
    "det_crop_mode": ("crop_mode", {"window_data": _WINDOW}),
}
TRANSFORM = {"scale": "scale", "meanfile": "mean_file", "cropsize": "crop_size", "mirror": "mirror"}
KEPT = ("name", "blobs", "blobs_lr", "weight_decay", "hdf5_output_param")


def needed(net: Any) -> str:
    """Why the net is V0, or ""."""
    old = sum(layer.HasField("layer") for layer in net.layers)
    return f"{old} V0 layers (layers {{ layer {{ }} }})" if old else ""


def upgrade(net: Any) -> Any:
    """The net with V1 layers; a V1 layer among them stays what it is, where Caffe would empty it."""
    new = type(net)()
    new.CopyFrom(net)
    del new.layers[:]
    for layer in _fold_padding(net):
        if layer.HasField("layer"):
            _upgrade_layer(layer, new.layers.add())
        else:
            new.layers.add().CopyFrom(layer)
    return new


def _fold_padding(net: Any) -> list[Any]:
    """Copies of the layers without the padding layers, whose pad goes to the layers that take their tops."""
    makers: dict[str, Any] = {}  # the last layer to make each blob
    kept = []
    for layer in net.layers:
        copy = type(layer)()
        copy.CopyFrom(layer)
        for i, bottom in enumerate(layer.bottom):
            maker = makers.get(bottom)
            if maker is not None and maker.layer.type == "padding":
                _check_padding(maker, layer)
                copy.layer.pad = maker.layer.pad
                copy.bottom[i] = maker.bottom[0]
        if layer.layer.type != "padding":
            kept.append(copy)
        makers.update(dict.fromkeys(layer.top, layer))
    return kept


def _check_padding(padding: Any, layer: Any) -> None:
    if layer.layer.type not in ("conv", "pool") or len(layer.bottom) != 1:
        raise _at(layer, GraphError(f"layer {layer.layer.name!r}: only conv or pool of one bottom takes padding"))
    if len(padding.bottom) != 1 or len(padding.top) != 1:
        raise _at(padding, GraphError(f"layer {padding.layer.name!r}: padding takes one bottom and makes one top"))


def _upgrade_layer(old: Any, new: Any) -> None:
    flat = old.layer
    new.CopyFrom(old)
    new.ClearField("layer")
    new.netdef_origin = old.netdef_origin or flat.netdef_origin
    if flat.type not in TYPES:
        raise _at(old, PrototxtError(f"layer {flat.name!r}: no V0 layer type {flat.type!r}; want {', '.join(TYPES)}"))
    enum = new.DESCRIPTOR.fields_by_name["type"].enum_type
    new.type = enum.values_by_name[TYPES[flat.type]].number
    for field, value in flat.ListFields():
        if field.name in KEPT:
            _put(new, field.name, value)
        elif field.name in TRANSFORM:
            _put(new.transform_param, TRANSFORM[field.name], value)
        elif field.name in SETTINGS:
            name, blocks = SETTINGS[field.name]
            if flat.type in blocks:
                _put(getattr(new, blocks[flat.type]), name, value)


def _put(block: Any, name: str, value: Any) -> None:
    """Set a field of whichever kind: a V0 kernelsize is one number, a Convolution's kernel_size a list."""
    held = getattr(block, name)
    if hasattr(held, "CopyFrom"):
        held.CopyFrom(value)
    elif hasattr(held, "extend"):
        held.extend(value if hasattr(value, "extend") else [value])
    else:
        setattr(block, name, value)


def _at(layer: Any, error: NetdefError) -> NetdefError:
    origin = layer.netdef_origin or layer.layer.netdef_origin
    return error.at(origin) if origin else error
