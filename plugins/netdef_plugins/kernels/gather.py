"""Reading the pixels that a convolution meets: which runs of memory they are, padded copies, packed panels."""

from .native import helper
from .simd import VL, ZERO, load, load_first, shift, splat, store, store_first
from .tile import NR


@helper
def move(dst, src, n):
    """Copies n floats; up to VL - 1 floats past dst + n are overwritten, nothing past src + n is read."""
    i = 0
    while i + VL <= n:
        store(shift(dst, i), load(shift(src, i)))
        i += VL
    if i < n:
        store(shift(dst, i), load_first(shift(src, i), n - i))


@helper
def clear(dst, n):
    """Zeros n floats, and up to VL - 1 past them."""
    for i in range(0, n, VL):
        store(shift(dst, i), splat(ZERO))


@helper
def find_runs(first, last, rows, width, image, row, step, start, unit, runs):
    """Cuts the pixels first .. last - 1 of images of rows x width into runs within one row and one panel of `unit`.

    A run is (offset of its first pixel, position among the pixels, length), the offset of pixel (n, i, j) being
    n * image + i * row + j * step - start. Returns how many there are.
    """
    count, q = 0, first
    while q < last:
        i, j = q // width, q % width
        n = min(width - j, last - q, unit - (q - first) % unit)
        runs[3 * count] = i // rows * image + i % rows * row + j * step - start
        runs[3 * count + 1], runs[3 * count + 2] = q - first, n
        count += 1
        q += n
    return count


@helper
def take(dst, src, step, n):
    """n floats, step apart; the usual steps are named where it is called, for the compiler to use vectors."""
    for j in range(n):
        dst[j] = src[j * step]


@helper
def pad_row(dst, src, width, left, step, phases, pitch):
    """A row of `phases` pieces of `pitch` floats: piece f holds src[left + f + step * j], j < pitch, zero outside."""
    for f in range(phases):
        d, s = shift(dst, f * pitch), left + f
        begin = min(max(0, -(s // step)), pitch)
        end = max(begin, min(pitch, (width - 1 - s) // step + 1))
        clear(d, begin)
        if step == 1:
            move(shift(d, begin), shift(src, s + begin), end - begin)
        elif step == 2:
            take(shift(d, begin), shift(src, s + step * begin), 2, end - begin)
        elif step == 4:
            take(shift(d, begin), shift(src, s + step * begin), 4, end - begin)
        else:
            take(shift(d, begin), shift(src, s + step * begin), step, end - begin)
        clear(shift(d, end), pitch - end)


@helper
def pad_channels(dst, src, channels, height, width, image, tall, top, left, step, phases, pitch, begin, end):
    """Copies the virtual rows begin .. end - 1 of each channel, `tall` of them an image, with zeros around the image.

    Row r of image n is the image's row r + top; `image` is the distance between images in src.
    """
    length = phases * pitch
    for c in range(channels):
        for v in range(begin, end):
            d = shift(dst, (c * (end - begin) + v - begin) * length)
            h = v % tall + top
            if 0 <= h < height:
                pad_row(d, shift(src, v // tall * image + (c * height + h) * width), width, left, step, phases, pitch)
            else:
                clear(d, length)


@helper
def copy_lines(dst, src, channels, plane, taps, offsets, n):
    """Row (c, t) of dst, rows being NR apart, gets n <= NR floats of channel c from offsets[t] on."""
    for c in range(channels):
        source, target = shift(src, c * plane), shift(dst, c * taps * NR)
        for t in range(taps):
            s, d = shift(source, offsets[t]), shift(target, t * NR)
            if n == NR:
                for j in range(0, NR, VL):
                    store(shift(d, j), load(shift(s, j)))
            else:
                for j in range(0, n, VL):
                    store_first(shift(d, j), load_first(shift(s, j), n - j), n - j)


@helper
def pack_panels(dst, src, channels, plane, taps, offsets, runs, count):
    """Panels of [channels * taps, NR]: row (c, t) of a panel holds its pixels of channel c, moved by offsets[t]."""
    for r in range(count):
        q, n = runs[3 * r + 1], runs[3 * r + 2]
        panel = shift(dst, q // NR * channels * taps * NR + q % NR)
        source = shift(src, runs[3 * r])
        if n == NR:
            copy_lines(panel, source, channels, plane, taps, offsets, NR)
        elif n <= VL:
            copy_lines(panel, source, channels, plane, taps, offsets, min(n, VL))
        else:
            copy_lines(panel, source, channels, plane, taps, offsets, n)
