// The page's state is its address: #feature=<number>&sae=<model>/<dictionary>.

const at = (id) => document.getElementById(id);
const card = at("card");
const list = new List(at("list"), at("rows"), (feature, byKey) => go(list.column, feature, byKey));
let asked = 0; // the latest card that was asked for

function go(column, feature, replace) {
  const address = where(column, feature);
  if (replace) history.replaceState(null, "", address);
  else if (location.hash !== address) history.pushState(null, "", address);
  follow();
}

/** Show what the address says. */
async function follow() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  const named = INDEX.columns.find((column) => column.name === wanted.get("sae"));
  const column = named ?? INDEX.columns[INDEX.start];
  if (list.column !== column) open(column);
  const feature = Number(wanted.get("feature") ?? NaN);
  if (wanted.has("sae") && !named) return say(`This study has no dictionary ${wanted.get("sae")}.`);
  if (!wanted.has("feature")) return say("Choose a feature from the list.");
  if (!Number.isInteger(feature) || feature < 0 || feature >= column.features)
    return say(`${column.name} has features 0 to ${column.features - 1}; the address names ${wanted.get("feature")}.`);
  list.select(feature);
  await show(column, feature);
}

async function show(column, feature) {
  const turn = ++asked;
  try {
    const found = await loadFeature(column, feature);
    if (turn !== asked) return; // another feature has been asked for since
    card.replaceChildren(makeCard(column, found, (other) => go(column, other, false)));
    card.scrollTop = 0;
  } catch (error) {
    if (turn === asked) say(error.message, "error");
  }
}

function say(text, kind = "muted") {
  asked++;
  list.select(-1);
  card.replaceChildren(make("p", { class: kind }, text));
}

/** Show the list of a dictionary. */
function open(column) {
  list.open(column);
  at("column").value = column.name;
  const labels = [...new Set(column.lines.label)].filter(Boolean).sort();
  fill(at("label"), [["", "any"], ...labels.map((label) => [label, label])]);
  fill(at("community"), [["", "any"], ...column.communities.map((size, place) => [place, `${place} (${count(size)} features)`])]);
  filter();
}

function fill(select, options) {
  select.replaceChildren(...options.map(([value, text]) => make("option", { value }, text)));
}

function filter() {
  const share = (id, otherwise) => (at(id).value === "" ? otherwise : Number(at(id).value) / 100);
  const value = Object.fromEntries(["query", "state", "label", "community", "sort"].map((id) => [id, at(id).value]));
  list.filter({ ...value, least: share("least", 0), most: share("most", 1) });
  at("found").textContent = `${count(list.shown.length)} of ${count(list.column.features)} features`;
}

fill(at("column"), INDEX.columns.map(({ name, control }) => [name, control ? `${name} (control)` : name]));
fill(at("sort"), Object.entries(SORTS).map(([value, [text]]) => [value, text]));
at("column").addEventListener("change", (event) => {
  history.pushState(null, "", `#sae=${event.target.value}`);
  follow();
});
at("filters").addEventListener("input", filter);
at("filters").addEventListener("submit", (event) => {
  event.preventDefault();
  if (list.shown.length) go(list.column, list.shown[0], false);
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.matches("input, select")) return;
  event.preventDefault();
  at("query").focus();
});
at("query").addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown") at("list").focus();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", follow); // graphs are drawn in the page's colours
window.addEventListener("popstate", follow); // which a followed link fires too
follow();
