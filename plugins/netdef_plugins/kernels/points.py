"""Winograd's F(4x4, 3x3) and F(4x4, 5x5): transforms between pixels or taps in a row and polynomials at points.

The points are 0, +-p for each p below, and infinity. Those for three taps cost a third of the rounding of the usual
1 and 2; products are exact to some 4e-6 of the largest result.
"""

from fractions import Fraction

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from .simd import I64, VECTOR, VL, fma_function, vector_at

# By the number of points in all, which is the taps' + 3.
POINTS = {6: (Fraction(3, 4), Fraction(3, 2)), 8: (Fraction(1, 2), Fraction(1), Fraction(2))}
pointer = types.CPointer(types.float32)


def constant(x):
    return ir.Constant(VECTOR, [float(x)] * VL)


def combine(bld, terms):
    """The sum of factor * vector over the terms."""
    terms = sorted(terms, key=lambda term: term[0] != 1)
    total = terms[0][1] if terms[0][0] == 1 else bld.fmul(constant(terms[0][0]), terms[0][1])
    for factor, v in terms[1:]:
        one = bld.fadd(total, v) if factor == 1 else None
        total = one or bld.call(fma_function(bld.module), [constant(factor), v, total])
    return total


def polynomial(roots):
    """The coefficients, in powers of x^2 from the lowest on, of the product of x^2 - q^2."""
    found = [Fraction(1)]
    for q in roots:
        found = [b - q * q * a for a, b in zip([*found, Fraction(0)], [Fraction(0), *found], strict=True)]
    return found


def differences(points):
    """The products of the differences of each point, 0 first, to all the others."""
    at = [Fraction(1)]
    for q in points:
        at[0] *= -q * q
    for p in points:
        product = 2 * p * p
        for q in points:
            product *= p * p - q * q if q != p else 1
        at.append(product)
    return at


def both(bld, p, even, odd):
    """even + p * odd and even - p * odd."""
    return [combine(bld, [(1, even), (p, odd)]), combine(bld, [(1, even), (-p, odd)])]


def see(bld, d, points):
    """Pixels in a row, seen from the points."""
    whole = polynomial(points)
    middle = []
    for p in points:
        rest = polynomial([q for q in points if q != p])
        even = combine(bld, [(c, d[2 * j + 2]) for j, c in enumerate(rest)])
        odd = combine(bld, [(c, d[2 * j + 1]) for j, c in enumerate(rest)])
        middle += both(bld, p, even, odd)
    ends = [combine(bld, [(c, d[2 * j + end]) for j, c in enumerate(whole)]) for end in (0, 1)]
    return [ends[0], *middle, ends[1]]


def sums(bld, u):
    """Sums and differences of the values at p and -p."""
    pairs = list(zip(u[1:-1:2], u[2:-1:2], strict=True))
    return [bld.fadd(a, b) for a, b in pairs], [bld.fsub(a, b) for a, b in pairs]


def result(bld, m, points):
    """Four results in a row from the products at the points."""
    plus, minus = sums(bld, m)
    y = [[(p**i, v) for p, v in zip(points, minus if i % 2 else plus, strict=True)] for i in range(4)]
    y[0].append((1, m[0]))
    y[3].append((1, m[-1]))
    return [combine(bld, terms) for terms in y]


def weigh(bld, g, points):
    """Taps in a row, seen from the points and divided by the points' differences."""
    first, *others = differences(points)
    out = [combine(bld, [(1 / first, g[0])])]
    for p, product in zip(points, others, strict=True):
        even = combine(bld, [(p**j / product, g[j]) for j in range(0, len(g), 2)])
        odd = combine(bld, [(p**j / product, g[j]) for j in range(1, len(g), 2)])
        out += both(bld, 1, even, odd)
    return [*out, g[-1]]


def spread(bld, y, points):
    """Four gradients of results in a row, seen from the points: the transpose of `result`."""
    out = [y[0]]
    for p in points:
        even, odd = combine(bld, [(1, y[0]), (p**2, y[2])]), combine(bld, [(1, y[1]), (p**2, y[3])])
        out += both(bld, p, even, odd)
    return [*out, y[3]]


def gather(bld, u, points):
    """Gradients of the taps in a row from those at the points: the transpose of `weigh`."""
    first, *others = differences(points)
    plus, minus = sums(bld, u)
    taps = range(2 * len(points) - 1)
    at = [list(zip(points, others, minus if t % 2 else plus, strict=True)) for t in taps]
    g = [[(p**t / product, v) for p, product, v in at[t]] for t in taps]
    g[0].append((1 / first, u[0]))
    g[-1].append((1, u[-1]))
    return [combine(bld, terms) for terms in g]


def gather_pixels(bld, u, points):
    """Gradients of the pixels in a row from those at the points: the transpose of `see`."""
    d = [[] for _ in u]
    for j, c in enumerate(polynomial(points)):
        d[2 * j].append((c, u[0]))
        d[2 * j + 1].append((c, u[-1]))
    for p, even, odd in zip(points, *sums(bld, u), strict=True):
        for j, c in enumerate(polynomial([q for q in points if q != p])):
            d[2 * j + 2].append((c, even))
            d[2 * j + 1].append((p * c, odd))
    return [combine(bld, terms) for terms in d]


def _make(transform, n, count):
    @intrinsic
    def apply(typingctx, src, step, dst, apart):
        """Transforms vectors `step` floats apart, from src on, to vectors `apart` floats apart from dst on."""

        def codegen(context, bld, signature, args):
            src, step, dst, apart = args
            places = [bld.gep(src, [bld.mul(step, ir.Constant(I64, i))]) for i in range(count)]
            values = [bld.load(vector_at(bld, p), align=4) for p in places]
            for i, value in enumerate(transform(bld, values, POINTS[n])):
                bld.store(value, vector_at(bld, bld.gep(dst, [bld.mul(apart, ir.Constant(I64, i))])), align=4)
            return context.get_dummy_value()

        return types.void(pointer, types.intp, pointer, types.intp), codegen

    return apply


see6, see8 = _make(see, 6, 6), _make(see, 8, 8)
result6, result8 = _make(result, 6, 6), _make(result, 8, 8)
weigh6, weigh8 = _make(weigh, 6, 3), _make(weigh, 8, 5)
spread6, spread8 = _make(spread, 6, 4), _make(spread, 8, 4)
gather6, gather8 = _make(gather, 6, 6), _make(gather, 8, 8)
pixels6, pixels8 = _make(gather_pixels, 6, 6), _make(gather_pixels, 8, 8)
