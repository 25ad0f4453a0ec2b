// The card of a feature. Texts are set as text, whatever they say.

const SHADES = 5;
const BINS = 48; // half an octave each, from 2^-12 on

const where = (column, feature) => `#feature=${feature}&sae=${column.name}`;
const link = (column, feature) => make("a", { href: where(column, feature) }, String(feature));

function makeCard(column, found, chosen) {
  const article = document.createDocumentFragment();
  article.append(
    make("h2", {}, `Feature ${found.feature}`),
    make("p", { class: "note" }, `of ${column.name}${column.control ? ", a control" : ""}`),
  );
  if (found.dead) article.append(make("p", { class: "error" }, "It is dead: never active on the held-out tokens."));
  article.append(facts(column, found), graphPart(column, found, chosen));
  if (!found.dead) {
    article.append(examples(found, "top", "Most active"), examples(found, "quantile", "At quantiles of its activation"));
    article.append(histogram(found));
  }
  article.append(meaning(found), similar(column, found));
  return article;
}

function part(title, note, ...children) {
  return make("section", {}, make("h3", {}, title), note ? make("p", { class: "note" }, note) : null, ...children);
}

function facts(column, found) {
  const list = make("dl");
  const add = (name, ...values) => list.append(make("dt", {}, name), make("dd", {}, ...values));
  if (!found.dead) {
    add("active", `on ${percent(found.frequency)} of tokens (${count(found.count)}), mean ${number(found.mean)}, largest ${number(found.largest)}`);
    add("text", found.labels.slice(0, 4).map((of) => `${of.label} ${percent(of.count / found.count)} (lift ${number(of.lift, 2)})`).join(", "));
    add("tokens", make("bdi", {}, found.tokens.slice(0, 8).map((of) => of.text).join(" ")));
    add("bigrams", make("bdi", {}, found.bigrams.slice(0, 6).map((of) => of.text).join(" ")));
  }
  add("graph", `degree ${count(found.degree)}, ${found.live ? "" : "not "}live, community ${found.community < 0 ? "none" : found.community}`);
  add("nearest neuron", found.neuron < 0 ? NOT_DEFINED : `${found.neuron}, correlation ${number(found.neuron_correlation, 2)}`);
  return list;
}

/** The graph around a feature or that of its community, and the neighbours as a table. */
function graphPart(column, found, chosen) {
  const box = make("div", { class: "graph", role: "img", "aria-label": `Graph around feature ${found.feature}; the table below has its edges` });
  const note = make("p", { class: "note" });
  const show = async (whole) => {
    around.setAttribute("aria-pressed", String(!whole));
    community.setAttribute("aria-pressed", String(whole));
    try {
      const graph = whole ? await loadCommunity(column, found.community) : found.graph;
      const all = whole ? column.communities[found.community] : found.degree + 1;
      note.textContent = `${graph.nodes.length} of ${count(all)} features, ${graph.edges.length} edges. Wider: larger weight; dashed: not beyond chance; coloured by community.`;
      await drawGraph(box, column, graph, found.feature, chosen);
    } catch (error) {
      note.textContent = error.message;
    }
  };
  const around = make("button", { type: "button" }, "Around this feature");
  const community = make("button", { type: "button" }, "Its community");
  around.addEventListener("click", () => show(false));
  community.addEventListener("click", () => show(true));
  if (found.community < 0) community.disabled = true;
  const section = part("Neighbours", null);
  if (found.graph.nodes.length < 2) {
    section.append(make("p", {}, "It has no neighbours: no top-k set of a token holds it together with another feature."));
    return section;
  }
  section.append(make("p", {}, around, " ", community), note, box, neighbours(column, found));
  queueMicrotask(() => show(false));
  return section;
}

/** A table; names in `texts` are of columns that hold text, the others numbers, set to the right. */
function table(header, rows, texts = []) {
  const side = (place) => (texts.includes(header[place]) ? { class: "text" } : {});
  const head = make("tr", {}, ...header.map((name, place) => make("th", { scope: "col", ...side(place) }, name)));
  const body = rows.map((row) => make("tr", {}, ...row.map((cell, place) => make("td", side(place), cell))));
  return make("div", { class: "scroll", tabindex: "0" }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...body)));
}

function neighbours(column, { graph }) {
  const rows = graph.edges
    .filter(([a, b]) => a === 0 || b === 0)
    .map(([a, b, weight, tokens, q, lift]) => {
      const other = graph.nodes[a === 0 ? b : a][0];
      const text = make("bdi", {}, column.lines.tokens[other]);
      return [link(column, other), number(weight), count(tokens), chance(q), number(lift), column.lines.contexts[other] || column.lines.label[other], text];
    });
  return table(["feature", "weight", "tokens", "q", "lift", "text", "its tokens"], rows, ["text", "its tokens"]);
}

