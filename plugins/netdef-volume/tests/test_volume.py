"""Conformance to netdef's contract, pooling against loops, and crops whose every voxel knows where it is from."""

import itertools

import numpy as np
import pytest

from netdef import prototxt, registry
from netdef.errors import LayerError
from netdef.net import Net
from netdef.testing import check_layer

RNG = np.random.default_rng(6)


def test_conforms(netdef_case):
    check_layer(netdef_case)


def parse(text):
    return prototxt.parse(text, registry.default().schema.message("NetParameter"), "net.prototxt")


def run(layer, x, top="y"):
    shape = " ".join(f"dim: {d}" for d in x.shape)
    text = f'layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ {shape} }} }} }}'
    net = Net(parse(f'{text} layer {{ name: "y" bottom: "x" top: "y" {layer} }}'), 1, dtype=np.float64)
    net.blobs["x"].data[...] = x
    net.forward()
    return net.blobs[top].data


def pooled(x, kernel, stride, pad, mean):
    """One plane of any number of axes, window by window, sizes rounded up."""
    sizes = []
    for size, k, s, p in zip(x.shape, kernel, stride, pad, strict=True):
        n = -(-(size + 2 * p - k) // s) + 1
        sizes.append(n - (any(pad) and (n - 1) * s >= size + p))
    y = np.zeros(sizes)
    for place in np.ndindex(*sizes):
        starts = [o * s - p for o, s, p in zip(place, stride, pad, strict=True)]
        ranges = [range(a, min(a + k, n + p)) for a, k, n, p in zip(starts, kernel, x.shape, pad, strict=True)]
        inside = [at for at in itertools.product(*ranges) if all(0 <= i < n for i, n in zip(at, x.shape, strict=True))]
        values = [x[at] for at in inside]
        y[place] = sum(values) / np.prod([len(r) for r in ranges]) if mean else max(values)
    return y


@pytest.mark.parametrize("mean", [False, True])
@pytest.mark.parametrize(
    ("kernel", "stride", "pad"),
    [((1, 2, 2), (1, 2, 2), (0, 0, 0)), ((3, 2, 4), (2, 1, 3), (1, 0, 2)), ((2, 3, 3), (2, 2, 2), (0, 1, 1))],
)
def test_windows(kernel, stride, pad, mean):
    x = RNG.normal(size=(2, 2, 5, 6, 7))
    given = zip(("kernel_size", "stride", "pad"), (kernel, stride, pad), strict=True)
    options = " ".join(f"{name}: {v}" for name, values in given for v in values)
    y = run(f'type: "Pooling" pooling_param {{ pool: {"AVE" if mean else "MAX"} {options} }}', x)
    for n, c in np.ndindex(2, 2):
        np.testing.assert_allclose(y[n, c], pooled(x[n, c], kernel, stride, pad, mean))


def test_the_second_top_says_which_voxel_won():
    x = RNG.normal(size=(1, 2, 4, 4, 6))
    layer = 'type: "Pooling" top: "where" pooling_param { kernel_size: [1, 2, 3] stride: [1, 2, 3] }'
    y, where = run(layer, x), run(layer, x, "where")
    np.testing.assert_array_equal(
        np.take_along_axis(x.reshape(1, 2, -1), where.reshape(1, 2, -1).astype(int), 2), y.reshape(1, 2, -1)
    )


def test_sizes_given_once_are_still_caffes_own_pooling():
    net = parse('layer { name: "y" type: "Pooling" bottom: "x" top: "y" pooling_param { kernel_size: 3 stride: 2 } }')
    from netdef.graph.choose import provider

    assert provider(net.layer[0], registry.default()).plugin.distribution == "netdef-nn"
    net.layer[0].pooling_param.kernel_size = 5  # scripts set one value
    assert net.layer[0].pooling_param.kernel_size == 5


def test_sizes_are_written_as_they_were_read():
    text = "pooling_param { kernel_size: 1 kernel_size: 2 stride: [3, 4] pad: 1 }"
    net = parse(f'layer {{ name: "KERNEL_SIZE: 2" type: "Pooling" {text} }}')
    written = prototxt.write(net)
    assert [line.strip() for line in written.splitlines() if ": " in line] == [
        'name: "KERNEL_SIZE: 2"',
        'type: "Pooling"',
        "pad: 1",
        *("kernel_size: 1", "kernel_size: 2", "stride: 3", "stride: 4"),
    ]
    again = parse(written)
    again.layer[0].netdef_origin = net.layer[0].netdef_origin
    assert again == net


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("kernel_size: 1 kernel_size: 2", "2 kernel_size for 3 spatial axes"),
        ("kernel_size: [2, 2, 2] pad: [2, 0, 0]", r"pad \(2, 0, 0\) is not smaller"),
        ("kernel_size: [2, 2, 0]", "at least 1 along each axis"),
        ("kernel_size: [9, 9, 9]", "larger than the image"),
        ("kernel_size: [2, 2, 2] pool: STOCHASTIC pad: 1", "STOCHASTIC"),
        ("kernel_size: [2, 2, 2] kernel_h: 2", "both kernel_size and kernel_h"),
        ("kernel_size: [2, 2, 2] global_pooling: true", "both global_pooling and a kernel"),
        ("kernel_size: [2, 2, 2] round_mode: FLOOR ceil_mode: true", "round_mode contradicts"),
    ],
)
def test_refused(options, message):
    with pytest.raises(LayerError, match=message):
        run(f'type: "Pooling" pooling_param {{ {options} }}', np.zeros((1, 1, 4, 4, 4)))


