"""Weights into nets: matched by layer name, several files at once, what is reported and what is refused."""

import numpy as np
import pytest
import toys

from netdef import weights
from netdef.errors import WeightsError

HEAD = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }\n'


def net(*names, outputs=3, seed=1):
    """Dense layers of these names, one after another."""
    text, bottom = HEAD, "x"
    for name in names:
        text += (
            f'layer {{ name: "{name}" type: "Dense" bottom: "{bottom}" top: "{name}" '
            f'dense_param {{ outputs: {outputs} filler {{ type: "gaussian" }} }} }}\n'
        )
        bottom = name
    built = toys.net(text)
    built.reseed(seed)
    built.fill()
    return built


def saved(path, built):
    weights.save(path, built.name, built.layers)
    return path


def same(one, two, name):
    return all(np.array_equal(a.data, b.data) for a, b in zip(one.params[name], two.params[name], strict=True))


@pytest.mark.parametrize("ending", ["", ".h5"])
def test_layers_are_matched_by_name_wherever_they_stand(tmp_path, ending):
    source, target = net("a", "b", "c", seed=1), net("c", "new", "a", seed=2)
    report = weights.load(target.layers, saved(tmp_path / f"w{ending}", source))
    assert same(source, target, "a")
    assert same(source, target, "c")
    assert same(net("c", "new", "a", seed=2), target, "new"), "left at its filler"
    assert (sorted(report.loaded), report.at_filler, report.unused) == (["a", "c"], ["new"], ["b"])
    assert str(report) == "2 layers loaded; left at their fillers: new; in the file but not in the net: b"


def test_later_files_win(tmp_path):
    one, two = net("a", "b", seed=1), net("b", "c", seed=2)
    target = net("a", "b", "c", seed=3)
    report = weights.load(target.layers, saved(tmp_path / "1", one), saved(tmp_path / "2.h5", two))
    assert same(one, target, "a")
    assert same(two, target, "b")
    assert same(two, target, "c")
    assert sorted(report.loaded) == ["a", "b", "c"]
    assert report.at_filler == []


def test_a_shape_that_differs_shows_both_and_how_to_go_on(tmp_path):
    path = saved(tmp_path / "w", net("a", "b", outputs=4))
    with pytest.raises(WeightsError) as caught:
        weights.load(net("a", "b").layers, path)
    message = str(caught.value)
    assert message.startswith(f"{path}: layer 'a' blob 0 has shape (3, 4) there and (3, 3) in the net; ")
    assert "give it another name in the prototxt" in message


def test_nothing_is_copied_when_anything_is_refused(tmp_path):
    good, bad = saved(tmp_path / "good", net("a", seed=5)), saved(tmp_path / "bad", net("q", "b", outputs=4))
    target = net("a", "b")
    before = net("a", "b")
    with pytest.raises(WeightsError, match="layer 'b' blob 0"):
        weights.load(target.layers, good, bad)
    assert same(target, before, "a")


def test_another_number_of_blobs(tmp_path, pb):
    blob = pb.BlobProto(shape=pb.BlobShape(dim=[3, 3]), data=range(9))
    (tmp_path / "w").write_bytes(pb.NetParameter(layer=[pb.LayerParameter(name="a", blobs=[blob])]).SerializeToString())
    with pytest.raises(WeightsError, match="layer 'a' has 1 blobs there and 2 in the net"):
        weights.load(net("a").layers, tmp_path / "w")


def test_layers_without_parameters_are_no_news(tmp_path):
    """Neither an Input in the file nor one in the net is reported."""
    more = net("a", "b")
    more.layers[-1].blobs.clear()
    report = weights.load(net("a").layers, saved(tmp_path / "w", more))
    assert (report.loaded, report.at_filler, report.unused) == (["a"], [], [])


def test_a_layer_that_has_lost_its_parameters_is_left_alone(tmp_path, pb):
    """A file whose layer of that name holds nothing, as after surgery."""
    (tmp_path / "w").write_bytes(pb.NetParameter(layer=[pb.LayerParameter(name="a")]).SerializeToString())
    assert weights.load(net("a").layers, tmp_path / "w").at_filler == ["a"]


TWINS = HEAD + "".join(
    f'layer {{ name: "twin" type: "Dense" bottom: "{bottom}" top: "{top}" dense_param {{ outputs: 3 }} }}\n'
    for bottom, top in (("x", "a"), ("a", "b"))
)


