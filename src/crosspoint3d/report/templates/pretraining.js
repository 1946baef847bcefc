draw("losses", { displayModeBar: false });
draw("rate", { displayModeBar: false });
const figure = draw("map", { displayModeBar: narrow ? false : "hover",
  modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]] });
if (figure) {
  const plot = document.getElementById("plot-map"), tip = document.getElementById("tip"), shapes = read("data-shapes");
  const [picture, title, detail] = tip.children;
  picture.style.cssText += `width:${shapes.tile}px;height:${shapes.tile}px;background-image:url(${shapes.sheet})`;
  plot.on("plotly_hover", event => {
    const row = event.points[0].customdata, [id, category] = shapes.names[row];
    picture.style.backgroundPosition = `-${row % shapes.columns * shapes.tile}px -${Math.floor(row / shapes.columns) * shapes.tile}px`;
    title.textContent = category || id;
    detail.textContent = category ? id : "";
    tip.style.display = "block";
    const { clientX: x, clientY: y } = event.event, width = tip.offsetWidth, height = tip.offsetHeight;
    tip.style.left = Math.max(4, x + 14 + width > window.innerWidth ? x - width - 14 : x + 14) + "px";
    tip.style.top = Math.max(4, y + 14 + height > window.innerHeight ? y - height - 14 : y + 14) + "px";
  });
  plot.on("plotly_unhover", () => { tip.style.display = "none"; });
  const buttons = [...document.querySelectorAll(".legend button")];
  buttons.forEach(button => button.addEventListener("click", () => {
    const picked = button.getAttribute("aria-pressed") !== "true";
    buttons.forEach(other => other.setAttribute("aria-pressed", String(picked && other === button)));
    const named = figure.data.some(trace => trace.name === button.dataset.name);
    Plotly.restyle(plot, { "marker.opacity": figure.data.map(trace =>
      !picked || trace.name === button.dataset.name || (!named && trace.name === "") ? 0.9 : 0.08) });
  }));
}