@pytest.fixture
def volumes(tmp_path):
    """A list of one file with 5 volumes whose voxels are numbered, and labels that are twice the number."""
    h5py = pytest.importorskip("h5py")
    data = np.arange(5 * 2 * 6 * 7 * 8, dtype=np.float64).reshape(5, 2, 6, 7, 8)
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f["data"], f["label"] = data, data[:, :1] * 2
    (tmp_path / "list.txt").write_text(str(tmp_path / "a.h5"))
    return tmp_path / "list.txt", data


def crops(source, phase, size=(3, 4, 5), batch=3, more=""):
    sizes = " ".join(f"crop_size_{axis}: {n}" for axis, n in zip("lhw", size, strict=True))
    layer = f'layer {{ name: "d" type: "HDF5Data" top: "data" top: "label" transform_param {{ {sizes} {more} }}'
    layer += f' hdf5_data_param {{ source: "{source}" batch_size: {batch} }} }}'
    return Net(parse(layer), phase, dtype=np.float64, seed=3)


def test_crops_of_data_and_label_are_the_same_part(volumes):
    source, data = volumes
    net, seen = crops(source, 0), []
    for p in range(4):
        net.forward()
        x, label = net.blobs["data"].data, net.blobs["label"].data
        assert x.shape == (3, 2, 3, 4, 5) and label.shape == (3, 1, 3, 4, 5)
        np.testing.assert_array_equal(label, x[:, :1] * 2)
        for k in range(3):
            record = (3 * p + k) % 5
            first = int(x[k, 0, 0, 0, 0]) - record * data[0].size
            start = np.unravel_index(first, data[0, 0].shape)
            part = tuple(slice(a, a + n) for a, n in zip(start, (3, 4, 5), strict=True))
            np.testing.assert_array_equal(x[k], data[(record, slice(None), *part)])
            seen.append(start)
    assert len(set(seen)) > 6
    again = crops(source, 0)
    again.forward()
    assert np.unravel_index(int(again.blobs["data"].data[0, 0, 0, 0, 0]), data[0, 0].shape) == seen[0]


def test_a_test_sees_the_middle(volumes):
    source, data = volumes
    net = crops(source, 1)
    net.forward()
    np.testing.assert_array_equal(net.blobs["data"].data, data[:3, :, 1:4, 1:5, 1:6])


@pytest.mark.parametrize(("size", "more", "message"), [((9, 4, 4), "", "larger"), ((3, 4, 5), "scale: 2", "scale")])
def test_crops_that_are_refused(volumes, size, more, message):
    with pytest.raises(LayerError, match=message):
        crops(volumes[0], 0, size, more=more)
