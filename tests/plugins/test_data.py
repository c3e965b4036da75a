"""Inputs, made-up data and arrays in memory."""

import numpy as np
import pytest
from nets import net

from netdef.errors import LayerError


def test_input_shapes():
    assert net('layer { type: "Input" top: "a" top: "b" input_param { shape { dim: 2 dim: 3 } } }').blobs[
        "b"
    ].shape == (2, 3)
    made = net('layer { type: "Input" top: "a" top: "b" input_param { shape { dim: 2 } shape { } } }')
    assert (made.blobs["a"].shape, made.blobs["b"].shape, made.inputs) == ((2,), (), ["a", "b"])
    with pytest.raises(LayerError, match="has 2 shape for 3 tops; want 1 for all, or 3"):
        net('layer { type: "Input" top: "a" top: "b" top: "c" input_param { shape { dim: 2 } shape { } } }')


def test_input_keeps_what_the_user_does():
    made = net('layer { type: "Input" top: "a" } layer { type: "AbsVal" bottom: "a" top: "b" }')
    made.blobs["a"].reshape(2, 2)
    made.blobs["a"].data[...] = -3
    for _ in range(2):
        made.forward()
    np.testing.assert_array_equal(made.blobs["b"].data, np.full((2, 2), 3))


def dummy(option, tops=("a",), **settings):
    names = " ".join(f'top: "{t}"' for t in tops)
    return net(f'layer {{ name: "d" type: "DummyData" {names} dummy_data_param {{ {option} }} }}', **settings)


SHAPE = "shape { dim: 3 dim: 4 dim: 2 dim: 2 } "


def passes(made, count, top="a"):
    found = []
    for _ in range(count):
        made.forward()
        found.append(made.blobs[top].data.copy())
    return found


def test_a_constant_is_written_once():
    made = dummy(SHAPE + "data_filler { value: 2 }")
    assert (passes(made, 1)[0] == 2).all()
    made.blobs["a"].data[...] = 7
    assert (passes(made, 1)[0] == 7).all()
    made.blobs["a"].reshape(2, 2)
    assert (passes(made, 1)[0] == 2).all()


def test_what_the_user_wrote_before_the_first_pass_stays():
    made = dummy(SHAPE + "data_filler { value: 2 }")
    made.blobs["a"].data[...] = 7
    assert (passes(made, 1)[0] == 7).all()


@pytest.mark.parametrize("filler", ["uniform", "gaussian", "xavier", "msra", "positive_unitball"])
def test_random_data_is_new_at_each_pass_and_repeats_with_the_seed(filler):
    first, second = (passes(dummy(SHAPE + f'data_filler {{ type: "{filler}" }}', seed=4), 3) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert not (first[0] == first[1]).any()
    resumed = dummy(SHAPE + f'data_filler {{ type: "{filler}" }}', seed=4)
    resumed.layers[0].passes = 2
    np.testing.assert_array_equal(passes(resumed, 1)[0], first[2])


def test_fillers_and_sizes_for_each_top():
    made = dummy(
        'num: 2 num: 5 channels: 3 height: 1 width: 4 data_filler { value: 1 } data_filler { type: "gaussian" }',
        ("a", "b"),
    )
    made.forward()
    assert (made.blobs["a"].shape, made.blobs["b"].shape) == ((2, 3, 1, 4), (5, 3, 1, 4))
    assert (made.blobs["a"].data == 1).all() and made.blobs["b"].data.std() > 0.5


def test_two_tops_of_one_filler_differ():
    made = dummy(SHAPE + 'data_filler { type: "gaussian" }', ("a", "b"))
    made.forward()
    assert not (made.blobs["a"].data == made.blobs["b"].data).any()


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("", "has 0 shape for 1 tops; want 1 for all"),
        (SHAPE + "num: 1", "has both shape and the older num"),
        ("num: 1 channels: 1 height: 1", "has 0 width for 1 tops"),
        (SHAPE + 'data_filler { type: "gausian" }', "gaussian"),
        (SHAPE + "data_filler { } data_filler { }", "has 2 data_filler for 1 tops"),
        ("shape { dim: -1 }", "a size below 0"),
    ],
)
def test_dummy_refusals(option, words):
    with pytest.raises(Exception) as error:
        dummy(option).forward()
    assert words in str(error.value)


MEMORY = (
    'layer { name: "m" type: "MemoryData" top: "d" top: "l" '
    "memory_data_param { batch_size: 2 channels: 1 height: 1 width: 3 } }"
)


def test_memory_goes_round():
    made, data = net(MEMORY), np.arange(12.0).reshape(4, 1, 1, 3)
    layer = made.layers[0]
    layer.set_input_arrays(data, np.arange(4)[:, None, None, None])
    assert layer.size == 4
    for p in range(5):
        made.forward()
        rows = slice(p % 2 * 2, p % 2 * 2 + 2)
        np.testing.assert_array_equal(made.blobs["d"].data, data[rows])
        np.testing.assert_array_equal(made.blobs["l"].data, np.arange(4)[rows])
    layer.set_input_arrays(data + 1, np.arange(4))
    made.forward()
    np.testing.assert_array_equal(made.blobs["d"].data, data[:2] + 1)


@pytest.mark.parametrize(
    ("data", "labels", "words"),
    [
        ((4, 1, 3, 1), (4,), "want (N, 1, 1, 3) and N labels"),
        ((4, 1, 1, 3), (3,), "want (N, 1, 1, 3) and N labels"),
        ((3, 1, 1, 3), (3,), "3 records; want a multiple of batch_size 2"),
        ((0, 1, 1, 3), (0,), "0 records"),
        ((), (), "arrays of shapes () and ()"),
    ],
)
def test_arrays_that_do_not_fit(data, labels, words):
    with pytest.raises(LayerError) as error:
        net(MEMORY).layers[0].set_input_arrays(np.zeros(data), np.zeros(labels))
    assert words in str(error.value)


def test_memory_without_arrays_says_what_to_do():
    with pytest.raises(LayerError, match="set_input_arrays"):
        net(MEMORY).forward()
    with pytest.raises(LayerError, match="want each to be 1 or more"):
        net('layer { type: "MemoryData" top: "d" top: "l" memory_data_param { batch_size: 2 } }')


def test_memory_warns_of_a_transformation_it_does_not_make():
    made = net(MEMORY[:-1] + "transform_param { scale: 2 } }")
    with pytest.warns(UserWarning, match="not applied to arrays"):
        made.layers[0].set_input_arrays(np.zeros((2, 1, 1, 3)), np.zeros(2))
