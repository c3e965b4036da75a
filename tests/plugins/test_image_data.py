"""ImageData and WindowData as nets use them: lists, sizes, epochs, faults."""

import logging

import numpy as np
import pytest
from nets import net
from streams import IMAGES, passes, refusal

from netdef.errors import SourceError
from netdef.sources import image


@pytest.fixture
def files(tmp_path, monkeypatch):
    """0.png to 10.png, and list.txt."""
    pytest.importorskip("cv2")
    for i, x in enumerate(IMAGES):
        (tmp_path / f"{i}.png").write_bytes(image.encode(x, "png"))
    (tmp_path / "list.txt").write_text("".join(f"{i}.png {i}\n" for i in range(11)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def images(options, transform="", **settings):
    return net(
        f'layer {{ name: "i" type: "ImageData" top: "x" top: "label" image_data_param {{ {options} }} '
        f"transform_param {{ {transform} }} }}",
        **settings,
    )


def test_image_lists(files):
    made = images('source: "list.txt" batch_size: 4')
    assert passes(made, 3).ravel().tolist() == [*range(11), 0]
    np.testing.assert_array_equal(made.blobs["x"].data, IMAGES[[8, 9, 10, 0]])
    made = images('source: "list.txt" batch_size: 2 new_height: 5 new_width: 7 is_color: false')
    made.forward()
    want = [image.resize(image.decode((files / f"{i}.png").read_bytes(), image.GRAY), 5, 7) for i in range(2)]
    np.testing.assert_array_equal(made.blobs["x"].data, want)


def test_shuffled_lists_are_whole_epochs(files):
    labels = passes(images('source: "list.txt" batch_size: 11 shuffle: true', seed=3), 3).astype(int)
    assert all(sorted(row) == list(range(11)) for row in labels) and len({tuple(row) for row in labels}) == 3


def test_lists_with_vectors(files):
    (files / "v.txt").write_text("0.png 0.5 1 2\n1.png -1 0 1\n")
    made = images('source: "v.txt" batch_size: 2 label_count: 3')
    made.forward()
    assert made.blobs["label"].data.tolist() == [[0.5, 1, 2], [-1, 0, 1]]


def test_paths_beside_the_list_and_under_a_root(files, monkeypatch):
    (files / "sub").mkdir()
    (files / "sub/list.txt").write_text("0.png 0\n")
    (files / "sub/0.png").write_bytes((files / "3.png").read_bytes())
    monkeypatch.chdir("/")
    made = images(f'source: "{files}/sub/list.txt"')
    made.forward()
    np.testing.assert_array_equal(made.blobs["x"].data[0], IMAGES[3])
    made = images(f'source: "{files}/sub/list.txt" root_folder: "{files}/"')
    made.forward()
    np.testing.assert_array_equal(made.blobs["x"].data[0], IMAGES[0])


def test_a_batch_of_one_takes_each_images_size(files):
    (files / "1.png").write_bytes(image.encode(IMAGES[1, :, :5], "png"))
    made = images('source: "list.txt"')
    shapes = []
    for _ in range(3):
        made.forward()
        shapes.append(made.blobs["x"].shape)
    assert shapes == [(1, 3, 8, 10), (1, 3, 5, 10), (1, 3, 8, 10)]


def test_a_corrupt_jpeg_in_the_middle(files, caplog):
    (files / "6.png").write_bytes(image.encode(IMAGES[6], "jpg")[:-30])
    made = images('source: "list.txt" batch_size: 4')
    made.forward()
    with pytest.raises(SourceError, match=r"layer 'i' \(ImageData\): 6.png: cannot be decoded as an image"):
        made.forward()
    (files / "7.png").unlink()
    skipping = images('source: "list.txt" batch_size: 11 skip_bad: true')
    with caplog.at_level(logging.WARNING, "netdef"):
        assert passes(skipping, 2)[0].tolist() == [0, 1, 2, 3, 4, 5, 8, 8, 8, 9, 10]
    assert len(caplog.messages) == 2 and "2 of 11" in caplog.messages[1]


def test_image_refusals(files):
    text = 'layer {{ type: "ImageData" top: "x" top: "l" image_data_param {{ source: "{}" {} }} }}'
    assert "new_height is 3 and new_width 0" in refusal(text.format("list.txt", "new_height: 3"))
    assert "no file 'no.txt'" in refusal(text.format("no.txt", ""))
    (files / "l.txt").write_text("gone.png 1\n")
    said = refusal(text.format("l.txt", ""))
    assert "gone.png: no file 'gone.png': neither at" in said or "gone.png: no file 'gone.png' at" in said


WINDOWS = (
    'layer {{ name: "w" type: "WindowData" top: "x" top: "label" '
    'window_data_param {{ source: "w.txt" batch_size: 20 {} }} '
    "transform_param {{ crop_size: 5 {} }} }}"
)


def window_file(files):
    (files / "w.txt").write_text(
        "# 0\n0.png\n3\n8\n10\n3\n7 0.9 0 0 4 4\n3 0.2 5 3 9 7\n9 0.45 0 0 1 1\n"
        "# 1\n1.png\n3\n8\n10\n1\n8 0.6 2 1 6 5\n"
    )


def test_windows_of_foreground_and_background(files):
    window_file(files)
    made = net(WINDOWS.format("fg_threshold: 0.5 bg_threshold: 0.4", "mean_value: 9 scale: 2"))
    kinds = {0: IMAGES[0, :, 3:8, 5:10], 7: IMAGES[0, :, 0:5, 0:5], 8: IMAGES[1, :, 1:6, 2:7]}
    seen = set()
    for _ in range(3):
        made.forward()
        labels = made.blobs["label"].data.astype(int).tolist()
        assert labels[:15] == [0] * 15 and set(labels[15:]) <= {7, 8}
        for label, x in zip(labels, made.blobs["x"].data, strict=True):
            np.testing.assert_array_equal(x, (kinds[label].astype(np.float32) - 9) * 2)
        seen |= set(labels)
    assert seen == {0, 7, 8}


def test_mirrored_windows(files):
    window_file(files)
    made = net(WINDOWS.format("fg_fraction: 0", "mirror: true"))
    made.forward()
    x, sides = IMAGES[0, :, 3:8, 5:10], set()
    corner = IMAGES[0, :, 0:2, 0:2]
    for y in made.blobs["x"].data:
        wanted = [x, x[:, :, ::-1], image.resize(corner, 5, 5), image.resize(corner, 5, 5)[:, :, ::-1]]
        fits = [i for i, want in enumerate(wanted) if np.array_equal(y, want)]
        assert len(fits) == 1
        sides.update(fits)
    assert sides == {0, 1, 2, 3}


def test_windows_of_a_bad_image(files, caplog):
    window_file(files)
    (files / "1.png").write_bytes(b"no image")
    option, labels = "fg_threshold: 0.5 fg_fraction: 0.5 {}", []
    with pytest.raises(SourceError, match=r"1.png: cannot be decoded.*; skip_bad: true"):
        passes(net(WINDOWS.format(option.format(""), "")), 9)
    with caplog.at_level(logging.WARNING, "netdef"):
        made = net(WINDOWS.format(option.format("skip_bad: true"), ""))
        for _ in range(5):
            made.forward()
            labels += made.blobs["label"].data[10:].tolist()
    assert set(labels) == {7}
    assert len(caplog.messages) == 1 and "1.png: cannot be decoded" in caplog.messages[0]


@pytest.mark.parametrize(
    ("option", "transform", "words"),
    [
        ("crop_mode: 'round'", "", "crop_mode is 'round'; want warp or square"),
        ("context_pad: 3", "", "context_pad 3 leaves nothing of crop_size 5"),
        ("fg_threshold: 0.95 bg_threshold: 0.95", "", "5 foreground windows, but there is none among 4"),
        ("bg_threshold: 0.1", "", "15 background windows, but there is none"),
        ("", "random_noise: 1", "does not know the random_ options"),
        ("fg_fraction: 2", "", "fg_fraction is 2; want 0 to 1"),
    ],
)
def test_window_refusals(files, option, transform, words):
    window_file(files)
    assert words in refusal(WINDOWS.format(option, transform))