function examples(found, kind, title) {
  const chosen = found.examples.filter((example) => example.kind === kind);
  const items = chosen.map((example) => {
    const pieces = example.pieces.map((piece, place) => {
      const value = example.activations[place];
      const span = make("span", { class: place === example.place ? "piece peak" : "piece" }, piece);
      if (value > 0) {
        const share = Math.min(SHADES, 1 + Math.floor((SHADES * value) / found.largest)) / SHADES;
        span.style.background = `color-mix(in srgb, var(--shade) ${Math.round(75 * share)}%, transparent)`;
        span.title = number(value);
      }
      return span;
    });
    return make("li", {}, make("span", { class: "activation" }, number(example.activation)), make("bdi", {}, ...pieces));
  });
  return items.length ? part(title, null, make("ul", { class: "examples" }, ...items)) : "";
}

/** Bars of the activations above zero, on a logarithmic axis, cut to the bins that hold any. */
function histogram(found) {
  const used = found.histogram.map((value, bin) => (value ? bin : -1)).filter((bin) => bin >= 0);
  const first = Math.max(0, used[0] - 1);
  const last = Math.min(BINS - 1, used[used.length - 1] + 1);
  const most = Math.max(...found.histogram);
  const width = 480 / (last - first + 1);
  const draw = (name, attributes, text = "") => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.textContent = text;
    return element;
  };
  const picture = draw("svg", { class: "histogram", viewBox: "0 0 480 110", role: "img", "aria-label": "Histogram of its activations" });
  for (let bin = first; bin <= last; bin++) {
    const height = (85 * found.histogram[bin]) / most;
    const bar = draw("rect", { x: (bin - first) * width + 0.5, y: 88 - height, width: Math.max(0.5, width - 1), height });
    bar.append(draw("title", {}, `${count(found.histogram[bin])} tokens from ${number(2 ** (bin / 2 - 12), 2)} on`));
    picture.append(bar);
  }
  picture.append(draw("line", { x1: 0, x2: 480, y1: 88.5, y2: 88.5 }));
  for (let bin = first; bin <= last; bin += Math.max(1, Math.ceil((last - first) / 6)))
    picture.append(draw("text", { x: (bin - first) * width, y: 104 }, number(2 ** (bin / 2 - 12), 2)));
  return part("Activations", "Tokens by activation, above zero; logarithmic", picture);
}

const word = (text, value) =>
  make("span", { class: "word" }, make("bdi", {}, text), " ", make("span", { class: "muted" }, number(value, 2)));

function meaning(found) {
  const box = make("div", { class: "halves" });
  if (found.contexts.length)
    box.append(part("Contexts that it detects best, or nearly", "Held-out tokens", table(["context", "rank", "F1", "95%", "precision", "sensitivity", "specificity"], found.contexts.map((of) => [of.context, of.rank + 1, number(of.f1, 2), `${number(of.f1_low, 2)} to ${number(of.f1_high, 2)}`, number(of.precision, 2), number(of.sensitivity, 2), number(of.specificity, 3)]))));
  if (found.lens) {
    const words = (end) => make("div", {}, ...found.lens[end].map((of) => word(of.text, of.logit)));
    box.append(part("Logit lens", `Kurtosis ${number(found.lens.kurtosis)}; p ${chance(found.lens.p_kurtosis)} among random directions`, make("dl", {}, make("dt", {}, "more likely"), make("dd", {}, words("top")), make("dt", {}, "less likely"), make("dd", {}, words("bottom")))));
  }
  if (found.explanation) {
    const { correlation, correlation_shuffled: shuffled, carried_by: by } = found.explanation;
    const rules = found.rules.map((of) => word(of.text, of.mean));
    box.append(part("What a rule says of it", `Correlation of the rule's prediction with its activations, held out: ${number(correlation, 2)}; another feature's rule: ${number(shuffled, 2)}; carried by ${by || "nothing"}`, make("div", {}, ...rules)));
  }
  if (found.effects) {
    const { effects } = found;
    const row = (name, kind) => [name, number(effects[kind], 2), number(effects[kind.replace("_", "_random_")], 2)];
    box.append(part("Effects", `On ${count(effects.tokens)} tokens of ${count(effects.contexts)} contexts where it is active`, table(["", "this feature", "a random direction"], [row("KL divergence, ablated", "ablation_kl"), row("cross-entropy, ablated", "ablation_cross_entropy"), row("KL divergence, added", "addition_kl")])));
  }
  if (found.steering.length)
    box.append(part("Steering", "Texts judged to be of the label, with the feature clamped", table(["label", "texts", "clamped", "random direction", "unsteered"], found.steering.map((of) => [of.label, of.samples, percent(of.steered_share_samples), percent(of.random_share_samples), percent(of.unsteered_share_samples)]))));
  return box;
}

function similar(column, found) {
  const rows = found.similar.map((of) => [link(column, of.feature), number(of.cosine, 2), column.lines.contexts[of.feature] || column.lines.label[of.feature], make("bdi", {}, column.lines.tokens[of.feature])]);
  return rows.length ? part("Most similar features", "By the cosine of decoder rows", table(["feature", "cosine", "text", "its tokens"], rows, ["text", "its tokens"])) : "";
}
