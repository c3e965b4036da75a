"""SSD's rules as plain loops in float64, written from what they say and not from the layers: slow, easy to check."""

import math

import numpy as np


def prior_box(height, width, image_h, image_w, p):
    """The rows of PriorBox, as (number, 4), with `p` a dict of its options."""
    found = []
    step_h, step_w = p.get("step_h") or image_h / height, p.get("step_w") or image_w / width
    ratios = []
    for r in p.get("aspect_ratio", []):
        if all(abs(r - other) > 1e-6 for other in [1.0, *ratios]):
            ratios.append(r)
            if p.get("flip", True):
                ratios.append(1 / r)
    for y in range(height):
        for x in range(width):
            cx, cy = (x + p.get("offset", 0.5)) * step_w, (y + p.get("offset", 0.5)) * step_h
            for k, m in enumerate(p["min_size"]):
                m = int(m)
                sizes = [(m, m)]
                if p.get("max_size"):
                    sizes.append((math.sqrt(m * int(p["max_size"][k])),) * 2)
                sizes += [(m * math.sqrt(r), m / math.sqrt(r)) for r in ratios]
                for w, h in sizes:
                    box = [(cx - w / 2) / image_w, (cy - h / 2) / image_h]
                    box += [(cx + w / 2) / image_w, (cy + h / 2) / image_h]
                    found.append([min(max(v, 0), 1) for v in box] if p.get("clip") else box)
    return np.array(found)


def area(a):
    return 0.0 if a[2] < a[0] or a[3] < a[1] else (a[2] - a[0]) * (a[3] - a[1])


def overlap(a, b):
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return w * h / (area(a) + area(b) - w * h) if w > 0 and h > 0 else 0.0


def nms(boxes, scores, threshold, top_k, score_above, eta):
    """Which boxes stay, the best first."""
    left = sorted((i for i in range(len(boxes)) if scores[i] > score_above), key=lambda i: -scores[i])
    left = left if top_k < 0 else left[:top_k]
    kept = []
    for i in left:
        if all(overlap(boxes[i], boxes[k]) <= threshold for k in kept):
            kept.append(i)
            if eta < 1 and threshold > 0.5:
                threshold *= eta
    return kept


def decode(loc, prior, variance, code):
    v = [a * b for a, b in zip(loc, variance, strict=True)]
    w, h = prior[2] - prior[0], prior[3] - prior[1]
    if code == 1:
        return [p + d for p, d in zip(prior, v, strict=True)]
    if code == 3:
        return [p + d * s for p, d, s in zip(prior, v, (w, h, w, h), strict=True)]
    cx, cy = (prior[0] + prior[2]) / 2 + v[0] * w, (prior[1] + prior[3]) / 2 + v[1] * h
    bw, bh = math.exp(v[2]) * w, math.exp(v[3]) * h
    return [cx - bw / 2, cy - bh / 2, cx + bw / 2, cy + bh / 2]


def encode(box, prior, variance, code):
    w, h = prior[2] - prior[0], prior[3] - prior[1]
    if code == 1:
        found = [b - p for b, p in zip(box, prior, strict=True)]
    elif code == 3:
        found = [(b - p) / s for b, p, s in zip(box, prior, (w, h, w, h), strict=True)]
    else:
        found = [
            ((box[0] + box[2]) / 2 - (prior[0] + prior[2]) / 2) / w,
            ((box[1] + box[3]) / 2 - (prior[1] + prior[3]) / 2) / h,
            math.log((box[2] - box[0]) / w),
            math.log((box[3] - box[1]) / h),
        ]
    return [f / v for f, v in zip(found, variance, strict=True)]


