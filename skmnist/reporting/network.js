// From ink on a page to the probabilities of the classes. The functions do what those of
// Python do: placeDigit what `place_digit` does (preprocessing/_digit.py), forward what
// `forward` does (neural_network/_inference.py). A test compares them.
//
// A picture is an object { height, width, values }: ink from 0 to 1, row by row.
"use strict";

// As in MNIST: the digit fits a square of 20 pixels within one of 28.
const SIDE = 28, BOX = 20;
// Mean widths of strokes in pixels: those finer than the first get the second.
const FINEST = 1.5, FINE = 1.8;

// ---- pictures ---------------------------------------------------------------------

function newPicture(height, width) {
  return { height, width, values: new Float64Array(height * width) };
}

// Cut out a part; what lies beyond the picture is 0. So it makes a margin, too.
function cutOut(picture, top, left, height, width) {
  const part = newPicture(height, width);
  for (let y = Math.max(0, -top); y < Math.min(height, picture.height - top); y++) {
    for (let x = Math.max(0, -left); x < Math.min(width, picture.width - left); x++) {
      part.values[y * width + x] = picture.values[(y + top) * picture.width + x + left];
    }
  }
  return part;
}

function withMargin(picture, margin) {
  const { height, width } = picture;
  return cutOut(picture, -margin, -margin, height + 2 * margin, width + 2 * margin);
}

// The box around all values above a limit; null if there are none.
function boxAbove({ height, width, values }, limit) {
  let top = height, left = width, bottom = -1, right = -1;
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (values[i] <= limit) continue;
      if (top > y) top = y;
      bottom = y;
      if (left > x) left = x;
      if (right < x) right = x;
    }
  }
  if (bottom < 0) return null;
  return { top, left, height: bottom - top + 1, width: right - left + 1 };
}

function cropAbove(picture, limit) {
  const box = boxAbove(picture, limit);
  return cutOut(picture, box.top, box.left, box.height, box.width);
}

// Scale a picture: each new pixel is the mean of the area that it covers.
function resized(picture, height, width) {
  const rows = overlaps(picture.height, height), columns = overlaps(picture.width, width);
  const between = newPicture(height, picture.width), result = newPicture(height, width);
  rows.forEach((parts, y) => {
    for (const [old, share] of parts) {
      for (let x = 0; x < picture.width; x++) {
        between.values[y * picture.width + x] += share * picture.values[old * picture.width + x];
      }
    }
  });
  columns.forEach((parts, x) => {
    for (const [old, share] of parts) {
      for (let y = 0; y < height; y++) {
        result.values[y * width + x] += share * between.values[y * picture.width + old];
      }
    }
  });
  return result;
}

// For each of nNew pixels: which old ones it covers, and their shares in its mean.
function overlaps(nOld, nNew) {
  const scale = nOld / nNew;
  return Array.from({ length: nNew }, (_, i) => {
    const first = i * scale, last = (i + 1) * scale, parts = [];
    for (let old = Math.floor(first); old < Math.min(nOld, last); old++) {
      const shared = Math.min(last, old + 1) - Math.max(first, old);
      if (shared > 0) parts.push([old, shared / scale]);
    }
    return parts;
  });
}

// ---- a digit in the form of MNIST ---------------------------------------------------

// Scale a digit to fit a square of 20, and put its centre of mass in the middle of a
// square of 28; all of the picture is the digit. Null for a picture without ink.
function placeDigit(picture) {
  if (boxAbove(picture, 0) === null) return null;
  return placed(fitted(inkOf(picture)));
}

// The threshold between ink and paper that makes the two most distinct classes (Otsu).
function otsuThreshold(values) {
  const nBins = 256, counts = new Float64Array(nBins);
  let lowest = Infinity, highest = -Infinity;
  for (const value of values) {
    if (value < lowest) lowest = value;
    if (value > highest) highest = value;
  }
  if (lowest === highest) return lowest - 1;  // all is ink
  const step = (highest - lowest) / nBins;
  for (const value of values) {
    counts[Math.min(nBins - 1, Math.floor((value - lowest) / step))] += 1;
  }
  const centre = (bin) => lowest + (bin + 0.5) * step;
  const total = counts.reduce((sum, n, bin) => sum + n * centre(bin), 0);
  const between = [];
  for (let bin = 0, below = 0, sum = 0; bin < nBins - 1; bin++) {
    below += counts[bin]; sum += counts[bin] * centre(bin);
    const above = values.length - below;
    const apart = sum / below - (total - sum) / above;
    between.push(below * above * apart ** 2);
  }
  // The mean of the edges, if several are equally good.
  const best = Math.max(...between) * (1 - 1e-12);
  const edges = between.flatMap((value, bin) => value >= best ? [lowest + (bin + 1) * step] : []);
  return edges.reduce((sum, edge) => sum + edge, 0) / edges.length;
}

