"""Reading the pixels that a convolution meets: which runs of memory they are, padded copies, packed panels."""

from .interleave import merge1, merge2, merge4, split1, split2, split4
from .native import helper
from .simd import VL, ZERO, load, load_first, shift, splat, store, store_first
from .tile import NR


@helper
def clear(dst, n, value):
    """Sets n floats to a value, and up to VL - 1 past them."""
    for i in range(0, n, VL):
        store(shift(dst, i), splat(value))


@helper
def summed(p, n):
    """The sum of n floats."""
    found = ZERO
    for i in range(n):
        found += p[i]
    return found


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
def part_row(dst, src, width, left, step, phases, pitch, apart, outside):
    """Piece f < phases of dst, `apart` floats from the last, gets src[left + f + step * j] for j < pitch, and `outside`
    where that is not one of 0 .. width - 1."""
    if step == 1 or step == 2 or step == 4:
        for j in range(0, pitch, VL):
            at = left + step * j
            s, d, low, high = shift(src, at), shift(dst, j), -at, width - at
            if step == 1:
                split1(s, low, high, outside, d, apart, phases, pitch - j)
            elif step == 2:
                split2(s, low, high, outside, d, apart, phases, pitch - j)
            else:
                split4(s, low, high, outside, d, apart, phases, pitch - j)
    else:
        for f in range(phases):
            for j in range(pitch):
                at = left + f + step * j
                dst[f * apart + j] = src[at] if 0 <= at < width else outside


@helper
def merge_row(dst, width, left, step, count, src, apart):
    """dst[left + f + step * j] = src[f * apart + j] for f < step and j < count, where that is one of 0 .. width - 1."""
    if step == 1 or step == 2 or step == 4:
        for j in range(0, count, VL):
            at = left + step * j
            d, low, high, a = shift(dst, at), -at, width - at, shift(src, j)
            if step == 1:
                merge1(d, low, high, (load(a),))
            elif step == 2:
                merge2(d, low, high, (load(a), load(shift(a, apart))))
            else:
                b, c = shift(a, apart), shift(a, 2 * apart)
                merge4(d, low, high, (load(a), load(b), load(c), load(shift(c, apart))))
    else:
        for at in range(max(0, left), min(width, left + step * count)):
            dst[at] = src[(at - left) % step * apart + (at - left) // step]


@helper
def place_taps(taps, spacing, step, pitch, offsets):
    """offsets[j]: where the pixel j * spacing after a row's first lies in a row parted by part_row."""
    for j in range(taps):
        offsets[j] = j * spacing % step * pitch + j * spacing // step


@helper
def pad_channels(dst, src, channels, height, width, image, tall, top, left, step, phases, pitch, begin, end):
    """Copies the virtual rows begin .. end - 1 of each channel, `tall` of them an image, with zeros around the image.

    Row r of image n is the image's row r + top, from column `left` on, in `phases` pieces of `pitch` floats: piece f
    holds every step-th pixel from the f-th on. `image` is the distance between images in src.
    """
    length = phases * pitch
    for c in range(channels):
        for v in range(begin, end):
            d = shift(dst, (c * (end - begin) + v - begin) * length)
            h = v % tall + top
            if not 0 <= h < height:
                clear(d, length, ZERO)
            else:
                row = shift(src, v // tall * image + (c * height + h) * width)
                part_row(d, row, width, left, step, phases, pitch, pitch, ZERO)


@helper
def rows_met(first, last, height, width, step, tall):
    """The virtual rows, `tall` an image and `step` for each row of a grid of height x width, that the places first ..
    last - 1 of the grid meet: the first and the last + 1, counted from the first place's image on."""
    n0, rest = first // (height * width), tall - (height - 1) * step
    end = ((last - 1) // (height * width) - n0) * tall + (last - 1) // width % height * step + rest
    return first // width % height * step, end


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
