// Graphs, drawn by BokehJS: edges by weight, dashed where they are not beyond chance; nodes by community.

// Okabe and Ito's colours, for the communities on view, the largest first; the others share the last one.
const COLOURS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442"];
const OTHER = "#8c959f";

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

let drawn = null; // the view on the page

/** Draw nodes and edges into an element. `chosen` is called with the number of a feature that is clicked. */
async function drawGraph(element, column, graph, focus, chosen) {
  if (drawn) drawn.remove();
  drawn = null;
  const plot = frame();
  const edges = plot.segment({ field: "x0" }, { field: "y0" }, { field: "x1" }, { field: "y1" }, edgeGlyph(graph));
  const nodes = plot.scatter({ field: "x" }, { field: "y" }, nodeGlyph(column, graph, focus));
  plot.text({ field: "x" }, { field: "y" }, { field: "name" }, {
    source: nodes.data_source, text_color: colour("--ink"), text_font_size: "11px", text_align: "center",
    text_baseline: "bottom", y_offset: { field: "above" },
  });
  const tips = (renderers, tooltips) => new Bokeh.HoverTool({ renderers, tooltips, attachment: "above" });
  plot.add_tools(
    tips([edges], [["edge", "@pair"], ["weight", "@weight"], ["tokens", "@count"], ["q", "@q"], ["lift", "@lift"]]),
    tips([nodes], [["feature", "@name"], ["", "@tokens"], ["text", "@label"], ["active on", "@frequency"], ["degree", "@degree"]]),
    new Bokeh.TapTool({ renderers: [nodes] }),
  );
  const selected = nodes.data_source.selected;
  selected.properties.indices.change.connect(() => {
    const [place] = selected.indices;
    if (place !== undefined && graph.nodes[place][0] !== focus) chosen(graph.nodes[place][0]);
  });
  element.replaceChildren();
  const view = await Bokeh.Plotting.show(plot, element);
  // A graph that was asked for later may be there already.
  if (element.isConnected) drawn = view;
  else view.remove();
}

function frame() {
  const plot = new Bokeh.Plotting.figure({
    x_range: [-1.1, 1.1], y_range: [-1.15, 1.2], sizing_mode: "stretch_both", tools: "pan,wheel_zoom,reset,save",
    background_fill_color: colour("--page"), border_fill_color: colour("--page"), outline_line_color: null,
    min_border: 4,
  });
  for (const axis of [plot.xaxis, plot.yaxis]) axis.visible = false;
  for (const grid of [plot.xgrid, plot.ygrid]) grid.visible = false;
  plot.toolbar.logo = null;
  plot.toolbar.active_scroll = null; // the page scrolls
  return plot;
}

function edgeGlyph({ nodes, edges }) {
  const from = edges.map((edge) => nodes[edge[0]]);
  const to = edges.map((edge) => nodes[edge[1]]);
  const largest = Math.max(1e-9, ...edges.map((edge) => edge[2]));
  const source = new Bokeh.ColumnDataSource({
    data: {
      x0: from.map((node) => node[1]), y0: from.map((node) => node[2]),
      x1: to.map((node) => node[1]), y1: to.map((node) => node[2]),
      width: edges.map((edge) => 0.5 + (4 * edge[2]) / largest),
      dash: edges.map((edge) => (edge[6] ? [] : [3, 3])),
      alpha: edges.map((edge) => (edge[6] ? 0.75 : 0.4)),
      pair: edges.map((_, place) => `${from[place][0]} and ${to[place][0]}`),
      weight: edges.map((edge) => number(edge[2])), count: edges.map((edge) => count(edge[3])),
      q: edges.map((edge) => chance(edge[4])), lift: edges.map((edge) => number(edge[5])),
    },
  });
  const line = { line_width: { field: "width" }, line_dash: { field: "dash" }, line_alpha: { field: "alpha" } };
  return { source, line_color: colour("--edge"), ...line };
}

function nodeGlyph({ lines, communities }, { nodes }, focus) {
  const features = nodes.map((node) => node[0]);
  const of = features.map((feature) => lines.community[feature]);
  const order = [...new Set(of.filter((community) => community >= 0))].sort((a, b) => communities[b] - communities[a] || a - b);
  const fill = of.map((community) => COLOURS[order.indexOf(community)] ?? OTHER);
  const source = new Bokeh.ColumnDataSource({
    data: {
      x: nodes.map((node) => node[1]), y: nodes.map((node) => node[2]), fill,
      size: features.map((feature) => (feature === focus ? 18 : 11)),
      above: features.map((feature) => (feature === focus ? -11 : -7)),
      line: features.map((feature) => (feature === focus ? colour("--ink") : colour("--page"))),
      name: features.map(String), label: features.map((feature) => lines.contexts[feature] || lines.label[feature]),
      tokens: features.map((feature) => lines.tokens[feature]), degree: features.map((feature) => count(lines.degree[feature])),
      frequency: features.map((feature) => percent(lines.frequency[feature])),
    },
  });
  const look = { fill_color: { field: "fill" }, line_color: { field: "line" }, line_width: 2, size: { field: "size" } };
  return { source, ...look, nonselection_fill_alpha: 1, nonselection_line_alpha: 1 };
}