// Cut out the ink, from 0 to 1, with its soft edges.
function inkOf(picture) {
  const threshold = otsuThreshold(picture.values);
  const ink = cropAbove(picture, 0);
  const mask = { ...ink, values: ink.values.map((value) => value > threshold ? 1 : 0) };
  const top = quantile(ink.values.filter((value) => value > threshold), 0.75);
  const far = Math.max(1, 0.05 * extent(mask)) ** 2;
  const outside = squaredDistances(mask, 1);
  ink.values.forEach((value, i) => {
    const relative = Math.min(1, value / top);
    ink.values[i] = outside[i] > far || relative < 0.1 ? 0 : relative;
  });
  return cropAbove(withUsualStrokes(ink, mask), 0.3);
}

// Make strokes wider if they are finer than those of MNIST.
function withUsualStrokes(ink, mask) {
  const pixel = extent(mask) / BOX;
  const around = withMargin(mask, 1), inside = squaredDistances(around, 0);
  let sum = 0, n = 0;
  around.values.forEach((isInk, i) => {
    if (isInk) { sum += Math.sqrt(inside[i]); n += 1; }
  });
  // In a bar of width w the mean distance to the edge is w / 4.
  const width = 4 * sum / n / pixel;
  if (width >= FINEST) return ink;
  const by = (FINE - width) / 2 * pixel, room = Math.floor(by) + 1;
  const outside = squaredDistances(withMargin(mask, room), 1);
  const wider = withMargin(ink, room);
  wider.values.forEach((value, i) => {
    const soft = Math.min(1, Math.max(0, 1 + by - Math.sqrt(outside[i])));
    wider.values[i] = Math.max(value, soft);
  });
  return wider;
}

function fitted(ink) {
  const scale = BOX / Math.max(ink.height, ink.width);
  const scaled = (n) => Math.max(1, roundHalfEven(n * scale));
  return resized(ink, scaled(ink.height), scaled(ink.width));
}

function placed(small) {
  let total = 0, down = 0, across = 0;
  small.values.forEach((value, i) => {
    total += value;
    down += value * (Math.floor(i / small.width) + 0.5);
    across += value * (i % small.width + 0.5);
  });
  // In MNIST the centre lies in the pixel below and to the right of the middle. The tiny
  // number is for rounding errors: they must not move a symmetrical digit.
  const corner = (mean, room) => Math.min(room, Math.max(0, Math.ceil(SIDE / 2 - mean - 1e-5)));
  const top = corner(down / total, SIDE - small.height);
  const left = corner(across / total, SIDE - small.width);
  const digit = cutOut(small, -top, -left, SIDE, SIDE);
  digit.values = digit.values.map((value) => Math.min(1, value));
  return digit;
}

// Reduce a digit of 28 x 28 to the 8 x 8 pixels of scikit-learn's digits.
function reduceTo8x8(digit) {
  const box = boxAbove(digit, 0);
  const start = (first, n) => {
    const middle = Math.floor((2 * first + n - BOX) / 2);
    return Math.min(SIDE - BOX, Math.max(0, middle));
  };
  const square = cutOut(digit, start(box.top, box.height), start(box.left, box.width), BOX, BOX);
  return resized(square, 8, 8);
}

function extent(mask) {
  const box = boxAbove(mask, 0);
  return Math.max(box.height, box.width);
}

function quantile(values, part) {
  const sorted = Float64Array.from(values).sort();
  const place = part * (sorted.length - 1), i = Math.floor(place);
  const next = sorted[Math.min(i + 1, sorted.length - 1)];
  return sorted[i] + (place - i) * (next - sorted[i]);
}

// Round to the nearest whole number; a half to the even one, as Python does.
function roundHalfEven(number) {
  const down = Math.floor(number);
  if (number - down !== 0.5) return Math.round(number);
  return down % 2 ? down + 1 : down;
}

// The squared distance of each pixel to the nearest one of a kind, 0 or 1, of a mask
// (Felzenszwalb and Huttenlocher, "Distance transforms of sampled functions", 2012).
function squaredDistances(mask, kind) {
  const { height, width } = mask;
  const far = (height + width) ** 2;
  const distances = Float64Array.from(mask.values, (value) => value === kind ? 0 : far);
  for (let x = 0; x < width; x++) transformLine(distances, x, width, height);
  for (let y = 0; y < height; y++) transformLine(distances, y * width, 1, width);
  return distances;
}

