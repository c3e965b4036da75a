"""Files of weights as other programs wrote them, by protobuf's own classes of their schemas."""

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

V1_TYPES = {
    "Concat": 3,
    "Convolution": 4,
    "Dropout": 6,
    "InnerProduct": 14,
    "LRN": 15,
    "Pooling": 17,
    "ReLU": 18,
    "Softmax": 20,
    "Deconvolution": 39,
}
V0_TYPES = {"Convolution": "conv", "InnerProduct": "innerproduct", "Padding": "padding"}
RAW_KINDS = {"raw double": (0, "<f8"), "raw float": (1, "<f4"), "raw half": (2, "<f2")}


def messages(path, apart=False):
    """The message classes of BVLC's schema; NVCaffe's raw data added, numbers unpacked (apart) where asked."""
    file = descriptor_pb2.FileDescriptorSet.FromString(path.read_bytes()).file[0]
    (blob,) = (m for m in file.message_type if m.name == "BlobProto")
    for field in blob.field:
        if apart and field.name in ("data", "double_data"):
            field.options.packed = False
    field = descriptor_pb2.FieldDescriptorProto
    for name, number, kind in (("raw_data_type", 10, field.TYPE_INT32), ("raw_data", 12, field.TYPE_BYTES)):
        blob.field.add(name=name, number=number, type=kind, label=field.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = ((m.name, pool.FindMessageTypeByName(f"{file.package}.{m.name}")) for m in file.message_type)
    return {f"{file.package}.{name}": message_factory.GetMessageClass(m) for name, m in found}


def caffemodel(schema, layers, age="today", numbers="float"):
    """The bytes for (name, type, arrays) in a format's age: "today", "v1" or "v0"."""
    net = schema["caffe.NetParameter"](name="written")
    for name, kind, arrays in layers:
        if age == "today":
            made = net.layer.add(name=name, type=kind)
        elif age == "v1":
            made = net.layers.add(name=name, type=V1_TYPES[kind])
        else:
            made = net.layers.add().layer
            made.name, made.type = name, V0_TYPES[kind]
        for x in arrays:
            _blob(made.blobs.add(), np.asarray(x), age != "today", numbers)
    return net.SerializeToString()


def _blob(blob, x, legacy, numbers):
    """An axis that Caffe gives no size to (a single number) leaves no trace in the file, as Caffe writes it."""
    if legacy:
        blob.num, blob.channels, blob.height, blob.width = (1,) * (4 - x.ndim) + x.shape
    else:
        for d in x.shape:
            blob.shape.dim.append(d)
    if numbers == "double":
        blob.double_data.extend(x.ravel())
    elif numbers in RAW_KINDS:
        blob.raw_data_type, dtype = RAW_KINDS[numbers]
        blob.raw_data = x.astype(dtype).tobytes()
    else:
        blob.data.extend(x.ravel())
