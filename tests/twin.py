"""A peer for `netdef time --against` that needs no other program: the net once more, right or wrong as a test wants."""

from netdef.net import Net


class Twin:
    """`wrong` names a layer and what of it is a tenth too much: "top", "bottom" or "parameter"; "whole" for outputs."""

    title, threads, layouts = "twin 1", 1, ("first", "second")
    wrong: tuple[str, str] = ("", "")
    without: tuple[str, ...] = ()

    def __init__(self, net, sources):
        self.net, self.sources = Net(net.param, net.phase, seed=2, registry=net.registry), sources
        for ours, theirs in zip(net.parameters, self.net.parameters, strict=True):
            theirs.blob.data[...] = ours.blob.data
        self.lacking = {i: "twins do not do it" for i, x in enumerate(net.layers) if x.name in self.without}

    def is_random(self, i):
        return self.net.layers[i].type == "Dropout"

    def factor(self, i, what):
        return 1.1 if self.wrong == (self.net.layers[i].name, what) else 1

    def one(self, i, xs, dys, down):
        net = self.net
        for bottom, x in zip(net.bottoms[i], xs, strict=True):
            bottom.data[...] = x
        net.forward_layer(i)
        ys = [top.data * self.factor(i, "top") for top in net.tops[i]]
        if dys is None:
            return ys, []
        for top, dy in zip(net.tops[i], dys, strict=True):
            top.diff[...] = dy
        net.clear_param_diffs()
        net.update_layer(i)
        net.backward_layer(i)
        dxs = [b.diff * self.factor(i, "bottom") if d else None for b, d in zip(net.bottoms[i], down, strict=True)]
        return ys, [*dxs, *(blob.diff * self.factor(i, "parameter") for blob in net.layers[i].blobs)]

    def run(self, layout, given):
        return Run(self, given)


class Run:
    def __init__(self, twin, given):
        self.twin, self.given = twin, given

    def clear(self):
        self.twin.net.clear_param_diffs()

    def outputs(self):
        values = {place: data for place, (data, _) in self.given.items()}
        net, wrong = self.twin.net, self.twin.wrong[1] == "whole"
        for i in range(len(net.layers)):
            if (i, 0) not in values:
                for bottom, place in zip(net.bottoms[i], self.twin.sources[i], strict=True):
                    bottom.data[...] = values[place]
                net.forward_layer(i)
                values |= {(i, t): top.data * (1.1 if wrong else 1) for t, top in enumerate(net.tops[i])}
        return values

    def step(self):
        self.twin.net.forward()
        self.twin.net.backward()

    def layers(self):
        return {i: (1.0, 2.0) for i in range(len(self.twin.net.layers)) if i not in self.twin.lacking}
