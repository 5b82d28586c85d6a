// The page to draw on: pointer, touch and keys make ink; the network reads it.
"use strict";

// The sheet is a square of this many pixels: a multiple of 28 and of 8.
const SHEET = 280;
// So many steps can be undone.
const MOST_UNDO = 60;
// A screen reader is told the answer when the ink has not changed for so long (ms).
const QUIET = 500;
const ARROWS = {
  ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0],
};

const find = (id) => document.getElementById(id);
const network = readNetwork();
const classes = network.classes;
// One pixel that the network sees covers so many of the sheet.
const CELL = SHEET / network.side;

let ink = new Float64Array(SHEET * SHEET);
let past = [];
let stroke = null;  // the last point of the stroke that is being drawn
let erasing = false;
const cursor = { x: SHEET / 2, y: SHEET / 2, shown: false, held: new Set() };

function readNetwork() {
  const read = JSON.parse(find("network").textContent);
  return { ...read, layers: decodeLayers(read.layers) };
}

// ---- ink ----------------------------------------------------------------------------

// Draw, or erase, a line with round ends and soft edges.
function drawLine(from, to) {
  const radius = Number(find("width").value) / 2;
  const [left, right] = range(from.x, to.x, radius), [top, bottom] = range(from.y, to.y, radius);
  for (let y = top; y <= bottom; y++) {
    for (let x = left; x <= right; x++) {
      const cover = Math.min(1, radius + 0.5 - distance(x + 0.5, y + 0.5, from, to));
      if (cover <= 0) continue;
      const i = y * SHEET + x;
      ink[i] = erasing ? Math.min(ink[i], 1 - cover) : Math.max(ink[i], cover);
    }
  }
}

// The pixels of the sheet that a line may touch, along one axis.
function range(a, b, radius) {
  const first = Math.floor(Math.min(a, b) - radius - 1);
  const last = Math.ceil(Math.max(a, b) + radius + 1);
  return [Math.max(0, first), Math.min(SHEET - 1, last)];
}

// The distance of a point to a line from one point to another.
function distance(x, y, from, to) {
  const dx = to.x - from.x, dy = to.y - from.y, length = dx * dx + dy * dy;
  const along = length ? ((x - from.x) * dx + (y - from.y) * dy) / length : 0;
  const t = Math.min(1, Math.max(0, along));
  return Math.hypot(x - from.x - t * dx, y - from.y - t * dy);
}

// What the network sees of the sheet; null if there is no more than an eraser leaves.
function seen() {
  const sheet = { height: SHEET, width: SHEET, values: ink };
  if (boxAbove(sheet, 0.1) === null) return null;
  if (!find("place").checked) return resized(sheet, network.side, network.side);
  const digit = placeDigit(sheet);
  return network.side === 8 ? reduceTo8x8(digit) : digit;
}

// ---- steps that can be undone ---------------------------------------------------------

function remember() {
  past.push({ ink: ink.slice(), placed: find("place").checked, about: find("about").textContent });
  past = past.slice(-MOST_UNDO);
  find("undo").disabled = false;
}

function undo() {
  if (!past.length) return;
  const before = past.pop();
  ink = before.ink;
  find("place").checked = before.placed;
  find("about").textContent = before.about;
  find("undo").disabled = !past.length;
  stroke = null;
  changed();
}

function clear() {
  remember();
  ink.fill(0);
  find("place").checked = true;
  find("about").textContent = "";
  stroke = null;
  changed();
}

// Put a misread picture of the test set on the sheet, pixel by pixel as it is.
function edit(one) {
  remember();
  const picture = decodePicture(one);
  for (let y = 0; y < SHEET; y++) {
    for (let x = 0; x < SHEET; x++) {
      const i = Math.floor(y / CELL) * network.side + Math.floor(x / CELL);
      ink[y * SHEET + x] = picture.values[i];
    }
  }
  find("place").checked = false;
  find("about").textContent = `Test picture no. ${one.row} is ${one.true} and was read as `
    + `${one.predicted}. Draw or erase on it: what makes it ${one.true}?`;
  stroke = null;
  changed();
  find("sheet").focus({ preventScroll: true });
  find("sheet").scrollIntoView({ block: "nearest" });
}

