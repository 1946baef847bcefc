"use strict";
const narrow = window.matchMedia("(max-width: 760px)").matches;
const read = id => { const node = document.getElementById(id); return node && JSON.parse(node.textContent); };
const draw = (name, config) => {
  const figure = read("data-" + name);
  if (figure) Object.assign(figure.layout, { showlegend: false, margin: { l: 12, r: 12, t: 12, b: 12 } });
  if (figure) Plotly.newPlot("plot-" + name, figure.data, figure.layout, { responsive: true, displaylogo: false, ...config });
  return figure;
};
const charts = read("data-charts") || {};
for (const node of document.querySelectorAll(".plot.late")) {
  const { data, layout } = charts[node.id], fold = node.closest("details");
  Object.assign(layout, { showlegend: false, margin: { l: 8, r: 8, t: 10, b: 8 } });
  const paint = () => Plotly.newPlot(node, data, layout, { responsive: true, displayModeBar: false });
  if (fold && !fold.open) fold.addEventListener("toggle", paint, { once: true }); else paint();
}