def test_layers_of_one_name_are_taken_one_after_the_other(tmp_path):
    """9 of 108 public repositories repeat a name."""
    source, target, shared = (toys.net(TWINS) for _ in range(3))
    for i, p in enumerate(source.parameters):
        p.blob.data[...] = i + 1
    weights.load(target.layers, saved(tmp_path / "w", source))
    assert [p.blob.data.flat[0] for p in target.parameters] == [1, 2, 3, 4]
    shared.share_with(source)
    assert [p.blob.data.flat[0] for p in shared.parameters] == [1, 2, 3, 4]
    with pytest.raises(WeightsError, match=r"HDF5 cannot hold two layers named 'twin'; write a \.caffemodel"):
        saved(tmp_path / "w.h5", source)
    assert [p.name for p in tmp_path.iterdir()] == ["w"]


def test_one_stored_layer_goes_to_the_first_of_its_name(tmp_path, pb):
    """As in Caffe; the second is told to be at its filler, and a file that must be whole is refused."""
    blobs = [pb.BlobProto(shape=pb.BlobShape(dim=shape), data=[5] * 9) for shape in ([3, 3],)]
    blobs.append(pb.BlobProto(shape=pb.BlobShape(dim=[3]), data=[5] * 3))
    layer = pb.LayerParameter(name="twin", blobs=blobs)
    (tmp_path / "w").write_bytes(pb.NetParameter(layer=[layer]).SerializeToString())
    target = toys.net(TWINS)
    report = weights.load(target.layers, tmp_path / "w")
    assert [p.blob.data.flat[0] for p in target.parameters] == [5, 5, 0, 0]
    assert report.at_filler == ["twin"]
    with pytest.raises(WeightsError, match="holds no weights for: twin"):
        weights.load(target.layers, tmp_path / "w", whole=True)


SHARED = HEAD + "".join(
    f'layer {{ name: "{name}" type: "Dense" bottom: "{bottom}" top: "{name}" param {{ name: "w" }} '
    f'param {{ name: "{b}" }} '
    'dense_param { outputs: 3 filler { type: "gaussian" } } }\n'
    for name, bottom, b in (("a", "x", "b"), ("b", "a", "b"), ("c", "b", "own"))
)


@pytest.mark.parametrize("ending", ["", ".h5"])
def test_shared_parameters_come_back_shared(tmp_path, ending):
    source, target = toys.net(SHARED), toys.net(SHARED)
    for i, p in enumerate(source.parameters):
        p.blob.data[...] = i + 1
    weights.load(target.layers, saved(tmp_path / f"w{ending}", source))
    assert [p.blob.data.flat[0] for p in target.parameters] == [1, 2, 3]
    assert np.shares_memory(target.params["a"][0].data, target.params["c"][0].data)


def test_an_hdf5_file_as_caffe_writes_it_holds_a_shared_parameter_once(tmp_path):
    """Caffe: only owners write; a sharer's group lacks the dataset, or is empty."""
    import h5py

    with h5py.File(tmp_path / "w.h5", "w") as f:
        for name in ("x", "a", "b", "c"):
            f.create_group(f"data/{name}")
        f["data/a/0"], f["data/a/1"], f["data/c/1"] = np.full((3, 3), 7.0), np.full(3, 8.0), np.full(3, 9.0)
    target = toys.net(SHARED)
    report = weights.load(target.layers, tmp_path / "w.h5")
    assert [p.blob.data.flat[0] for p in target.parameters] == [7, 8, 9]
    assert (sorted(report.loaded), report.at_filler) == (["a", "c"], [])


def test_a_dataset_that_is_missing_without_being_shared(tmp_path):
    import h5py

    with h5py.File(tmp_path / "w.h5", "w") as f:
        f["data/a/1"] = np.zeros(3)
    with pytest.raises(WeightsError, match="layer 'a' has 1 blobs there and 2 in the net"):
        weights.load(net("a").layers, tmp_path / "w.h5")


def test_saving_is_all_or_nothing(tmp_path, monkeypatch):
    path = saved(tmp_path / "w", net("a"))
    before = path.read_bytes()
    monkeypatch.setattr(weights, "write_caffemodel", lambda f, *rest: f.write(b"half") and 1 / 0)
    with pytest.raises(ZeroDivisionError):
        saved(path, net("a", seed=2))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
