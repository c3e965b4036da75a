"""Nets as they were published: text and weights in, the numbers of plain formulas out, and of the model in ONNX."""

import numpy as np
import pytest
from forms.nets import FORMS, VGG
from forms.written import caffemodel, messages

from netdef import read, weights
from netdef.export import export_file

NUMBERS = ["float", "apart", "double", "raw double", "raw float", "raw half"]


@pytest.fixture
def schema(shared, request):
    path = shared / "caffe/bvlc_schema.pb"
    if not path.exists():
        pytest.skip(f"no {path.name}, the schema that other programs write by")
    return messages(path, apart=getattr(request, "param", "") == "apart")


def drawn(form, numbers="float"):
    """The weights by layer, as the file's numbers can hold them."""
    rng, kind = np.random.default_rng(4), np.float16 if numbers == "raw half" else np.float32
    made = {}
    for name, (_, shapes) in form.shapes.items():
        fixed = form.fixed.get(name)
        arrays = fixed() if fixed else [rng.standard_normal(s) / np.sqrt(max(np.prod(s[1:]), 1)) for s in shapes]
        made[name] = [np.asarray(x).astype(kind).astype(np.float64) for x in arrays]
    for name in made:  # the second of a pair shares what the first has
        made[name] = made.get(name.removesuffix("_p"), made[name])
    return made


def loaded(form, schema, folder, numbers="float"):
    """The net, what loading said, and the weights it should hold."""
    w = drawn(form, numbers)
    layers = [(name, kind, w[name]) for name, (kind, _) in form.shapes.items()]
    (folder / "deploy.prototxt").write_text(form.text)
    (folder / "w.caffemodel").write_bytes(caffemodel(schema, layers, form.age, numbers))
    net = read.net(folder / "deploy.prototxt", 1, seed=9)
    return net, weights.load(net.layers, folder / "w.caffemodel"), w


def feeds(form, net):
    rng = np.random.default_rng(6)
    normal = {name: rng.standard_normal(net.blobs[name].shape) for name in net.inputs}
    return {name: form.drawn[name](rng) if name in form.drawn else x for name, x in normal.items()}


def run(net, given):
    for name, x in given.items():
        net.blobs[name].data[...] = x
    net.forward()
    return {name: net.blobs[name].data for name in net.outputs}


def in_runtime(path, given):
    runtime = pytest.importorskip("onnxruntime").InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [o.name for o in runtime.get_outputs()]
    return dict(zip(names, runtime.run(names, {n: x.astype(np.float32) for n, x in given.items()}), strict=True))


def check(found, want):
    assert set(found) == set(want)
    for name, y in want.items():
        assert found[name].shape == y.shape
        np.testing.assert_allclose(found[name], y, rtol=0, atol=2e-5 * np.abs(y).max(), err_msg=name)


@pytest.mark.parametrize("name", FORMS)
def test_a_published_form_is_what_its_formulas_say(schema, tmp_path, name):
    form = FORMS[name]
    net, report, w = loaded(form, schema, tmp_path)
    assert report.at_filler == []
    assert report.unused == (["loss1/classifier"] if name == "GoogLeNet" else [])
    given = feeds(form, net)
    want = form.oracle(w, **given)
    check(run(net, given), want)
    assert export_file(net, tmp_path / "net.onnx", every=True).parity.constant == ()
    check(in_runtime(str(tmp_path / "net.onnx"), given), want)


@pytest.mark.parametrize(
    ("name", "opset"), [("ResNet", 9), ("MobileNet", 11), ("siamese", 12), ("face", 11), ("FCN", 10), ("captions", 9)]
)
def test_a_form_in_the_operations_of_old(schema, tmp_path, name, opset):
    """Mul has no adapter from 13 to 12, where Unsqueeze and Split want one."""
    form = FORMS[name]
    net, _, w = loaded(form, schema, tmp_path)
    given = feeds(form, net)
    assert export_file(net, tmp_path / "net.onnx", every=True, opset=opset).opset == opset
    check(in_runtime(str(tmp_path / "net.onnx"), given), form.oracle(w, **given))


def test_a_net_with_a_state_is_compared_from_its_first_pass_on(schema, tmp_path):
    """What passes before the export left behind is not in the model; nor is what one input leaves to the next."""
    form = FORMS["captions"]
    net, _, w = loaded(form, schema, tmp_path)
    given = feeds(form, net)
    given["cont_sentence"] = np.ones_like(given["cont_sentence"])
    run(net, given)
    assert export_file(net, tmp_path / "net.onnx", every=True).parity.difference < 1e-5
    check(in_runtime(str(tmp_path / "net.onnx"), given), form.oracle(w, **given))


@pytest.mark.parametrize(("schema", "numbers"), [(n, n) for n in NUMBERS], indirect=["schema"])
def test_numbers_in_every_form(schema, tmp_path, numbers):
    net, report, w = loaded(VGG, schema, tmp_path, numbers)
    assert (report.at_filler, report.unused) == ([], [])
    for name, blobs in net.params.items():
        for blob, x in zip(blobs, w[name], strict=True):
            assert np.array_equal(blob.data, x.astype(np.float32))
    given = feeds(VGG, net)
    check(run(net, given), VGG.oracle(w, **given))


def test_what_is_written_stands_as_caffe_would_write_it(schema, tmp_path):
    """A number without axes has no shape at all; read back by their classes, all else has today's."""
    net, _, w = loaded(FORMS["face"], schema, tmp_path)
    weights.save(tmp_path / "again.caffemodel", "face", net.layers)
    message = schema["caffe.NetParameter"].FromString((tmp_path / "again.caffemodel").read_bytes())
    found = {layer.name: layer.blobs for layer in message.layer if layer.blobs}
    assert set(found) == set(w)
    for name, blobs in found.items():
        for blob, x in zip(blobs, w[name], strict=True):
            assert tuple(blob.shape.dim) == x.shape
            assert np.array_equal(np.array(blob.data), x.ravel())
