"""The order of records: every record once in an epoch, and each batch a function of its number."""

import itertools

import pytest

from netdef.sources.order import Order, permutation


def records(order, batches):
    """(file, row) of every record of the batches given."""
    return [(f, int(r)) for p in batches for f, rows in order.runs(p) for r in rows]


def key(epoch):
    return 1000 + epoch


@pytest.mark.parametrize("sizes", [[5], [3, 4], [1, 0, 6, 2], [0, 0, 3]])
@pytest.mark.parametrize("batch", [1, 2, 3, 7, 20])
@pytest.mark.parametrize("shuffle", [None, key])
def test_every_epoch_holds_every_record_once(sizes, batch, shuffle):
    order = Order(sizes, batch, shuffle)
    epochs = 4
    found = records(order, range(-(-epochs * order.size // batch)))
    want = [(f, r) for f, size in enumerate(sizes) for r in range(size)]
    for e in range(epochs):
        epoch = found[e * order.size : (e + 1) * order.size]
        assert sorted(epoch) == want
        assert shuffle is not None or epoch == want


def test_files_stay_together_and_epochs_differ():
    order = Order([20, 30, 10], 60, key)
    first, second = records(order, [0]), records(order, [1])
    assert first != second
    files = [f for f, _ in first]
    assert sum(a != b for a, b in itertools.pairwise(files)) == 2
    assert {tuple(dict.fromkeys(f for f, _ in records(order, [p]))) for p in range(20)} > {(0, 1, 2), (2, 1, 0)}


def test_a_batch_depends_on_its_number_alone():
    forwards, backwards = Order([7, 5], 4, key), Order([7, 5], 4, key)
    inorder = {p: records(forwards, [p]) for p in range(30)}
    assert inorder == {p: records(backwards, [p]) for p in reversed(range(30))}


def test_another_key_is_another_order():
    assert records(Order([50], 50, key), [0]) != records(Order([50], 50, lambda e: 5 + e), [0])


def test_permutation_is_pinned():
    """A snapshot taken with any version must resume in the same order."""
    assert permutation(10, 42, 0).tolist() == [7, 1, 6, 4, 3, 5, 9, 0, 2, 8]
    assert permutation(10, 2**64 - 1, 3).tolist() == [3, 2, 8, 0, 1, 6, 9, 5, 4, 7]
    assert permutation(10, 2**64 - 2, 3).tolist() != permutation(10, 2**64 - 1, 3).tolist()
