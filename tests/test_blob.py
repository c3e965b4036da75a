"""Blobs: lazy, zero at first, reshaped in place, shared."""

import numpy as np
import pytest

from netdef.blob import Blob


def test_new_memory_is_zero_and_of_the_dtype():
    for dtype in (np.float32, np.float64):
        blob = Blob((2, 3), dtype)
        assert blob.data.shape == blob.diff.shape == (2, 3)
        assert blob.data.dtype == blob.diff.dtype == dtype
        assert not blob.data.any()
        assert not blob.diff.any()
        assert not np.shares_memory(blob.data, blob.diff)


def test_nothing_is_allocated_before_the_first_touch():
    blob = Blob((1 << 40, 1 << 10))
    assert blob.count == 1 << 50
    assert all(storage.array is None for storage in blob.storages)
    blob.reshape(2)
    assert blob.data.shape == (2,)
    assert blob.storages[1].array is None, "data alone was touched"


def test_arrays_stay_the_same_object_between_touches():
    blob = Blob((4,))
    assert blob.data is blob.data


def test_assignment_writes_into_the_memory():
    blob = Blob((2, 2))
    before = blob.data
    blob.data = [[1, 2], [3, 4]]
    blob.diff = 7
    assert before.tolist() == [[1, 2], [3, 4]]
    assert (blob.diff == 7).all()


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (1, 2, 3, 4, 5)])
def test_any_number_of_axes(shape):
    blob = Blob(shape)
    assert blob.shape == shape
    assert blob.count == int(np.prod(shape))
    assert blob.data.shape == shape


def test_reshape_takes_numbers_or_a_sequence():
    blob = Blob()
    for given in ((2, 3), ([2, 3],), ((2, 3),), (np.array([2, 3]),), (np.int64(2), np.int64(3))):
        blob.reshape()
        assert blob.shape == ()
        blob.reshape(*given)
        assert blob.shape == (2, 3)
        assert all(type(d) is int for d in blob.shape)
    blob.reshape(6)
    assert blob.shape == (6,)


def test_a_reshape_keeps_what_fits():
    blob = Blob((6,))
    blob.data[...] = range(6)
    blob.reshape(2, 2)
    assert blob.data.tolist() == [[0, 1], [2, 3]]
    blob.reshape(3, 2)
    assert blob.data.tolist() == [[0, 1], [2, 3], [4, 5]], "the memory was never given back"
    blob.reshape(7)
    assert not blob.data.any(), "new memory is zero"


def test_arrays_are_contiguous_after_any_reshape():
    blob = Blob((100,))
    for shape in ((3, 5), (7, 2, 2), (100,), (10, 10)):
        blob.reshape(*shape)
        assert blob.data.flags.c_contiguous
        assert blob.data.shape == shape


def test_sharing_data_leaves_the_gradients_apart():
    one, two = Blob((2, 3)), Blob((6,))
    kept = two.data
    two.share_data(one)
    one.data[1, 2] = 5
    one.diff[...] = 1
    assert two.data.tolist() == [0, 0, 0, 0, 0, 5]
    assert not two.diff.any()
    assert two.shares_data(one)
    assert not np.shares_memory(kept, two.data)


def test_sharing_follows_a_larger_reshape():
    one, two = Blob((2,)), Blob((2,))
    two.share_data(one)
    assert two.data.size == 2
    one.reshape(4)
    one.data[...] = 3
    assert two.data.tolist() == [3, 3]
    two.reshape(4)
    assert two.data.tolist() == [3, 3, 3, 3]


def test_sharing_gradients():
    one, two = Blob((2,)), Blob((2,))
    two.share_diff(one)
    two.diff[...] = 4
    assert one.diff.tolist() == [4, 4]
    assert not two.shares_data(one)


def test_the_names_of_old_scripts():
    blob = Blob((2, 3, 4, 5))
    assert (blob.num, blob.channels, blob.height, blob.width) == (2, 3, 4, 5)
    assert (Blob((7,)).num, Blob((7,)).channels, Blob((7,)).width) == (7, 1, 1)


def test_how_it_shows():
    assert repr(Blob((2, 3))) == "Blob(2 3, float32)"
    assert repr(Blob((), np.float64)) == "Blob(scalar, float64)"