// Replace each of n values by the lowest of the parabolas that stand on all of them.
function transformLine(values, start, step, n) {
  // The parabolas that are lowest somewhere, and from where on each one is.
  const line = new Float64Array(n), lowest = new Int32Array(n), from = new Float64Array(n);
  for (let i = 0; i < n; i++) line[i] = values[start + i * step];
  const meeting = (p, q) => (line[q] + q * q - line[p] - p * p) / (2 * (q - p));
  let last = 0;
  from[0] = -Infinity;
  for (let q = 1; q < n; q++) {
    let border = meeting(lowest[last], q);
    while (border <= from[last]) {
      last -= 1;
      border = meeting(lowest[last], q);
    }
    last += 1;
    lowest[last] = q;
    from[last] = border;
  }
  for (let i = 0, k = 0; i < n; i++) {
    while (k < last && from[k + 1] < i) k += 1;
    values[start + i * step] = (i - lowest[k]) ** 2 + line[lowest[k]];
  }
}

// ---- the network --------------------------------------------------------------------

// Each changes an array of a layer's sums in place. The names are those of Keras.
const ACTIVATIONS = {
  elu: onEach((z) => z > 0 ? z : Math.expm1(z)),
  exponential: onEach(Math.exp),
  gelu: onEach((z) => z / 2 * (1 + erf(z / Math.SQRT2))),
  hard_sigmoid: onEach((z) => Math.min(1, Math.max(0, z / 6 + 0.5))),
  leaky_relu: onEach((z) => z > 0 ? z : 0.2 * z),
  linear: onEach((z) => z),
  mish: onEach((z) => z * Math.tanh(softplus(z))),
  relu: onEach((z) => Math.max(0, z)),
  relu6: onEach((z) => Math.min(6, Math.max(0, z))),
  selu: onEach((z) => 1.0507009873554805 * (z > 0 ? z : 1.6732632423543772 * Math.expm1(z))),
  sigmoid: onEach(sigmoid),
  silu: onEach((z) => z * sigmoid(z)),
  softmax,
  softplus: onEach(softplus),
  softsign: onEach((z) => z / (1 + Math.abs(z))),
  tanh: onEach(Math.tanh),
};

function onEach(f) {
  return (sums) => sums.forEach((z, i) => { sums[i] = f(z); });
}

function sigmoid(z) {
  return 1 / (1 + Math.exp(-z));
}

function softplus(z) {
  return Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)));
}

// The error function, to 2e-7 (Abramowitz and Stegun, 7.1.26).
function erf(x) {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const powers = [0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429];
  const sum = powers.reduceRight((rest, factor) => (rest + factor) * t, 0);
  return Math.sign(x) * (1 - sum * Math.exp(-x * x));
}

function softmax(sums) {
  const highest = sums.reduce((a, b) => Math.max(a, b), -Infinity);
  let total = 0;
  sums.forEach((z, i) => { total += sums[i] = Math.exp(z - highest); });
  sums.forEach((z, i) => { sums[i] /= total; });
}

// Numbers that Python has written as base64: the upper three bytes of each float32.
function decodeNumbers(text) {
  const bytes = atob(text), n = bytes.length / 3;
  const bits = new Uint32Array(n);
  for (let i = 0; i < n; i++) {
    bits[i] = bytes.charCodeAt(3 * i) << 8 | bytes.charCodeAt(3 * i + 1) << 16
      | bytes.charCodeAt(3 * i + 2) << 24;
  }
  return new Float32Array(bits.buffer);
}

function decodeLayers(layers) {
  return layers.map(({ activation, weights, biases }) => (
    { activation, weights: decodeNumbers(weights), biases: decodeNumbers(biases) }
  ));
}

// The outputs of the last layer: activation(inputs @ weights + biases), layer by layer.
function forward(layers, inputs) {
  return layers.reduce((outputs, { activation, weights, biases }) => {
    const sums = Float64Array.from(biases), n = sums.length;
    outputs.forEach((output, i) => {
      if (output === 0) return;  // most of a picture is paper
      for (let j = 0; j < n; j++) sums[j] += output * weights[i * n + j];
    });
    ACTIVATIONS[activation](sums);
    return sums;
  }, inputs);
}

// The probability of each class for what the network sees: a picture of its own size,
// with ink from 0 to 1, which stands for pixels from `paper` to `ink`.
function probabilities(network, seen) {
  const { paper, ink } = network;
  const outputs = forward(network.layers, seen.values.map((v) => paper + v * (ink - paper)));
  // Two classes have one output: the probability of the second.
  return outputs.length === 1 ? [1 - outputs[0], outputs[0]] : [...outputs];
}
