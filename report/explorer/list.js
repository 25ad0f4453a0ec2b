// The list of features: searched, filtered, sorted; only the rows in sight are in the page.

const ROW = 46; // pixels, as in the style sheet
const SORTS = {
  feature: ["number", 1],
  frequency: ["frequency", -1],
  largest: ["largest activation", -1],
  degree: ["degree", -1],
  kurtosis: ["kurtosis of the logit lens", -1],
  predicted: ["how well a rule predicts it", -1],
};

class List {
  /** @param {(feature: number, byKey: boolean) => void} chosen called when a row is chosen */
  constructor(box, rows, chosen) {
    Object.assign(this, { box, rows, chosen, shown: [], selected: -1 });
    box.addEventListener("scroll", () => this.draw(), { passive: true });
    box.addEventListener("keydown", (event) => this.key(event));
    rows.addEventListener("click", (event) => {
      const row = event.target.closest(".row");
      if (row) this.chosen(Number(row.dataset.feature), false);
    });
    new ResizeObserver(() => this.draw()).observe(box);
  }

  open(column) {
    this.column = column;
    const { lines } = column;
    this.text = Array.from({ length: column.features }, (_, feature) =>
      `${feature}\n${lines.tokens[feature]}\n${lines.label[feature]}\n${lines.contexts[feature]}`.toLowerCase(),
    );
  }

  /** Show what matches: words that must all be found, a state, a label, a community, bounds of the frequency, an order. */
  filter({ query, state, label, community, least, most, sort }) {
    const words = query.toLowerCase().split(/\s+/).filter(Boolean);
    const { lines, features } = this.column;
    const number = words.length === 1 && /^#?\d+$/.test(words[0]) ? Number(words[0].replace("#", "")) : -1;
    const shown = [];
    for (let feature = 0; feature < features; feature++) {
      if (state !== "all" && lines.live[feature] !== (state === "live")) continue;
      if (label && lines.label[feature] !== label) continue;
      if (community !== "" && lines.community[feature] !== Number(community)) continue;
      if (lines.frequency[feature] < least || lines.frequency[feature] > most) continue;
      if (feature !== number && !words.every((word) => this.text[feature].includes(word))) continue;
      shown.push(feature);
    }
    const [, way] = SORTS[sort];
    const values = sort === "feature" ? null : lines[sort];
    // What is not defined comes last, equals in the order of their numbers.
    if (values) shown.sort((a, b) => compare(values[a], values[b], way) || a - b);
    if (number >= 0 && shown.includes(number)) shown.unshift(...shown.splice(shown.indexOf(number), 1));
    this.shown = shown;
    this.rows.style.height = `${shown.length * ROW}px`;
    this.box.scrollTop = 0;
    this.draw();
  }

  select(feature) {
    this.selected = feature;
    const place = this.shown.indexOf(feature);
    if (place >= 0) {
      const { scrollTop, clientHeight } = this.box;
      if (place * ROW < scrollTop) this.box.scrollTop = place * ROW;
      else if ((place + 1) * ROW > scrollTop + clientHeight) this.box.scrollTop = (place + 1) * ROW - clientHeight;
    }
    this.draw();
  }

  key(event) {
    const page = Math.max(1, Math.floor(this.box.clientHeight / ROW) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    const step = steps[event.key];
    if (step === undefined || !this.shown.length) return;
    event.preventDefault();
    const place = this.shown.indexOf(this.selected);
    const next = Math.min(this.shown.length - 1, Math.max(0, place < 0 ? 0 : place + step));
    this.chosen(this.shown[next], true);
  }

  draw() {
    if (!this.column) return;
    const first = Math.max(0, Math.floor(this.box.scrollTop / ROW) - 4);
    const last = Math.min(this.shown.length, Math.ceil((this.box.scrollTop + this.box.clientHeight) / ROW) + 4);
    this.rows.replaceChildren(...this.shown.slice(first, last).map((feature, place) => this.row(feature, first + place)));
    if (this.shown.includes(this.selected)) this.box.setAttribute("aria-activedescendant", `row-${this.selected}`);
    else this.box.removeAttribute("aria-activedescendant");
  }

  row(feature, place) {
    const { lines } = this.column;
    const dead = lines.count[feature] === 0;
    const row = make(
      "div",
      { class: "row", role: "option", id: `row-${feature}`, "data-feature": feature },
      make("span", { class: "number" }, String(feature)),
      make("span", { class: "label" }, dead ? "dead" : lines.contexts[feature] || lines.label[feature]),
      make("span", { class: "value" }, dead ? "" : percent(lines.frequency[feature])),
      make("bdi", { class: "tokens" }, lines.tokens[feature]),
    );
    row.style.top = `${place * ROW}px`;
    row.setAttribute("aria-selected", String(feature === this.selected));
    row.setAttribute("aria-setsize", this.shown.length);
    row.setAttribute("aria-posinset", place + 1);
    return row;
  }
}

function compare(a, b, way) {
  if (a === null || b === null) return (a === null) - (b === null);
  return way * (a - b);
}

/** An element; children are elements or texts, and texts are never markup. */
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children.filter((child) => child !== null));
  return element;
}

const NOT_DEFINED = "not defined";

/** A number with some significant digits. */
function number(value, digits = 3) {
  if (value === null || value === undefined) return NOT_DEFINED;
  const size = Math.abs(value);
  if (value !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(digits - 1).replace("e", " e");
  return Number(value.toPrecision(digits)).toLocaleString("en", { maximumFractionDigits: 6 });
}

/** A probability or a rate of false discoveries; what is smaller than numbers can be is not nothing. */
const chance = (value) => (value === 0 ? "< 1 e-300" : number(value, 2));
const count = (value) => value.toLocaleString("en");
const percent = (value) => (value === null ? NOT_DEFINED : `${number(100 * value, 2)} %`);
