"""The order of a training run: when it tests, what it tells, what it averages."""

from types import SimpleNamespace

import numpy as np
import pytest
from solver.small import NET

from netdef.errors import NetdefError, SolverError


def tell(solver, **events):
    """Have functions called at events: tell(solver, test=lambda solver, index, results: ...)."""
    solver.observers.append(SimpleNamespace(**events))


class Diary:
    """Writes down every event with the iteration it came at."""

    def __init__(self, solver):
        self.events = []
        solver.observers.append(self)

    def start(self, solver):
        self.events.append(("start", solver.iter))

    def iteration(self, solver, loss):
        self.events.append(("iteration", solver.iter))

    def test(self, solver, index, results):
        self.events.append((f"test {index}", solver.iter))

    def snapshot(self, solver, paths):
        self.events.append(("snapshot", solver.iter))

    def end(self, solver, reason):
        self.events.append((reason, solver.iter))

    def of(self, event):
        return [i for name, i in self.events if name == event]


def test_the_events_of_a_run(solver):
    built = solver("max_iter: 4 test_iter: 1 test_interval: 2 snapshot: 3 snapshot_after_train: true")
    diary = Diary(built)
    built.solve()
    assert diary.events == [
        ("start", 0),
        ("test 0", 0),
        ("iteration", 0),
        ("iteration", 1),
        ("test 0", 2),
        ("iteration", 2),
        ("snapshot", 3),
        ("iteration", 3),
        ("snapshot", 4),
        ("test 0", 4),
        ("done", 4),
    ]


@pytest.mark.parametrize(
    ("settings", "tests"),
    [
        ("test_interval: 3", [0, 3, 6]),
        ("test_interval: 3 test_initialization: false", [3, 6]),
        ("test_interval: 4", [0, 4]),
        ("test_interval: 1 test_initialization: false", [1, 2, 3, 4, 5, 6]),
        ("test_interval: 100", [0]),
    ],
)
def test_when_it_tests(solver, settings, tests):
    """At multiples of test_interval before the step, and once more when max_iter is one."""
    built = solver(f"max_iter: 6 test_iter: 1 {settings}")
    diary = Diary(built)
    built.solve()
    assert diary.of("test 0") == tests


@pytest.mark.parametrize(
    ("settings", "snapshots"),
    [
        ("snapshot: 2 snapshot_after_train: true", [2, 4, 6]),
        ("snapshot: 4 snapshot_after_train: true", [4, 6]),
        ("snapshot: 4", [4]),
        ("snapshot_after_train: true", [6]),
        ("", []),
    ],
)
def test_when_it_snapshots(solver, settings, snapshots):
    built = solver(f"max_iter: 6 {settings}")
    diary = Diary(built)
    built.solve()
    assert diary.of("snapshot") == snapshots


def test_several_test_nets_each_their_own_number_of_batches(solver):
    small = NET.replace("data4", "data2")
    nets = f"train_net_param {{ {NET} }} test_net_param {{ {small} }} test_net_param {{ {NET} }}"
    built = solver(f"{nets} test_iter: 1 test_iter: 3 test_interval: 1")
    diary = Diary(built)
    built.test_all()
    assert diary.events == [("test 0", 0), ("test 1", 0)]
    assert [[layer.passes for layer in n.layers] for n in built.test_nets] == [[1] * 3, [3] * 3]


def test_results_are_means_over_the_batches(solver):
    scored = NET + 'layer { name: "s" type: "Score" bottom: "y" bottom: "t" top: "s" }'
    built, other = (solver(f"test_iter: {count} test_interval: 1", scored) for count in (5, 1))
    other.net.share_with(built.net)
    results = {name: (values, weight) for name, values, weight in built.test(0)}
    losses, scores = [], []
    net = other.test_nets[0]
    for _ in range(5):
        losses.append(net.forward())
        scores.append(float(net.blobs["s"].data))
    assert results["loss"][0] == pytest.approx(np.mean(losses))
    assert results["s"][0] == pytest.approx(np.mean(scores), rel=1e-5)
    assert [weight for _, weight in results.values()] == [1, 0]


def test_testing_does_not_disturb_training(solver):
    quiet, tested = solver("momentum: 0.9"), solver("momentum: 0.9 test_iter: 2 test_interval: 1")
    for built in (quiet, tested):
        built.step(5)
    assert np.array_equal(quiet.net.params["y"][0].data, tested.net.params["y"][0].data)
    assert list(quiet.losses) == list(tested.losses)


def test_a_test_uses_the_weights_of_its_moment(solver):
    built = solver("test_iter: 1 test_interval: 1")
    seen = []
    tell(built, test=lambda s, k, r: seen.append(s.net.params["y"][0].data.copy()))
    built.step(2)
    before = solver().net.params["y"][0].data
    assert np.array_equal(seen[0], before)
    assert not np.array_equal(seen[1], before)


def test_average_loss(solver):
    one, three = solver(), solver("average_loss: 3")
    losses, smoothed = [], []
    for _ in range(6):
        one.step(1)
        three.step(1)
        losses.append(one.smoothed_loss)
        smoothed.append(three.smoothed_loss)
    assert len(set(losses)) == 6
    assert smoothed == pytest.approx([np.mean(losses[max(0, i - 2) : i + 1]) for i in range(6)])
    assert np.isnan(solver().smoothed_loss), "nothing was run yet"