function decodePicture(one) {
  const bytes = atob(one.picture), picture = newPicture(network.side, network.side);
  picture.values.forEach((_, i) => { picture.values[i] = bytes.charCodeAt(i) / 255; });
  return picture;
}

// ---- what the page shows ----------------------------------------------------------------

let isAsked = false, timer = 0;

// Show a change with the next frame, and say the answer when all is quiet.
function changed() {
  clearTimeout(timer);
  timer = setTimeout(() => { find("said").textContent = find("answer").textContent; }, QUIET);
  if (isAsked) return;
  isAsked = true;
  requestAnimationFrame(() => { isAsked = false; show(); });
}

function show() {
  const picture = seen();
  paint(find("sheet"), { height: SHEET, width: SHEET, values: ink });
  paintCursor();
  paint(find("seen"), picture || newPicture(network.side, network.side));
  showAnswer(picture && probabilities(network, picture));
}

// Write the most probable class and the bars; with null, that there is nothing to read.
function showAnswer(chances) {
  const best = chances ? chances.indexOf(Math.max(...chances)) : -1;
  find("answer").textContent = chances
    ? `Read as ${classes[best]}, ${percent(chances[best])}` : "Nothing drawn yet";
  [...find("chances").tBodies[0].rows].forEach((row, i) => {
    const chance = chances ? chances[i] : 0;
    row.className = i === best ? "best" : "";
    row.cells[1].firstChild.style.width = `${100 * chance}%`;
    row.cells[2].textContent = chances ? percent(chance) : "";
  });
}

function percent(chance) {
  return `${(100 * chance).toFixed(1)}\u00a0%`;
}

// Paint a picture in the colours of the page.
function paint(canvas, picture) {
  const { height, width, values } = picture;
  canvas.height = height;
  canvas.width = width;
  const paper = colour("--paper"), dark = colour("--ink");
  const data = new Uint8ClampedArray(4 * values.length);
  for (let i = 0; i < values.length; i++) {
    for (let c = 0; c < 3; c++) data[4 * i + c] = paper[c] + values[i] * (dark[c] - paper[c]);
    data[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(new ImageData(data, width, height), 0, 0);
}

// A colour of the style sheet, written as #rrggbb.
function colour(name) {
  const text = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  return [1, 3, 5].map((i) => parseInt(text.slice(i, i + 2), 16));
}

// Show where the keyboard's pen is: a ring, and a disc while it draws.
function paintCursor() {
  if (!cursor.shown) return;
  const context = find("sheet").getContext("2d");
  const style = getComputedStyle(document.documentElement);
  context.beginPath();
  context.arc(cursor.x, cursor.y, Number(find("width").value) / 2 + 2, 0, 2 * Math.PI);
  context.strokeStyle = context.fillStyle = style.getPropertyValue("--mark");
  context.lineWidth = 3;
  context.stroke();
  if (stroke) context.fill();
}

// ---- mouse, pen and finger ----------------------------------------------------------------

// Where on the sheet a pointer is.
function pointOf(event) {
  const box = find("sheet").getBoundingClientRect();
  return {
    x: (event.clientX - box.left) * SHEET / box.width,
    y: (event.clientY - box.top) * SHEET / box.height,
  };
}

function drawTo(point) {
  drawLine(stroke, point);
  stroke = point;
  changed();
}

function listenToPointers(sheet) {
  let drawing = null;  // the pointer that draws; a second finger does not
  sheet.addEventListener("pointerdown", (event) => {
    if (drawing !== null || event.button !== 0) return;
    drawing = event.pointerId;
    sheet.setPointerCapture(drawing);
    cursor.shown = false;
    remember();
    stroke = pointOf(event);
    drawTo(stroke);
  });
  sheet.addEventListener("pointermove", (event) => {
    if (event.pointerId !== drawing || !stroke) return;
    // All points since the last frame, where the browser has kept them.
    const all = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
    for (const one of all.length ? all : [event]) drawTo(pointOf(one));
  });
  for (const name of ["pointerup", "pointercancel"]) {
    sheet.addEventListener(name, (event) => {
      if (event.pointerId !== drawing) return;
      drawing = stroke = null;
    });
  }
}

// ---- the keyboard ---------------------------------------------------------------------------

// Arrows move the pen, two at once slantwise; the space bar puts it down and lifts it.
function listenToKeys(sheet) {
  sheet.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in ARROWS) {
      cursor.held.add(event.key);
      moveCursor(event.shiftKey ? 1 : SHEET / SIDE);
    } else if (event.key === " ") {
      if (!event.repeat) putDownOrLift();
    } else if (event.key === "Escape") {
      stroke = null;
    } else if (event.key === "Delete" || event.key === "Backspace") {
      clear();
    } else {
      return;
    }
    event.preventDefault();
    cursor.shown = true;
    changed();
  });
  sheet.addEventListener("keyup", (event) => cursor.held.delete(event.key));
  sheet.addEventListener("blur", () => {
    cursor.held.clear();
    cursor.shown = false;
    stroke = null;
    changed();
  });
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") {
      event.preventDefault();
      undo();
    }
  });
}

