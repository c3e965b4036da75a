"""What is written reads back as the same message."""

from netdef_proto.netdef_pb2 import BlobProto, LayerParameter, NetParameter, SolverParameter

from netdef import prototxt


def test_reads_back_equal() -> None:
    net = NetParameter(name='caf\u00e9 "\\ \n')
    layer = net.layer.add(name="a", type="Convolution", bottom=["x"], loss_weight=[0.1, 1e-30, 3])
    layer.convolution_param.weight_filler.std = 1 / 3
    layer.propagate_down.extend([True, False])
    layer.blobs.append(BlobProto(data=[0.1, -2, 1e10], double_data=[1 / 3]))
    text = prototxt.write(net)
    assert prototxt.write(prototxt.parse(text, NetParameter)) == text
    back = prototxt.parse(text, NetParameter)
    back.layer[0].ClearField("netdef_origin")
    assert back == net
    assert "caf\u00e9" in text


def test_fields_stand_in_the_order_of_the_schema() -> None:
    layer = LayerParameter(phase=1, type="Pooling", top=["y"], bottom=["x"], name="a")
    layer.transform_param.mirror = True
    layer.include.add(phase=1)
    layer.propagate_down.append(True)
    names = [line.split()[0] for line in prototxt.write(layer).splitlines() if line[0] not in " }"]
    assert names == ["name:", "type:", "bottom:", "top:", "phase:", "propagate_down:", "include", "transform_param"]
    assert prototxt.write(SolverParameter(base_lr=1, net="n")).startswith("net:")
