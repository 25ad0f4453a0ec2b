// The index that the page holds, and data beside the page, loaded as scripts since a page opened from disk may not read files.

const INDEX = JSON.parse(document.getElementById("index").textContent);
const KEPT = 64; // files in memory

const files = new Map(); // key -> promise of its value, the least recently used first
const waiting = new Map(); // key -> what to do with its value

window.explorer = Object.freeze({
  receive(key, value) {
    const resolve = waiting.get(key);
    if (resolve) resolve(value);
  },
});

/** The value of a file beside the page; rejects with a sentence where it cannot be loaded. */
function load(key) {
  const found = files.get(key);
  if (found) {
    files.delete(key);
    files.set(key, found);
    return found;
  }
  const path = `explorer/${key}.js`;
  const promise = new Promise((resolve, reject) => {
    const script = document.createElement("script");
    const done = (settle) => (value) => {
      waiting.delete(key);
      script.remove();
      settle(value);
    };
    waiting.set(key, done(resolve));
    // A script that has run and brought nothing for this key is of another study.
    script.onload = () => waiting.has(key) && done(reject)(new Error(`${path} beside this page holds other data.`));
    script.onerror = () => done(reject)(new Error(`${path} cannot be loaded: it belongs beside this page.`));
    script.src = path;
    document.head.append(script);
  });
  promise.catch(() => files.delete(key));
  files.set(key, promise);
  if (files.size > KEPT) files.delete(files.keys().next().value);
  return promise;
}

const padded = (number) => String(number).padStart(5, "0");

/** What is shown of a feature. */
async function loadFeature(column, feature) {
  const number = Math.floor(feature / column.per_file);
  const records = await load(`${column.name}/features-${padded(number)}`);
  return records[feature - number * column.per_file];
}

/** The graph of a community. */
const loadCommunity = (column, community) => load(`${column.name}/community-${padded(community)}`);