def detections(boxes, scores, background, nms_settings, keep_top_k):
    """Rows (image, label, score, box) of boxes[image][label][prior] and scores[image][prior][label]."""
    rows = []
    for i in range(len(scores)):
        found = []
        for c in range(len(scores[i][0])):
            if c != background:
                of = [s[c] for s in scores[i]]
                found += [(c, k, of[k]) for k in nms(boxes[i][c], of, **nms_settings)]
        if -1 < keep_top_k < len(found):
            best = sorted(range(len(found)), key=lambda n: -found[n][2])[:keep_top_k]
            found = [found[n] for n in sorted(best)]
        rows += [[i, c, s, *boxes[i][c][k]] for c, k, s in found]
    return rows or [[i, -1, -1, -1, -1, -1, -1] for i in range(len(scores))]


def match(boxes, objects, threshold, per_prediction, inside=False):
    """(index, overlap) of each box: the place of its object, -1 for none, -2 for left out."""
    index, best, table = [-1] * len(boxes), [0.0] * len(boxes), {}
    for i, box in enumerate(boxes):
        if inside and any(v < 0 or v > 1 for v in box):
            index[i] = -2
            continue
        for j, other in enumerate(objects):
            if overlap(box, other) > 1e-6:
                table[i, j] = overlap(box, other)
                best[i] = max(best[i], table[i, j])
    pool = set(range(len(objects)))
    while pool:
        pairs = [(o, -i, -j) for (i, j), o in table.items() if index[i] == -1 and j in pool]
        if not pairs:
            break
        o, i, j = max(pairs)
        index[-i], best[-i] = -j, o
        pool.remove(-j)
    if per_prediction:
        for i in range(len(boxes)):
            pairs = [(o, -j) for (k, j), o in table.items() if k == i and o >= threshold]
            if index[i] == -1 and pairs:
                best[i], index[i] = max(pairs)[0], -max(pairs)[1]
    return index, best


def smooth_l1(d):
    return d * d / 2 if abs(d) < 1 else abs(d) - 0.5


def class_loss(scores, label):
    top = max(scores)
    return math.log(sum(math.exp(s - top) for s in scores)) - (scores[label] - top)


def multibox(loc, conf, anchors, variances, objects, code, ratio, neg_overlap, threshold, mining, sample=0, may=None):
    """The loss of SSD with shared locations and softmax; objects[i] are (label, box) of image i; background 0.

    anchors[i] are what predictions for image i are relative to; may[i], where given, says which may be negatives.
    """
    total, matches = 0.0, 0
    for i in range(len(loc)):
        if not objects[i]:
            continue
        priors = anchors[i]
        index, best = match(priors, [box for _, box in objects[i]], threshold, True)
        label = [objects[i][k][0] if k > -1 else 0 for k in index]
        of_class = [class_loss(conf[i][p], label[p]) for p in range(len(priors))]
        of_place = [0.0] * len(priors)
        for p, k in enumerate(index):
            if k > -1:
                target = encode(objects[i][k][1], priors[p], variances[p], code)
                of_place[p] = sum(smooth_l1(a - b) for a, b in zip(loc[i][p], target, strict=True))
        positives = [p for p, k in enumerate(index) if k > -1]
        if mining == "MAX_NEGATIVE":
            left = [p for p, k in enumerate(index) if k == -1 and best[p] < neg_overlap and (not may or may[i][p])]
            left.sort(key=lambda p: -of_class[p])
            negatives = left[: int(ratio * len(positives))]
        else:
            worst = sorted(range(len(priors)), key=lambda p: -(of_class[p] + of_place[p]))[:sample]
            positives = [p for p in positives if p in worst]
            negatives = [p for p in worst if index[p] == -1]
        matches += len(positives)
        total += sum(of_place[p] for p in positives) + sum(of_class[p] for p in positives + negatives)
    return total / max(1, matches)


def average_precision(rows, positives):
    """The natural integral of precision over recall, of (score, is right) pairs."""
    right = seen = 0
    found = before = 0.0
    for _, good in sorted(rows, key=lambda r: -r[0]):
        right, seen = right + good, seen + 1
        found += right / seen * (right / positives - before)
        before = right / positives
    return found
