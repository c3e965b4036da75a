"""Snapshots as Caffe's files: what protobuf and h5py find in them, and what they are called."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from netdef_proto import netdef_pb2 as pb
from solver.small import ENDINGS, everything

from netdef.errors import WeightsError
from netdef.solver.snapshot import State, latest, read_state, write_state

SLOTS = {"SGD": 1, "Nesterov": 1, "AdaGrad": 1, "RMSProp": 1, "AdaDelta": 2, "Adam": 2}


# -- what is in the files ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", SLOTS)
def test_protobuf_finds_caffes_solver_state(solver, rule):
    momentum = "" if rule in ("AdaGrad", "RMSProp") else "momentum: 0.5"
    built = solver(f'type: "{rule}" {momentum}')
    built.step(3)
    model, path = built.snapshot()
    state = pb.SolverState.FromString(path.read_bytes())
    assert state.iter == 3
    assert state.learned_net == str(model)
    want = [built.updater.memory[i][slot] for slot in range(SLOTS[rule]) for i in range(2)]
    assert [tuple(h.shape.dim) for h in state.history] == [(3, 2), (2,)] * SLOTS[rule]
    assert all(np.array_equal(np.array(h.data, "f4"), m) for h, m in zip(state.history, want, strict=True))
    assert any(np.any(m) for m in want)
    net = pb.NetParameter.FromString(model.read_bytes())
    assert [np.array(b.data, "f4").tobytes() for b in net.layer[1].blobs] == everything(built)[:2]


def test_caffe_reads_on_over_our_own_fields(solver):
    """What netdef adds has numbers that Caffe skips: a message without them keeps all the rest."""
    built = solver("momentum: 0.5 average_loss: 3")
    built.step(2)
    state = pb.SolverState.FromString(built.snapshot()[1].read_bytes())
    own = {f.name for f, _ in state.ListFields() if f.number >= 1000}
    assert {"netdef_seed", "netdef_passes", "netdef_losses"} <= own
    assert all(name.startswith("netdef_") for name in own)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_snapshot_diff_writes_what_the_diffs_hold(solver, dtype):
    """Which is, as in Caffe, the step that was taken last."""
    built = solver("base_lr: 0.25 snapshot_diff: true", dtype=dtype)
    built.step(1)
    before = [p.blob.data.copy() for p in built.net.parameters]
    built.step(1)
    model, _ = built.snapshot()
    field, other = ("double_diff", "diff") if dtype == "f8" else ("diff", "double_diff")
    blobs = pb.NetParameter.FromString(model.read_bytes()).layer[1].blobs
    for blob, old, p in zip(blobs, before, built.net.parameters, strict=True):
        step = np.array(getattr(blob, field), dtype).reshape(p.blob.shape)
        assert np.array_equal(step, p.blob.diff) and np.array_equal(old - step, p.blob.data) and step.any()
        assert not getattr(blob, other)
    built.restore(built.last_good)
    built.param.snapshot_diff = False
    assert not any(
        b.diff or b.double_diff for b in pb.NetParameter.FromString(built.snapshot()[0].read_bytes()).layer[1].blobs
    )


def test_snapshot_diff_in_hdf5_is_a_group_beside_the_data(solver):
    built = solver("snapshot_diff: true snapshot_format: HDF5")
    built.step(2)
    model, path = built.snapshot()
    with h5py.File(model) as f:
        assert sorted(f) == ["data", "diff"]
        assert np.array_equal(f["diff/y/0"], built.net.params["y"][0].diff)
        assert np.array_equal(f["data/y/0"], built.net.params["y"][0].data)
    built.restore(path)


def test_an_hdf5_snapshot_is_laid_out_as_caffes(solver):
    built = solver('type: "Adam" snapshot_format: HDF5')
    built.step(3)
    model, path = built.snapshot()
    assert [p.name for p in (model, path)] == ["s_iter_3.caffemodel.h5", "s_iter_3.solverstate.h5"]
    with h5py.File(path) as f:
        assert f["iter"][()] == 3
        assert f["learned_net"].asstr()[()] == str(model)
        assert sorted(f["history"]) == ["0", "1", "2", "3"]
        assert np.array_equal(f["history/2"], built.updater.memory[0][1].reshape(3, 2))
    with h5py.File(model) as f:
        assert np.array_equal(f["data/y/0"], built.net.params["y"][0].data)


@pytest.mark.parametrize(("iteration", "steps"), [(4, 0), (5, 0), (6, 1), (8, 1), (9, 2), (30, 2)])
def test_caffe_is_told_how_many_steps_were_taken(solver, iteration, steps):
    """Caffe counts a step when it asks for the rate of the iteration it comes at, which a snapshot precedes."""
    built = solver('lr_policy: "multistep" gamma: 0.1 stepvalue: 5 stepvalue: 8')
    built.step(iteration)
    assert pb.SolverState.FromString(built.snapshot()[1].read_bytes()).current_step == steps


def test_steps_that_fall_together_are_counted_one_by_one(solver):
    built = solver('lr_policy: "multistep" gamma: 0.1 stepvalue: 3 stepvalue: 3')
    counted = []
    for _ in range(6):
        built.step(1)
        counted.append(pb.SolverState.FromString(built.snapshot()[1].read_bytes()).current_step)
    assert counted == [0, 0, 0, 1, 2, 2]


def test_a_state_holds_all_it_was_given(tmp_path):
    history = [np.arange(6, dtype=dtype).reshape(2, 3) for dtype in ("f4", "f8")]
    passes, losses, policy = [[1, 2, 300000], [4]], [0.5, 0.25], [1e-300, 2.0]
    given = State(7, "w.caffemodel", history, 3, (1 << 48) - 1, passes, losses, policy, 0.125, 5, 2, 1, "Adam")
    for state in (given, State(9, "v", history)):
        for ending in ENDINGS.values():
            path = tmp_path / f"s.solverstate{ending}"
            write_state(path, state)
            found = read_state(path)
            for name in vars(state).keys() - {"history"}:
                assert repr(getattr(found, name)) == repr(getattr(state, name)), name
            assert all(np.array_equal(h.data, x) for h, x in zip(found.history, history, strict=True))


def test_protobuf_finds_what_is_netdefs_own(tmp_path):
    path = tmp_path / "s"
    write_state(path, State(7, "w", [], 3, 42, [[1, 2, 300], [4]], [0.5, 0.25], [8.0], 0.125, 5, 2, 1, "Adam"))
    state = pb.SolverState.FromString(path.read_bytes())
    assert [list(net.count) for net in state.netdef_passes] == [[1, 2, 300], [4]]
    assert (state.netdef_seed, list(state.netdef_losses), list(state.netdef_policy)) == (42, [0.5, 0.25], [8.0])
    assert (state.netdef_best, state.netdef_best_iter, state.netdef_stale) == (0.125, 5, 2)
    assert (state.netdef_recoveries, state.netdef_type, state.current_step) == (1, "Adam", 3)


def test_any_bit_of_a_state_may_be_wrong(tmp_path):
    path = tmp_path / "s"
    state = State(7, "w", [np.arange(2, dtype="f4")], 3, 42, [[1, 2, 300], [4]], [0.5], [1.0], 0.5, 3, 1, 2, "SGD")
    write_state(path, state)
    whole = path.read_bytes()
    for bit in range(0, 8 * len(whole), 3):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bytes(damaged))
        try:
            read_state(path)
        except WeightsError:
            continue


# -- names and places ----------------------------------------------------------------------------------------------


def test_names_by_prefix(solver, tmp_path):
    built = solver(f'snapshot_prefix: "{tmp_path}/deep"')
    assert [p.name for p in built.snapshot()] == ["deep_iter_0.caffemodel", "deep_iter_0.solverstate"]


def test_a_prefix_that_is_a_folder_takes_the_solvers_name(solver, tmp_path):
    built = solver(f'snapshot_prefix: "{tmp_path}"', path=Path("models/mine.prototxt"))
    assert built.snapshot()[0] == tmp_path / "mine_iter_0.caffemodel"


def test_without_a_prefix_snapshots_lie_beside_the_solver(solver, tmp_path):
    built = solver('snapshot_prefix: ""', path=tmp_path / "mine.prototxt")
    assert built.snapshot()[0] == tmp_path / "mine_iter_0.caffemodel"


def test_the_latest_is_by_number(tmp_path):
    for name in ("s_iter_9", "s_iter_100", "s_iter_20", "other_iter_500", "s_iter_x"):
        (tmp_path / f"{name}.solverstate").touch()
    (tmp_path / "s_iter_7000.caffemodel").touch()
    assert latest(tmp_path / "s").name == "s_iter_100.solverstate"
    (tmp_path / "s_iter_101.solverstate.h5").touch()
    assert latest(tmp_path / "s").name == "s_iter_101.solverstate.h5"
    with pytest.raises(WeightsError, match=r"no snapshot .*/none_iter_"):
        latest(tmp_path / "none")
