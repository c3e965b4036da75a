"""States that are taken up again: Caffe's own, those of other nets and solvers, files that are missing or cut."""

import h5py
import numpy as np
import pytest
from netdef_proto import netdef_pb2 as pb
from solver.small import ENDINGS, MORE, NET, everything

from netdef.errors import WeightsError


def caffes(folder, history, ending, iteration=5):
    """Weights and state as BVLC Caffe writes them, without anything of netdef's."""
    arrays = [np.full((3, 2), 0.5, "f4"), np.full(2, 0.25, "f4")]
    model, path = (folder / f"c_iter_{iteration}.{kind}{ending}" for kind in ("caffemodel", "solverstate"))
    if ending:
        with h5py.File(model, "w") as f:
            for name in ("data4", "y", "loss"):
                f.create_group(f"data/{name}")
            for i, x in enumerate(arrays):
                f[f"data/y/{i}"] = x
        with h5py.File(path, "w") as f:
            f["iter"], f["current_step"] = np.array([iteration], "i4"), np.array([1], "i4")
            f["learned_net"] = np.bytes_(str(model))
            for i, x in enumerate(history):
                f[f"history/{i}"] = x
        return path
    blobs = [[pb.BlobProto(shape=pb.BlobShape(dim=x.shape), data=x.ravel()) for x in xs] for xs in (arrays, history)]
    model.write_bytes(pb.NetParameter(layer=[pb.LayerParameter(name="y", blobs=blobs[0])]).SerializeToString())
    state = pb.SolverState(iter=iteration, learned_net=str(model), history=blobs[1], current_step=1)
    path.write_bytes(state.SerializeToString())
    return path


@pytest.mark.parametrize("ending", ENDINGS.values())
@pytest.mark.parametrize(("rule", "slots"), [("SGD", 1), ("Adam", 2)])
def test_a_run_of_caffes_is_continued(solver, tmp_path, ending, rule, slots):
    history = [np.full(shape, i, "f4") for i, shape in enumerate([(3, 2), (2,)] * slots)]
    built = solver(f'type: "{rule}" momentum: 0.9 iter_size: 2')
    built.restore(caffes(tmp_path, history, ending))
    assert built.iter == 5
    assert (built.net.params["y"][0].data == 0.5).all()
    assert [m[0] for i in range(2) for m in built.updater.memory[i]] == ([0, 1] if slots == 1 else [0, 2, 1, 3])
    assert built.net.layers[0].passes == 10, "the data goes on where so many batches have been read"
    built.step(1)
    assert built.iter == 6


# -- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ENDINGS.values())
def test_a_state_of_another_solver_type_is_refused(solver, tmp_path, ending):
    snapshot_format = next(k for k, v in ENDINGS.items() if v == ending)
    for one, other in (("SGD", "Adam"), ("Adam", "SGD"), ("SGD", "RMSProp"), ("Adam", "AdaDelta")):
        first = solver(f'type: "{one}" snapshot_format: {snapshot_format}')
        first.step(1)
        path = first.snapshot()[1]
        second = solver(f'type: "{other}"')
        before = everything(second)
        with pytest.raises(WeightsError, match=f"{path}.*{other}"):
            second.restore(path)
        assert everything(second) == before
        assert second.iter == 0


def test_a_state_of_another_net_is_refused(solver):
    first = solver()
    path = first.snapshot()[1]
    with pytest.raises(WeightsError, match=r"holds 2 arrays of history.* has 4"):
        solver(net=NET + MORE).restore(path)
    other = NET.replace("dense_param {", "dense_param { outputs: 1")
    with pytest.raises(WeightsError, match=r"history 0 has shape \(3, 2\), the net's parameter \(3, 1\)"):
        solver(net=other).restore(path)


def test_weights_are_found_beside_the_state_when_both_have_moved(solver, tmp_path):
    built = solver()
    built.step(1)
    there = tmp_path / "there"
    there.mkdir()
    for path in built.snapshot():
        path.rename(there / path.name)
    again = solver("random_seed: 9")
    again.restore(there / "s_iter_1.solverstate")
    assert everything(again) == everything(built)


@pytest.mark.parametrize("ending", ENDINGS.values())
def test_missing_weights_are_named_and_nothing_changes(solver, ending):
    built = solver(f"snapshot_format: {next(k for k, v in ENDINGS.items() if v == ending)}")
    built.step(1)
    model, state = built.snapshot()
    model.unlink()
    again = solver()
    before = everything(again)
    with pytest.raises(WeightsError, match=f"{state} belongs to weights '{model}', which are neither there nor"):
        again.restore(state)
    assert everything(again) == before


@pytest.mark.parametrize("ending", ENDINGS.values())
def test_truncated_files_are_refused_and_nothing_changes(solver, ending):
    built = solver(f"snapshot_format: {next(k for k, v in ENDINGS.items() if v == ending)}")
    built.step(1)
    model, state = built.snapshot()
    again = solver()
    before = everything(again)
    for path in (model, state):
        whole = path.read_bytes()
        for size in (0, 3, len(whole) // 2, len(whole) - 7):
            path.write_bytes(whole[:size])
            with pytest.raises(WeightsError):
                again.restore(state)
            assert everything(again) == before
            assert again.iter == 0
        path.write_bytes(whole)
    again.restore(state)


def test_a_state_cut_anywhere_is_refused(solver):
    """Between two fields too: the history comes last."""
    built = solver('type: "Adam" average_loss: 3 test_iter: 1 test_interval: 1')
    built.step(3)
    _, path = built.snapshot()
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(WeightsError):
            built.restore(path)


def test_weights_cut_between_two_layers_are_refused(solver):
    """A parameter that the file does not hold would go on from its filler, unnoticed."""
    built = solver(net=NET + MORE)
    model, state = built.snapshot()
    net = pb.NetParameter.FromString(model.read_bytes())
    del net.layer[[layer.name for layer in net.layer].index("z") :]
    model.write_bytes(net.SerializeToString())
    with pytest.raises(WeightsError, match=f"{model} holds no weights for: z"):
        built.restore(state)