def test_the_loss_told_is_of_this_iteration_and_the_mean_over_iter_size(solver):
    built, seen = solver("iter_size: 4"), []
    tell(built, iteration=lambda s, loss: seen.append(loss))
    reference = solver()
    losses = [reference.net.forward() for _ in range(4)]
    built.step(1)
    assert seen == pytest.approx([np.mean(losses)])


def test_the_rate_at_the_time_of_an_iteration(solver):
    built, seen = solver('lr_policy: "exp" gamma: 0.5'), []
    tell(built, iteration=lambda s, loss: seen.append(s.rate))
    built.step(3)
    assert seen == pytest.approx([0.1, 0.05, 0.025])


def test_callbacks_come_before_the_pass_and_before_the_step(solver):
    built, seen = solver(), []
    first = built.net.params["y"][0].data.copy()

    def on_start():
        seen.append("start")

    def on_gradients():
        assert built.net.params["y"][0].diff.any()
        assert len(seen) > 1 or np.array_equal(built.net.params["y"][0].data, first)
        seen.append("gradients")

    built.callbacks.append((on_start, on_gradients))
    built.step(2)
    assert seen == ["start", "gradients"] * 2


def test_gradients_do_not_pile_up_between_iterations(solver):
    one, three = solver("base_lr: 0"), solver("base_lr: 0")
    one.net.layers[0].passes = 2
    one.step(1)
    three.step(3)
    assert list(one.losses) == list(three.losses)
    diffs = [s.net.params["y"][0].diff for s in (one, three)]
    assert np.array_equal(*diffs)


def test_step_goes_on_where_it_stopped(solver):
    whole, parts = solver("momentum: 0.9"), solver("momentum: 0.9")
    whole.step(6)
    for count in (1, 2, 3):
        parts.step(count)
    assert whole.iter == parts.iter == 6
    assert np.array_equal(whole.net.params["y"][0].data, parts.net.params["y"][0].data)


@pytest.mark.parametrize(("display", "last"), [(3, True), (4, False), (0, False)])
def test_the_loss_is_shown_once_more_at_the_end_and_nothing_learnt_from_it(solver, display, last):
    """As in Caffe, where max_iter is a multiple of display; the data goes on as if it had not been read."""
    built, plain = solver(f"max_iter: 6 display: {display}"), solver()
    diary = Diary(built)
    built.solve()
    plain.step(6)
    assert diary.of("iteration") == [0, 1, 2, 3, 4, 5] + [6] * last
    for s in (built, plain):
        s.step(1)
    assert np.array_equal(built.net.params["y"][0].data, plain.net.params["y"][0].data)


def test_the_last_loss_is_a_mean_like_the_others(solver):
    """Caffe takes it into the mean over average_loss too."""
    built, told = solver("max_iter: 4 display: 2 average_loss: 3"), []
    tell(built, iteration=lambda solver, loss: told.append((solver.iter, loss)))
    built.solve()
    last = built.net.forward()
    assert told[-1][0] == 4 and told[-1][1] == pytest.approx((built.losses[-2] + built.losses[-1] + last) / 3)


def test_solve_ends_at_max_iter_whatever_was_stepped_before(solver):
    built = solver("max_iter: 5")
    built.step(3)
    built.solve()
    assert built.iter == 5
    built.solve()
    assert built.iter == 5


def test_solve_without_max_iter(solver):
    with pytest.raises(SolverError, match="max_iter"):
        solver().solve()


def test_a_seed_makes_a_run_repeatable_bit_for_bit(solver):
    found = []
    for seed in (5, 5, 6):
        built = solver(f"momentum: 0.9 random_seed: {seed}")
        built.step(3)
        found.append(built.net.params["y"][0].data.copy())
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


def test_zero_is_a_seed_too(solver):
    one, two = (solver("random_seed: 0") for _ in range(2))
    assert np.array_equal(one.net.params["y"][0].data, two.net.params["y"][0].data)


def test_without_a_seed_two_runs_differ(solver):
    one, two = (solver("random_seed: -1") for _ in range(2))
    assert not np.array_equal(one.net.params["y"][0].data, two.net.params["y"][0].data)


def test_a_planned_run_is_bit_equal(solver):
    text = "momentum: 0.9 weight_decay: 0.01 test_iter: 2 test_interval: 2"
    plain, planned = (solver(text, plan=plan) for plan in (False, True))
    for built in (plain, planned):
        built.step(5)
    assert list(plain.losses) == list(planned.losses)
    assert np.array_equal(plain.net.params["y"][0].data, planned.net.params["y"][0].data)


def test_training_learns(solver):
    """The stream's targets are linear in its rows, so the loss must all but vanish."""
    built = solver("momentum: 0.5 base_lr: 0.1")
    built.step(400)
    assert built.losses[-1] < 1e-6
    assert built.net.params["y"][0].data == pytest.approx(np.array([[1, 0]] * 3), abs=1e-3)


def test_an_error_in_the_middle_names_its_iteration(solver):
    built = solver("max_iter: 5")
    forward = built.net.layers[0].forward

    def fail(bottom, top):
        if built.iter == 3:
            raise ValueError("no more")
        forward(bottom, top)

    built.net.layers[0].forward = fail
    with pytest.raises(NetdefError, match=r"iteration 3: .*layer 'data4' .*ValueError: no more"):
        built.solve()
