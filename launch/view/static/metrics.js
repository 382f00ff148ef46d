"use strict";
/* Metrics: the picker of the value, and any two values of a system against each other. */
(function () {
  const medgen = window.medgen, el = medgen.el, pick = document.getElementById("value"), box = document.getElementById("scatter");
  if (!pick) return;
  pick.addEventListener("change", () => { location.href = "metrics-" + Number(pick.value) + ".html" + location.hash; });
  let model, x, y, s, brush = null;
  async function start() {
    try { model = await medgen.openModel(); } catch (e) { medgen.fail(box, e.message); return; }
    const able = model.values.map((v, p) => p).filter((p) => model.values[p].overall);
    x = Number(box.dataset.value);
    s = model.defaults()[0];
    y = await partner(able.filter((p) => p !== x && model.values[p].formats.some((f) => model.values[x].formats.includes(f))));
    draw();
  }
  /* The first value that the system has on samples of the one that is looked at. */
  async function partner(able) {
    for (const p of able) {
      try { await model.need([x, p]); } catch (e) { return x; }
      for (let i = 0; i < model.count; i++) if (model.value(x, s, i) !== null && model.value(p, s, i) !== null) return p;
    }
    return x;
  }
  function options(now, list, label, on) { return el("select", { class: "btn", "aria-label": label, onchange: (e) => { on(Number(e.target.value)); draw(); } }, list.map(([k, t]) => el("option", { value: k, selected: k === now }, t))); }
  async function draw() {
    try { await model.need([x, y]); } catch (e) { medgen.fail(box, e.message); return; }
    const values = model.values.map((v, p) => [p, v.title + " " + v.arrow]).filter(([p]) => model.values[p].overall);
    const points = [];
    for (let i = 0; i < model.count; i++) { const a = model.value(x, s, i), b = model.value(y, s, i); if (a !== null && b !== null) points.push([a, b, i]); }
    const tools = el("div", { class: "looktools" }, options(x, values, "across", (v) => { x = v; }), el("span", { class: "note" }, "against"), options(y, values, "up", (v) => { y = v; }), options(s, model.systems.map((o, k) => [k, medgen.plain(o.name)]), "system", (v) => { s = v; }));
    if (points.length < 2) { box.replaceChildren(tools, el("p", { class: "empty" }, "This system has no sample with both values.")); return; }
    const W = 420, H = 290, L = 40, R = 12, T = 20, B = 36;
    const ends = (k) => { let lo = Infinity, hi = -Infinity; for (const p of points) { lo = Math.min(lo, p[k]); hi = Math.max(hi, p[k]); } return lo === hi ? [lo - 0.5, hi + 0.5] : [lo, hi]; };
    const ex = ends(0), ey = ends(1), px = (v) => L + ((W - L - R) * (v - ex[0])) / (ex[1] - ex[0]), py = (v) => T + (H - T - B) * (1 - (v - ey[0]) / (ey[1] - ey[0]));
    const title = model.values[x].title + " against " + model.values[y].title + ", " + points.length + " samples of " + medgen.plain(model.systems[s].name);
    const svg = el("svg", { class: "chart scatter s" + model.systems[s].number, viewBox: "0 0 " + W + " " + H, role: "img", "aria-label": title });
    for (const [lo, hi, horizontal] of [[ex[0], ex[1], false], [ey[0], ey[1], true]]) for (let k = 0; k <= 4; k++) {
      const v = lo + ((hi - lo) * k) / 4, label = Math.abs(hi - lo) > 20 ? v.toFixed(0) : Math.abs(hi - lo) > 2 ? v.toFixed(1) : v.toFixed(2);
      if (horizontal) svg.append(el("line", { class: "grid", x1: L, x2: W - R, y1: py(v), y2: py(v) }), el("text", { class: "end", x: L - 6, y: py(v) + 4 }, label));
      else svg.append(el("line", { class: "grid", x1: px(v), x2: px(v), y1: T, y2: H - B }), el("text", { x: px(v), y: H - B + 15 }, label));
    }
    svg.append(el("text", { class: "start", x: L, y: 12 }, model.values[y].title + " " + model.values[y].arrow), el("text", { class: "end", x: W - R, y: H - 4 }, model.values[x].title + " " + model.values[x].arrow));
    if (points.length < 800) for (const p of points) svg.append(el("circle", { class: "point", cx: px(p[0]), cy: py(p[1]), r: 3 }));
    else {
      const bins = new Map();
      for (const p of points) { const k = Math.round(((p[0] - ex[0]) / (ex[1] - ex[0])) * 24) + "/" + Math.round(((p[1] - ey[0]) / (ey[1] - ey[0])) * 18); const b = bins.get(k) || [0, p[0], p[1]]; b[0]++; bins.set(k, b); }
      const most = Math.max(...[...bins.values()].map((b) => b[0]));
      for (const [k, b] of bins) { const [i, j] = k.split("/").map(Number); svg.append(el("circle", { class: "point", cx: px(ex[0] + (i / 24) * (ex[1] - ex[0])), cy: py(ey[0] + (j / 18) * (ey[1] - ey[0])), r: Math.max(0.8, 7 * Math.sqrt(b[0] / most)) })); }
    }
    const frame = el("rect", { class: "brush", width: 0, height: 0 }), note = el("p", { class: "note" }, points.length.toLocaleString("en") + " samples; " + (points.length < 800 ? "a dot a sample" : "area of a dot: number of samples") + ". Drag over dots to open them in the gallery."), go = el("a", { class: "btn", hidden: true }, "");
    svg.append(frame);
    const where = (e) => { const r = svg.getBoundingClientRect(); return [((e.clientX - r.left) / r.width) * W, ((e.clientY - r.top) / r.height) * H]; };
    svg.addEventListener("pointerdown", (e) => { brush = where(e); svg.setPointerCapture(e.pointerId); });
    svg.addEventListener("pointermove", (e) => { if (!brush) return; const n = where(e); frame.setAttribute("x", Math.min(n[0], brush[0])); frame.setAttribute("y", Math.min(n[1], brush[1])); frame.setAttribute("width", Math.abs(n[0] - brush[0])); frame.setAttribute("height", Math.abs(n[1] - brush[1])); });
    svg.addEventListener("pointerup", (e) => {
      if (!brush) return;
      const n = where(e), inside = points.filter((p) => px(p[0]) >= Math.min(n[0], brush[0]) && px(p[0]) <= Math.max(n[0], brush[0]) && py(p[1]) >= Math.min(n[1], brush[1]) && py(p[1]) <= Math.max(n[1], brush[1]));
      brush = null; go.hidden = !inside.length;
      go.textContent = "Open " + inside.length + " in the gallery" + (inside.length > 100 ? " (the first 100)" : "");
      go.href = "gallery.html#only=" + inside.slice(0, 100).map((p) => model.digests[p[2]]).join(",") + "&sys=" + s;
    });
    box.replaceChildren(tools, svg, note, go);
  }
  start();
})();
