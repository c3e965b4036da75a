"""The register tile: C[MR, NR] (+)= A^T B over packed panels, accumulators never leaving the registers."""

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .simd import I32, I64, VECTOR, VL, fma_function, splat_value, vector_at

# Rows and vectors of the tile: MR * NV accumulators + NV + 1 fit 32 registers (AVX-512, NEON) or 16 (AVX2), and there
# are enough of them to hide the latency of the fused multiply-add.
MR, NV = (6, 2) if VL == 8 else (8, 2)
NR = NV * VL
# Rows of a panel that are asked for before they are met: where multiply-adds are quick, the second cache is too slow.
AHEAD = 16
pointer = types.CPointer(types.float32)


class Loop:
    """A counted loop in LLVM: `index` and the carried values are phi nodes; end(new values) closes it. The count is at
    least one, or may be none where `least` says so."""

    def __init__(self, bld, count, start, least=1):
        self.bld, self.count = bld, count
        entry, fn = bld.block, bld.function
        self.body, self.after = fn.append_basic_block("loop"), fn.append_basic_block("after")
        self.skipped = None if least else (entry, start)
        if least:
            bld.branch(self.body)
        else:
            bld.cbranch(bld.icmp_signed("<", ir.Constant(I64, 0), count), self.body, self.after)
        bld.position_at_end(self.body)
        self.index = bld.phi(I64)
        self.index.add_incoming(ir.Constant(I64, 0), entry)
        self.carried = [bld.phi(v.type) for v in start]
        for phi, value in zip(self.carried, start, strict=True):
            phi.add_incoming(value, entry)

    def end(self, values):
        bld = self.bld
        following = bld.add(self.index, ir.Constant(I64, 1))
        self.index.add_incoming(following, bld.block)
        for phi, value in zip(self.carried, values, strict=True):
            phi.add_incoming(value, bld.block)
        branch = bld.cbranch(bld.icmp_signed("<", following, self.count), self.body, self.after)
        branch.set_metadata("llvm.loop", _never_unrolled(bld.module))
        ends = [(bld.block, values), self.skipped]
        bld.position_at_end(self.after)
        return _merged(bld, ends) if self.skipped else values


def _merged(bld, ends):
    """The values of the block that was left of several (block, values)."""
    found = [bld.phi(v.type) for v in ends[0][1]]
    for block, values in ends:
        for phi, value in zip(found, values, strict=True):
            phi.add_incoming(value, block)
    return found


def _never_unrolled(module):
    """What LLVM is told of a loop whose body fills the registers: two of them side by side would spill."""
    loop = module.add_metadata([module.add_metadata(["llvm.loop.unroll.disable"])])
    if loop.operands[0] is not loop:
        loop.operands = (loop, *loop.operands)
    return loop


def _times(bld, index, n):
    return bld.mul(index, ir.Constant(I64, n))


def zeros(n):
    return [ir.Constant(VECTOR, None)] * n


def multiply_add(bld, scalars, rows, sums):
    """sums[i, v] + scalars[i] * rows[v], row by row."""
    fma, out = fma_function(bld.module), []
    for i, p in enumerate(scalars):
        s = splat_value(bld, bld.load(p), VECTOR)
        out += [bld.call(fma, [s, row, sums[i * len(rows) + v]]) for v, row in enumerate(rows)]
    return out


