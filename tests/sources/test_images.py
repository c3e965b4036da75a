"""Decoding, lists, windows: against OpenCV and against images whose every pixel is known."""

import subprocess
import sys

import numpy as np
import pytest

from netdef.errors import SourceError
from netdef.sources import image
from netdef.sources.lists import read_list
from netdef.sources.windows import Window, read_windows, warp

cv2 = pytest.importorskip("cv2")
X = np.random.default_rng(0).integers(0, 256, (3, 24, 31)).astype(np.uint8)


def test_png_round_trip_and_channels():
    data = image.encode(X, "png")
    np.testing.assert_array_equal(image.decode(data), X)
    np.testing.assert_array_equal(image.decode(data)[0], cv2.imdecode(np.frombuffer(data, "u1"), 1)[:, :, 0])  # blue
    gray = image.decode(data, image.GRAY)
    np.testing.assert_array_equal(gray[0], cv2.imdecode(np.frombuffer(data, "u1"), 0))
    alone = image.encode(X[:1], "png")
    assert image.decode(alone).shape == (1, 24, 31) and image.decode(alone, image.COLOUR).shape == (3, 24, 31)


def test_resize_is_opencvs():
    want = cv2.resize(X.transpose(1, 2, 0), (10, 7)).transpose(2, 0, 1)
    np.testing.assert_array_equal(image.resize(X, 7, 10), want)
    assert image.resize(X[:1], 7, 10).shape == (1, 7, 10)
    assert image.resize(X, 24, 31) is X


@pytest.mark.parametrize("kind", ["jpg", "png"])
def test_an_image_cut_short_or_spoilt_is_refused(kind):
    data = image.encode(X, kind)
    for bad in (data[: len(data) // 2], data[:10], b"", b"GIF89a", data[:20] + bytes(len(data) - 20)):
        with pytest.raises(SourceError, match="cannot be decoded as an image"):
            image.decode(bad)


def test_sixteen_bits_are_refused():
    data = cv2.imencode(".png", X[0].astype(np.uint16))[1].tobytes()
    with pytest.raises(SourceError, match="uint16; want 8 bits"):
        image.decode(data)


def test_without_opencv_the_message_says_how_to_get_it(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(SourceError) as error:
        image.decode(b"x")
    assert 'pip install "netdef-nn[images]"' in str(error.value)


def test_lists(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes(b"a.png 3\r\nwith blank.jpg   -1\n\n\tb/c.png\t7\n")
    assert read_list(path) == [("a.png", 3), ("with blank.jpg", -1), ("b/c.png", 7)]
    path.write_text("a b.png 1 2.5 -3e2\n")
    ((name, label),) = read_list(path, 3)
    assert (name, label.tolist()) == ("a b.png", [1, 2.5, -300])


@pytest.mark.parametrize(
    ("text", "labels", "words"),
    [
        ("a.png 1\nb.png\n", 0, "list.txt:2: 'b.png'; want a path and a whole number"),
        ("a.png x\n", 0, "list.txt:1: 'a.png x'; want a path and a whole number"),
        ("a.png 1.5\n", 0, "want a path and a whole number"),
        ("7\n", 0, "want a path"),
        ("a.png 1 2\n", 3, "want a path and 3 numbers"),
        ("\n", 0, "is empty"),
        (None, 0, "No such file"),
    ],
)
def test_list_faults(tmp_path, text, labels, words):
    path = tmp_path / "list.txt"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SourceError) as error:
        read_list(path, labels)
    assert words in str(error.value)


def test_window_files(tmp_path):
    path = tmp_path / "windows.txt"
    path.write_text("# 0\na.png\n3\n24\n31\n2\n1 0.8 0 1 10 12\n2 0.1 3 3 9 9\n# 1\nb.png\n3\n5\n5\n0\n\n")
    images, windows = read_windows(path, "root/")
    assert images == ["root/a.png", "root/b.png"]
    assert windows == [Window(0, 1, 0.8, 0, 1, 10, 12), Window(0, 2, 0.1, 3, 3, 9, 9)]
    path.write_text("# 0\na.png\n3\n24\n31\n2\n1 0.8 0 1 10 12\n")
    with pytest.raises(SourceError, match=r"windows.txt:8: the end; want"):
        read_windows(path)
    path.write_text("a.png 1\n")
    with pytest.raises(SourceError, match=r"windows.txt:1: 'a.png 1'; want"):
        read_windows(path)


def test_a_window_is_warped_whole():
    part, top, left = warp(X, Window(0, 1, 1, 2, 3, 20, 15), 8, 0, False)
    assert (top, left) == (0, 0)
    np.testing.assert_array_equal(part, image.resize(X[:, 3:16, 2:21], 8, 8))


def test_surroundings_beyond_the_border_are_left_out():
    """A window in the corner, with a margin of a quarter on each side: the outer quarters have no pixels."""
    part, top, left = warp(X, Window(0, 1, 1, 0, 0, 7, 7), 16, 4, False)
    # twice the window about its centre is -4 to 12, 17 pixels, of which 13 are within
    assert (top, left) == (4, 4) and part.shape == (3, 12, 12)
    np.testing.assert_array_equal(part, image.resize(X[:, :13, :13], 12, 12))


def test_a_square_window_keeps_proportions():
    part, top, left = warp(X, Window(0, 1, 1, 10, 2, 13, 13), 12, 0, True)
    np.testing.assert_array_equal(part, image.resize(X[:, 2:15, 6:19], 12, 12))
    assert (top, left) == (0, 0)
    with pytest.raises(ValueError):
        warp(X, Window(0, 1, 1, 10, 2, 31, 13), 12, 0, True)


def test_opencv_adds_no_lines_of_its_own(tmp_path):
    code = (
        "import sys; from netdef.sources import image; from netdef.errors import SourceError\n"
        "try: image.decode(open(sys.argv[1], 'rb').read())\n"
        "except SourceError as e: print(e)"
    )
    (tmp_path / "cut.png").write_bytes(image.encode(np.zeros((3, 9, 9), np.uint8), "png")[:60])
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "cut.png")], capture_output=True, text=True)
    assert "cannot be decoded" in done.stdout and not done.stderr
