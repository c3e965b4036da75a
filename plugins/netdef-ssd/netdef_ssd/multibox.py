"""MultiBoxLoss: how far predictions are from the objects of their images, in place and in class."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from netdef.layer import Blob, LayerError, Loss, Shape
from netdef_ssd.boxes import check_code, decode, encode
from netdef_ssd.confidence import SOFTMAX, logistic, softmax
from netdef_ssd.matching import LEFT_OUT, NOBODY, Truth, match, truths
from netdef_ssd.mining import HARD_EXAMPLE, NONE, mine
from netdef_ssd.multibox_param import options
from netdef_ssd.smooth_l1 import smooth_l1, smooth_l1_slope

Array = np.ndarray
FULL, VALID, BATCH_SIZE = range(3)
PER_PREDICTION, L2 = 1, 0


@dataclass
class Found:
    """Priors with an object, of all images: parallel arrays."""

    image: Array
    set: Array
    prior: Array
    label: Array
    box: Array

    def only(self, kept: Array) -> "Found":
        return Found(*(x[kept] for x in (self.image, self.set, self.prior, self.label, self.box)))


class MultiBoxLoss(Loss):
    """(loc_weight * sum f(loc - target) + sum of the classes' losses) / normalizer.

    Bottoms: locations (N, 4 P), or (N, 4 C P) with share_location off; scores before softmax (N, C P); priors
    (1, 2, 4 P); objects (1, 1, G, 8) as rows (image, label, instance, xmin, ymin, xmax, ymax, difficult). f is
    smooth_l1 or half the square; the normalizer, by loss_param, is the number of matches unless it says otherwise.
    Images without an object have no negatives. With propagate_down: false for the first or the second bottom its part
    is left out.

    Other than SSD: the gradient with encode_variance_in_target is divided by the variance, as the loss is; LOGISTIC
    without mining has a target of 0 for whatever is not an object, in every image; nms_param without top_k means all.
    """

    type = "MultiBoxLoss"
    bottoms = 4
    no_gradient = (2, 3)
    reads = ()
    options = options()

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p, given = self.param, self.layer_param.loss_param
        check_code(p.code_type)
        if p.background_label_id >= p.num_classes:
            raise LayerError(f"num_classes is {p.num_classes}; want the background {p.background_label_id} among them")
        if p.map_object_to_agnostic and p.num_classes != 2:
            raise LayerError(f"num_classes is {p.num_classes} with map_object_to_agnostic; want 2")
        if p.mining_type != NONE and not p.share_location:
            raise LayerError("mining without share_location; want mining_type: NONE or share_location: true")
        if p.HasField("do_neg_mining") and p.do_neg_mining != (p.mining_type != NONE):
            raise LayerError("do_neg_mining contradicts mining_type; leave out do_neg_mining, the older of the two")
        if p.mining_type == HARD_EXAMPLE and p.sample_size < 1:
            raise LayerError(f"sample_size is {p.sample_size}; want 1 or more")
        self.mode = given.normalization
        if given.HasField("normalize") and not given.HasField("normalization"):
            self.mode = VALID if given.normalize else BATCH_SIZE
        self.sets = 1 if p.share_location else p.num_classes
        counts = list(self.layer_param.propagate_down) or [True, True]
        self.counts_loc, self.counts_conf = counts[0], counts[1]

    def infer(self, *shapes: Shape) -> list[Shape]:
        loc, conf, prior, objects = shapes[:4]
        if len(prior) != 3 or prior[1] != 2 or prior[2] % 4:
            raise LayerError(f"priors of shape {prior}; want (1, 2, 4 P)")
        if not objects or objects[-1] != 8:
            raise LayerError(f"objects of shape {objects}; want (1, 1, G, 8)")
        priors = prior[2] // 4
        for what, shape, each in (("locations", loc, 4 * self.sets), ("scores", conf, self.param.num_classes)):
            if shape[:1] != loc[:1] or int(np.prod(shape[1:])) != priors * each:
                raise LayerError(f"{what} of shape {shape}; want ({loc[0]}, {priors * each}) for {priors} priors")
        return [()]

    # -- forward ----------------------------------------------------------------------------------------------------

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        p, n = self.param, bottom[0].shape[0]
        priors, self.variances = bottom[2].data.reshape(-1, 2, bottom[2].shape[2] // 4, 4)[0]
        self.priors = self.refined(priors, bottom)
        loc = bottom[0].data.reshape(n, len(priors), self.sets, 4)
        conf = bottom[1].data.reshape(n, len(priors), p.num_classes)
        rows = self.rows(bottom[3].data)
        objects = truths(rows, n, p.background_label_id, p.num_classes, p.use_difficult_gt)
        if p.map_object_to_agnostic:
            for truth in objects.values():
                truth.labels[...] = p.background_label_id + 1
        found, matches = self._match(loc, objects)
        d = self._distances(loc, found)
        label = np.full(conf.shape[:2], p.background_label_id)
        label[found.image, found.prior] = found.label
        self.counted = np.ones(label.shape, bool)
        if p.mining_type != NONE:
            losses = self._class_losses(conf, label, found)[0]
            worst = losses if p.mining_type != HARD_EXAMPLE else self._with_distances(losses, found, d)
            kept = self._mine(worst, matches, found, loc, self.negatives(bottom))
            found, d, self.factor = found.only(kept), d[kept], self.factor[kept]
        self.found, self.d = found, d
        self.scale = 1 / max(1.0, (label.size, len(d), n, 1)[self.mode])
        losses, self.dconf = self._class_losses(conf, label, found)
        total = p.loc_weight * self._loc_losses(d).sum(dtype=np.float64) if self.counts_loc else 0.0
        if self.counts_conf:
            total += losses[self.counted].sum(dtype=np.float64)
        top[0].data[...] = total * self.scale

    def refined(self, priors: Array, bottom: list[Blob]) -> Array:
        """What predictions are relative to: the priors (P, 4), for each image (N, P, 4)."""
        return np.broadcast_to(priors, (bottom[0].shape[0], *priors.shape))

    def rows(self, objects: Array) -> Array:
        """The objects' rows as they count."""
        return objects

    def negatives(self, bottom: list[Blob]) -> Array | None:
        """Which priors without an object may count (N, P); None for all."""
        return None

    def _boxes(self, i: int, loc: Array) -> Array:
        """Predicted locations (P, 4) of image i as boxes."""
        variances = None if self.param.encode_variance_in_target else self.variances
        return decode(loc, self.priors[i], variances, self.param.code_type)

    def _match(self, loc: Array, objects: dict[int, Truth]) -> tuple[Found, dict[int, tuple[Array, Array]]]:
        """The priors with an object, and by image where locations are shared the match that mining needs."""
        p, parts, matches = self.param, [], {}
        for i, truth in objects.items():
            shared = None
            for c in range(self.sets):
                if self.sets > 1 and c == p.background_label_id:
                    continue
                mine = np.arange(len(truth.labels)) if self.sets == 1 else np.flatnonzero(truth.labels == c)
                if p.use_prior_for_matching:
                    shared = shared or self._matched(self.priors[i], truth.boxes)
                    index, overlap = shared
                    index = np.where(np.isin(index, mine) | (index < 0), index, NOBODY)
                else:
                    index, overlap = self._matched(self._boxes(i, loc[i, :, c]), truth.boxes[mine])
                    index = np.where(index < 0, index, mine[index] if len(mine) else NOBODY)
                prior = np.flatnonzero(index > NOBODY)
                of, alike = index[prior], np.ones(len(prior), int)
                parts.append(Found(alike * i, alike * c, prior, truth.labels[of], truth.boxes[of]))
                matches[i] = index, overlap
        empty = Found(*(np.zeros(0, int) for _ in range(4)), np.zeros((0, 4), self.dtype))
        columns = zip(*(vars(part).values() for part in [empty, *parts]), strict=True)
        return Found(*(np.concatenate(column) for column in columns)), matches

    def _matched(self, boxes: Array, objects: Array) -> tuple[Array, Array]:
        p = self.param
        per_prediction = p.match_type == PER_PREDICTION
        return match(boxes, objects, p.overlap_threshold, per_prediction, p.ignore_cross_boundary_bbox)

    def _distances(self, loc: Array, found: Found) -> Array:
        """loc - target (M, 4), 0 where bp_inside leaves a coordinate out; keeps the factor of the gradient."""
        p, at = self.param, found.prior
        given, priors = loc[found.image, at, found.set], self.priors[found.image, at]
        variances = None if p.encode_variance_in_target else self.variances[at]
        d = given - encode(found.box, priors, variances, p.code_type)
        self.factor = np.ones_like(d)
        if p.encode_variance_in_target:
            self.factor /= self.variances[at]
        if p.bp_inside:
            boxes = priors
            if not p.use_prior_for_matching:
                boxes = decode(given, boxes, variances, p.code_type)
            self.factor *= (boxes >= 0) & (boxes <= 1)
        return d * self.factor

    def _loc_losses(self, d: Array) -> Array:
        return d * d / 2 if self.param.loc_loss_type == L2 else smooth_l1(d)

    def _class_losses(self, conf: Array, label: Array, found: Found) -> tuple[Array, Array]:
        """The loss of each prior's class (N, P), and its gradient (N, P, C)."""
        p = self.param
        if p.conf_loss_type == SOFTMAX:
            return softmax(conf, label)
        target = np.zeros_like(conf)
        target[found.image, found.prior, found.label] = 1
        if p.mining_type != NONE:
            target[..., p.background_label_id] = label == p.background_label_id
        return logistic(conf, target)

    def _with_distances(self, losses: Array, found: Found, d: Array) -> Array:
        worst = losses.copy()
        worst[found.image, found.prior] += self._loc_losses(d).sum(axis=1)
        return worst

    def _mine(self, losses: Array, matches: dict[int, Any], found: Found, loc: Array, may: Array | None) -> Array:
        """Count what is picked; whether each of `found` still counts."""
        p = self.param
        self.counted[...] = False
        picked = np.zeros_like(self.counted)
        for i, (index, overlap) in matches.items():
            boxes = self.priors[i] if p.use_prior_for_nms else self._boxes(i, loc[i, :, 0])
            if may is not None:
                index = np.where((index == NOBODY) & ~may[i], LEFT_OUT, index)
            picked[i] = mine(p, index, overlap, losses[i], boxes)
            self.counted[i] = picked[i] & (index == NOBODY)
        kept = picked[found.image, found.prior] | (p.mining_type != HARD_EXAMPLE)
        self.counted[found.image[kept], found.prior[kept]] = True
        return kept

    # -- backward ---------------------------------------------------------------------------------------------------

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        scale = float(top[0].diff) * self.scale
        if propagate_down[0]:
            bottom[0].diff[...] = 0
            slope = self.d if self.param.loc_loss_type == L2 else smooth_l1_slope(self.d)
            slope = slope * self.factor * (scale * self.param.loc_weight * self.counts_loc)
            dx = bottom[0].diff.reshape(*self.priors.shape[:2], self.sets, 4)
            dx[self.found.image, self.found.prior, self.found.set] = slope
        if propagate_down[1]:
            dx = bottom[1].diff.reshape(self.dconf.shape)
            np.multiply(self.dconf, (scale * self.counts_conf * self.counted)[..., None], out=dx)