function moveCursor(step) {
  const within = (value) => Math.min(SHEET, Math.max(0, value));
  for (const key of cursor.held) {
    cursor.x = within(cursor.x + step * ARROWS[key][0]);
    cursor.y = within(cursor.y + step * ARROWS[key][1]);
  }
  if (stroke) drawTo({ x: cursor.x, y: cursor.y });
}

function putDownOrLift() {
  if (stroke) {
    stroke = null;
  } else {
    remember();
    stroke = { x: cursor.x, y: cursor.y };
    drawTo(stroke);
  }
  find("pen").textContent = stroke ? "Pen down" : "Pen lifted";
}

// ---- the page begins ------------------------------------------------------------------------

// A row for each class: its name, its bar, its probability.
function makeRows() {
  const longest = Math.max(...classes.map((name) => name.length));
  find("chances").style.setProperty("--name", `${Math.min(14, longest) + 1}ch`);
  for (const name of classes) {
    const row = find("chances").tBodies[0].insertRow(), heading = document.createElement("th");
    heading.scope = "row";
    heading.textContent = name;
    row.append(heading);
    row.insertCell().append(document.createElement("div"));
    row.insertCell();
  }
}

// A button for each misread picture.
function makeButtons() {
  for (const one of network.misread) {
    const button = document.createElement("button"), canvas = document.createElement("canvas");
    const said = document.createElement("span");
    button.type = "button";
    said.textContent = `${one.true} read as ${one.predicted}`;
    canvas.setAttribute("aria-hidden", "true");
    button.append(canvas, said);
    button.addEventListener("click", () => edit(one));
    const item = document.createElement("li");
    item.append(button);
    find("misread").append(item);
  }
}

function paintButtons() {
  document.querySelectorAll("#misread canvas").forEach((canvas, i) => {
    paint(canvas, decodePicture(network.misread[i]));
  });
}

function begin() {
  makeRows();
  if (network.misread.length) makeButtons();
  listenToPointers(find("sheet"));
  listenToKeys(find("sheet"));
  find("undo").addEventListener("click", undo);
  find("clear").addEventListener("click", clear);
  find("place").addEventListener("change", changed);
  find("eraser").addEventListener("click", () => {
    erasing = !erasing;
    find("eraser").setAttribute("aria-pressed", erasing);
  });
  const repaint = () => { paintButtons(); show(); };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
  repaint();
}

begin();
