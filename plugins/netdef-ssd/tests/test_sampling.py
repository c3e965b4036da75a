"""What AnnotatedData does to an image and to the objects on it."""

import numpy as np
import pytest
from netdef_ssd import pictures, sampling
from netdef_ssd.dice import Dice
from netdef_ssd.prepare import within
from ssd_pictures import OBJECTS, message, picture

pytest.importorskip("cv2")


def test_expanded_images_hold_the_old_one():
    param = message("ExpansionParameter", "max_expand_ratio: 3")
    x = picture(0)
    for i in range(5):
        y, box = pictures.expanded(x, param, np.float32(7).reshape(1, 1, 1), Dice(1, i))
        height, width = y.shape[1:]
        left, top = round(-box[0] * 24), round(-box[1] * 20)
        assert np.array_equal(y[:, top : top + 20, left : left + 24], x)
        assert np.count_nonzero(y == 7) >= 3 * (height * width - 20 * 24)
        assert box == pytest.approx([-left / 24, -top / 20, (width - left) / 24, (height - top) / 20])


@pytest.mark.parametrize("mode", ["WARP", "FIT_SMALL_SIZE", "FIT_LARGE_SIZE_AND_PAD"])
@pytest.mark.parametrize("size", [(20, 40), (40, 20), (30, 30)])
def test_objects_stay_on_what_they_show(mode, size):
    """A white rectangle on black is where its box says, whatever the image is resized to."""
    height, width = size
    x = np.zeros((1, height, width), np.uint8)
    x[:, height // 4 : height // 2, width // 2 : width * 3 // 4] = 255
    param = message("ResizeParameter", f"height: 48 width: 64 resize_mode: {mode} interp_mode: NEAREST")
    y, box = pictures.resized(x, param, Dice(0, 0))
    found = within(np.array([[1, 0, 0.5, 0.25, 0.75, 0.5, 0]]), box)[0, 2:6] * np.tile(y.shape[:0:-1], 2)
    rows, columns = np.nonzero(y[0])
    assert found == pytest.approx([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], abs=2)
    assert y.shape[1:] == pictures.outer(param, height, width)
    assert y.shape[1:] == (48, 64) or mode == "FIT_SMALL_SIZE"


def test_colours_change_by_no_more_than_they_may():
    param = message("DistortionParameter", "brightness_prob: 1 brightness_delta: 9")
    x = picture(0)
    changes = [pictures.distorted(x, param, Dice(0, i)).astype(int) - x for i in range(20)]
    assert 4 < max(np.abs(c).max() for c in changes) <= 9
    assert all(len(np.unique(c[(x > 9) & (x < 246)])) == 1 for c in changes)
    same = message("DistortionParameter", "")
    assert np.array_equal(pictures.distorted(x, same, Dice(0, 0)), x)


def test_samples_are_as_large_as_they_may_be():
    sampler = message("Sampler", "min_scale: 0.3 max_scale: 0.9 min_aspect_ratio: 0.5 max_aspect_ratio: 2")
    parts = sampling.drawn(sampler, Dice(0, 0).many(4, 500))
    width, height = parts[:, 2] - parts[:, 0], parts[:, 3] - parts[:, 1]
    assert (parts >= 0).all()
    assert (parts <= 1 + 1e-9).all()
    root, ratio = np.sqrt(width * height), width / height
    assert (root.min(), root.max()) == pytest.approx((0.3, 0.9), abs=0.02)
    assert 0.5 - 1e-6 <= ratio.min() < 0.6
    assert 1.8 < ratio.max() <= 2 + 1e-6


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("", [True, True, True]),
        ("min_jaccard_overlap: 0.5", [True, False, False]),
        ("max_jaccard_overlap: 0.2", [False, False, True]),
        ("min_object_coverage: 1", [True, True, False]),
        ("min_sample_coverage: 0.5", [True, False, False]),
        ("min_object_coverage: 1 max_jaccard_overlap: 0.4", [False, True, False]),
    ],
)
def test_constraints(text, want):
    parts = np.array([[0, 0, 0.5, 1], [0, 0, 1, 1], [0.5, 0, 1, 1]], float)
    objects = np.array([[0, 0, 0.3, 1.0]])
    assert sampling.satisfied(message("SampleConstraint", text), parts, objects).tolist() == want


def test_of_the_good_samples_the_first_are_kept():
    sampler = message("BatchSampler", "sampler { min_scale: 0.5 } max_trials: 40 max_sample: 3")
    off = message("BatchSampler", "use_original_image: false")
    assert sampling.samples([sampler, off], OBJECTS[:, 2:6], Dice(0, 0)).shape == (3, 4)
    sampler.sample_constraint.min_jaccard_overlap = 1.5
    assert sampling.samples([sampler], OBJECTS[:, 2:6], Dice(0, 0)).shape == (0, 4)