def put(bld, sums, c, ldc, nv, accumulate):
    """Stores the tile to c, whose rows are ldc floats apart, or adds it there."""
    add, end = bld.function.append_basic_block("add"), bld.function.append_basic_block("stored")
    put = bld.function.append_basic_block("put")
    where = []
    for i in range(len(sums) // nv):
        row = bld.gep(c, [bld.mul(ldc, ir.Constant(I64, i))])
        where += [vector_at(bld, row, ir.Constant(I64, v * VL)) for v in range(nv)]
    bld.cbranch(bld.icmp_unsigned("!=", accumulate, ir.Constant(accumulate.type, 0)), add, put)
    for block in (add, put):
        bld.position_at_end(block)
        for p, value in zip(where, sums, strict=True):
            bld.store(bld.fadd(bld.load(p, align=4), value) if block is add else value, p, align=4)
        bld.branch(end)
    bld.position_at_end(end)


def make_tile(mr, nv):
    @intrinsic
    def tile(typingctx, a, b, c, k, ldc, accumulate):
        """C (+)= A^T B with A of k x mr floats, B of k x (nv * VL), both packed, k at least 1."""

        def codegen(context, bld, signature, args):
            a, b, c, k, ldc, accumulate = args
            loop = Loop(bld, k, zeros(mr * nv))
            ak, bk = bld.gep(a, [_times(bld, loop.index, mr)]), bld.gep(b, [_times(bld, loop.index, nv * VL)])
            rows = [bld.load(vector_at(bld, bk, ir.Constant(I64, v * VL)), align=4) for v in range(nv)]
            scalars = [bld.gep(ak, [ir.Constant(I64, i)]) for i in range(mr)]
            sums = loop.end(multiply_add(bld, scalars, rows, loop.carried))
            put(bld, sums, c, ldc, nv, accumulate)
            return context.get_dummy_value()

        return types.void(pointer, pointer, pointer, types.intp, types.intp, types.boolean), codegen

    return tile


tile = make_tile(MR, NV)


def _panel_rows(bld, b, nv):
    """The first vectors of a row of a panel, while those of a later one are asked for."""
    places = [vector_at(bld, b, ir.Constant(I64, v * VL)) for v in range(nv)]
    for v in range(nv):
        prefetch(bld, bld.gep(b, [ir.Constant(I64, AHEAD * NR + v * VL)]))
    return [bld.load(p, align=4) for p in places]


def _make_gathered(nv, place):
    """A tile that reads MR rows in place, at the offsets `rows` and, step by step, `at` from x; `place` gives where the
    vectors of a step are from (bld, b, lines, index). Rows of C are NR floats; the first nv * VL of each are met."""
    table = types.CPointer(types.int64)

    @intrinsic
    def tile(typingctx, x, rows, at, b, lines, c, k, accumulate):
        def codegen(context, bld, signature, args):
            x, rows, at, b, lines, c, k, accumulate = args
            bases = [bld.gep(x, [bld.load(bld.gep(rows, [ir.Constant(I64, i)]))]) for i in range(MR)]
            loop = Loop(bld, k, zeros(MR * nv))
            offset, bk = bld.load(bld.gep(at, [loop.index])), place(bld, b, lines, loop.index)
            vectors = _panel_rows(bld, bk, nv)
            sums = loop.end(multiply_add(bld, [bld.gep(p, [offset]) for p in bases], vectors, loop.carried))
            put(bld, sums, c, ir.Constant(I64, NR), nv, accumulate)
            return context.get_dummy_value()

        sig = types.void(pointer, table, table, pointer, table, pointer, types.intp, types.boolean)
        return sig, codegen

    return tile


def make_gather_tile(nv):
    """C (+)= sum over p < k of x[rows[i] + at[p]] * B[p, :], B with rows of NR floats; `lines` does not matter."""
    return _make_gathered(nv, lambda bld, b, lines, index: bld.gep(b, [_times(bld, index, NR)]))


def make_listed_tile(nv):
    """C (+)= sum over p < k of x[rows[i] + at[p]] * B[lines[p] ...]."""
    return _make_gathered(nv, lambda bld, b, lines, index: bld.gep(b, [bld.load(bld.gep(lines, [index]))]))


def make_packed_tile(nv):
    """C (+)= A^T B with A of k x MR packed, and the rows of B listed; of C as of the gathered tiles."""

    @intrinsic
    def tile(typingctx, a, b, lines, c, k, accumulate):
        def codegen(context, bld, signature, args):
            a, b, lines, c, k, accumulate = args
            loop = Loop(bld, k, zeros(MR * nv))
            ak, bk = bld.gep(a, [_times(bld, loop.index, MR)]), bld.gep(b, [bld.load(bld.gep(lines, [loop.index]))])
            rows = _panel_rows(bld, bk, nv)
            scalars = [bld.gep(ak, [ir.Constant(I64, i)]) for i in range(MR)]
            put(bld, loop.end(multiply_add(bld, scalars, rows, loop.carried)), c, ir.Constant(I64, NR), nv, accumulate)
            return context.get_dummy_value()

        lines = types.CPointer(types.int64)
        return types.void(pointer, pointer, lines, pointer, types.intp, types.boolean), codegen

    return tile


gather_tile, thin_gather_tile = make_gather_tile(NV), make_gather_tile(1)
listed_tile, thin_listed_tile = make_listed_tile(NV), make_listed_tile(1)
packed_tile, thin_packed_tile = make_packed_tile(NV), make_packed_tile(1)


def prefetch(bld, p, written=0, near=3):
    """Asks for the cache line at p, which may be no memory at all; 2: no nearer than the second-level cache."""
    kind = ir.FunctionType(ir.VoidType(), [p.type, I32, I32, I32])
    fn = cgutils.get_or_insert_function(bld.module, kind, "llvm.prefetch.p0")
    bld.call(fn, [p, *(ir.Constant(I32, n) for n in (written, near, 1))])  # to keep close, data


@intrinsic
def own(typingctx, p):
    """Asks for the cache line at p, to write to it: another core may hold it, and stores wait one by one."""

    def codegen(context, bld, signature, args):
        prefetch(bld, args[0], written=1)
        return context.get_dummy_value()

    return types.void(p), codegen


def _strided(mr, nv, place):
    """A tile that reads one side where it lies, as the other is packed; `place` gives the scalars and the vectors of a
    step from (bld, a, b, stride, index)."""

    @intrinsic
    def tile(typingctx, a, b, stride, c, k, ldc, accumulate):
        def codegen(context, bld, signature, args):
            a, b, stride, c, k, ldc, accumulate = args
            loop = Loop(bld, k, zeros(mr * nv))
            scalars, bk = place(bld, a, b, stride, loop.index)
            rows = [bld.load(vector_at(bld, bk, ir.Constant(I64, v * VL)), align=4) for v in range(nv)]
            sums = loop.end(multiply_add(bld, scalars, rows, loop.carried))
            put(bld, sums, c, ldc, nv, accumulate)
            return context.get_dummy_value()

        return types.void(pointer, pointer, types.intp, pointer, types.intp, types.intp, types.boolean), codegen

    return tile


def make_row_tile(mr, nv):
    """C (+)= A B with the rows of A `stride` floats apart, and B of k x (nv * VL) packed."""

    def place(bld, a, b, stride, index):
        rows = [bld.gep(a, [bld.mul(stride, ir.Constant(I64, i))]) for i in range(mr)]
        return [bld.gep(row, [index]) for row in rows], bld.gep(b, [_times(bld, index, nv * VL)])

    return _strided(mr, nv, place)


def make_open_tile(mr, nv):
    """C (+)= A^T B with A of k x mr packed, and the rows of B `stride` floats apart, and fetched ahead."""

    def place(bld, a, b, stride, index):
        ak, bk = bld.gep(a, [_times(bld, index, mr)]), bld.gep(b, [bld.mul(stride, index)])
        prefetch(bld, bld.gep(bk, [ir.Constant(I64, nv * VL)]))
        return [bld.gep(ak, [ir.Constant(I64, i)]) for i in range(mr)], bk

    return _strided(mr, nv, place)
