"use strict";
/* One sample: pictures side by side with a lens, swipe and blink, texts by word, scores, judges. */
(function () {
  const medgen = window.medgen, el = medgen.el, $ = (id) => document.getElementById(id);
  const STEPS = ["#000004", "#1C1044", "#4F127B", "#812581", "#B5367A", "#E55064", "#FB8761", "#FEC287", "#FCFDBF"];
  const MAPS = {
    absolute: { name: "absolute", words: "|output − reference|, mean of RGB", top: "0.30" },
    ssim: { name: "SSIM", words: "(1 − SSIM) / 2, windows of 7 px", top: "0.30" },
    lpips: { name: "LPIPS", words: "LPIPS at each place of 256 × 256", top: "0.60" },
  };
  let briefs, origins = null;
  let model, state, at = 0, order = [], place = -1, body = null;
  const narrow = () => innerWidth < 768;
  const view = { mode: narrow() ? "pair" : "sheet", map: "absolute", zoom: 3, x: 0.5, y: 0.5, swipe: 50, who: 0, plain: false, timer: 0 };

  async function start() {
    try {
      model = await medgen.openModel();
      briefs = medgen.shortNames(model.systems);
      await load();
      medgen.load("origins").then((found) => { origins = found; provenance(); }, () => null);
    } catch (e) { medgen.fail($("sample"), e.message); return; }
    addEventListener("hashchange", () => load().catch((e) => medgen.fail($("sample"), e.message)));
    Object.assign(medgen.keys, {
      j: () => step(1), k: () => step(-1), ArrowRight: (e) => (inPane(e) ? move(0.04, 0) : false), ArrowLeft: (e) => (inPane(e) ? move(-0.04, 0) : false), ArrowUp: (e) => (inPane(e) ? move(0, -0.04) : false), ArrowDown: (e) => (inPane(e) ? move(0, 0.04) : false),
      "+": () => zoom(1), "-": () => zoom(-1), 0: () => { view.zoom = 3; view.x = view.y = 0.5; lenses(); },
      1: () => mode(narrow() ? "pair" : "sheet"), 2: () => mode("swipe"), 3: () => mode("blink"),
    });
  }
  const inPane = (e) => e.target.closest && e.target.closest(".pane");
  async function load() {
    const params = medgen.fragment();
    state = new medgen.State(model, params);
    const found = model.byDigest.get(params.get("s"));
    if (params.get("s") && found === undefined) throw new Error("no sample has the key " + medgen.plain(params.get("s")).slice(0, 20) + " in this run");
    at = found === undefined ? 0 : found;
    await model.need(state.places(model));
    await model.search(state);
    order = state.order(model);
    place = order.indexOf(at);
    body = await medgen.load("sample-" + at);
    view.who = 0; view.couple = undefined; view.x = view.y = 0.5;
    draw();
    scrollTo(0, 0);
  }
  const shown = () => state.shown.slice(0, innerWidth >= 1680 ? 8 : 4);
  const name = (s) => medgen.plain(model.systems[s].name);
  const mark = (s) => medgen.mark(model.systems[s].number, model.systems[s].random, model.systems[s].letter);
  const link = (i) => "#" + state.write(model, i);
  function step(by) { const next = order[place + by]; if (next !== undefined) location.hash = link(next); }
  function mode(m) { view.mode = m; clearInterval(view.timer); look(); }

  function draw() {
    const id = medgen.plain(model.ids[at]), f = model.formats[model.format(at)];
    document.title = id + " · " + model.run + " · medgen";
    $("back").href = "gallery.html#" + state.write(model);
    $("place").textContent = place < 0 ? "/ outside the filter" : "/ " + order.length.toLocaleString("en") + " samples, " + (medgen.SORTS.find(([k]) => k === state.sort) || ["", ""])[1].toLowerCase() + " / " + (place + 1).toLocaleString("en");
    for (const [which, by] of [["prev", -1], ["next", 1]]) { const n = order[place + by], a = $(which); if (n === undefined || place < 0) { a.removeAttribute("href"); a.setAttribute("aria-disabled", "true"); a.setAttribute("role", "link"); } else { a.href = link(n); a.removeAttribute("aria-disabled"); } }
    $("sid").textContent = id;
    const source = model.sources[at];
    let siblings = 0;
    if (model.source_words[source]) for (let i = 0; i < model.count; i++) if (model.sources[i] === source) siblings++;
    const tag = (t) => el("span", { class: "pill" }, medgen.plain(t));
    $("tags").replaceChildren(tag(f.title), tag(model.word("task", at)), tag(model.word("modality", at) || "no modality"), model.source_words[source] ? el("span", { class: "note" }, "source " + medgen.plain(model.source_words[source]) + (siblings > 1 ? ", with " + (siblings - 1) + " other sample" + (siblings > 2 ? "s" : "") : "")) : "");
    $("ask").replaceChildren(...rest(body.instruction || ""), ...(body.choices || []).map((c, k) => el("span", { class: "choice" }, String.fromCharCode(65 + k) + ". " + medgen.plain(c))));
    look(); texts(); scores(); judges(); provenance();
    medgen.say("sample " + id);
  }
  /* Long foreign text: at most some letters, and the rest on request. */
  function rest(text, most) {
    const limit = most || 4000, clean = medgen.plain(text);
    if (clean.length <= limit) return [clean];
    const more = el("button", { type: "button", class: "linklike", onclick: () => more.replaceWith(clean.slice(limit)) }, " show the rest (" + (clean.length - limit).toLocaleString("en") + " letters)");
    return [clean.slice(0, limit), more];
  }

  /* ---- pictures ---- */
  function slots() {
    const list = [];
    for (let k = 0; k < model.inputs[at]; k++) list.push({ slot: "input-" + k, title: model.inputs[at] > 1 ? "Input " + (k + 1) : "Input", alt: "input" });
    if (model.references[at]) list.push({ slot: "reference-0", title: "Reference", alt: "reference" });
    if (model.references[at]) for (const s of shown()) list.push({ slot: "s" + s, system: s, title: name(s), alt: name(s) + "'s output" + (model.score(s, at) === null ? "" : ", scored " + model.show(model.score(s, at), model.headline(at))) });
    return list;
  }
  function look() {
    const box = $("look"), list = slots();
    if (!list.length) { box.hidden = true; return; }
    box.hidden = false;
    const seg = (label, items, now, on) => el("span", { class: "seg", role: "group", "aria-label": label }, items.map(([k, t, key]) => el("button", { type: "button", "aria-pressed": String(k === now), onclick: () => on(k) }, t, key ? el("kbd", { "aria-hidden": "true" }, key) : null)));
    const hasMaps = Object.keys(body.maps).length > 0;
    const tools = el("div", { class: "looktools" },
      model.references[at] ? seg("Look", narrow() ? [["pair", "Pair"], ["swipe", "Swipe"], ["blink", "Blink"], ...(hasMaps ? [["difference", "Difference"]] : [])] : [["sheet", "Sheet", "1"], ["swipe", "Swipe", "2"], ["blink", "Blink", "3"]], view.mode, mode) : null,
      hasMaps && ["sheet", "difference"].includes(view.mode) ? [el("span", { class: "note" }, "Difference"), seg("Difference", body.kinds.map((k) => [k, MAPS[k].name]), view.map, (k) => { view.map = k; look(); })] : null,
      view.mode === "sheet" ? [el("span", { class: "note" }, "Zoom"), el("span", { class: "seg", role: "group", "aria-label": "Zoom" }, el("button", { type: "button", "aria-label": "less", onclick: () => zoom(-1) }, "−"), el("button", { type: "button", id: "zoomed", "aria-label": "back to 3 times", onclick: () => medgen.keys[0]() }, view.zoom + "×"), el("button", { type: "button", "aria-label": "more", onclick: () => zoom(1) }, "+"))] : null,
      chooser(), el("span", { class: "grow" }), el("span", { class: "note wide" }, "Pictures are shown as scored: RGB, no windowing"));
    const whole = view.mode === "sheet" || !model.references[at] || list.every((x) => x.system === undefined);
    box.replaceChildren(tools, whole ? sheet(list, hasMaps) : ["pair", "difference"].includes(view.mode) ? couple(list) : pair(list));
    lenses();
  }
  function chooser() {
    return el("details", { class: "pop left" }, el("summary", { class: "btn" }, "Systems: " + shown().length + " of " + model.systems.length), el("div", { class: "popbody", role: "group", "aria-label": "Systems" }, model.systems.map((s, i) => el("label", {}, el("input", { type: "checkbox", checked: state.shown.includes(i), onchange: (e) => { if (e.target.checked) state.shown.push(i); else if (state.shown.length > 1) state.shown.splice(state.shown.indexOf(i), 1); state.filtered = true; history.replaceState(null, "", link(at)); look(); texts(); scores(); judges(); provenance(); } }), mark(i), name(i)))));
  }
  function gone(s) {
    const status = model.statusOf(s, at);
    if (medgen.FINE.includes(status)) return el("div", { class: "nopic map" }, status ? "not applicable" : "not asked");
    return el("div", { class: "failbox big" }, el("span", { class: "pill bad" }, "✕ no picture"), el("span", {}, status || "not asked"), el("span", {}, "not scored, not 0"));
  }
  const failed = (x) => x.system !== undefined && model.statusOf(x.system, at) !== "ok";
  function title(x) {
    const v = x.system === undefined ? null : model.score(x.system, at);
    return el("div", { class: "panetitle" }, x.system === undefined ? null : mark(x.system), el("span", { class: "name", title: x.title }, x.title), el("span", { class: "grow" }), v === null ? null : el("b", {}, model.show(v, model.headline(at))));
  }
  function sheet(list, hasMaps) {
    const cols = list.length, grid = el("div", { class: "sheetgrid" });
    grid.style.setProperty("--cols", cols);
    const img = (x, kind) => medgen.picture(model, at, x.slot, kind, x.alt, { loading: "eager", onload: (e) => { e.target.dataset.w = e.target.naturalWidth; lenses(); }, onerror: (e) => e.target.closest(".pane") && e.target.replaceWith(el("span", { class: "nopic" }, "no picture that can be shown")) });
    grid.append(el("div", { class: "rowname" }), ...list.map(title));
    grid.append(el("div", { class: "rowname" }, el("h2", { class: "smallhead" }, "Whole"), el("p", { class: "note", id: "dims" })), ...list.map((x) => (failed(x) ? gone(x.system) : el("div", { class: "pane whole", "data-slot": x.slot, tabindex: 0, role: "group", "aria-label": x.alt + ": drag, or arrows, move the lens" }, img(x, "whole"), el("span", { class: "frame" })))));
    grid.append(el("div", { class: "rowname lensrow" }, el("h2", { class: "smallhead", id: "lensname" }, "Lens " + view.zoom + "×"), el("p", { class: "note", id: "lenswhere" }), el("p", { class: "note" }, "moves in all panes, unsmoothed")), ...list.map((x) => (failed(x) ? el("div", { class: "lensrow" }) : el("div", { class: "pane lens lensrow", "data-slot": x.slot }, medgen.picture(model, at, x.slot, "whole", "", { loading: "eager", onload: lenses })))));
    if (hasMaps) {
      const scale = el("svg", { width: 72, height: 8, "aria-hidden": "true" }, STEPS.map((c, k) => el("rect", { x: k * 8, width: 8, height: 8, fill: c })));
      grid.append(el("div", { class: "rowname" }, el("h2", { class: "smallhead" }, "Difference"), el("p", { class: "note" }, MAPS[view.map].words), scale, el("p", { class: "note ends short" }, el("span", {}, "0"), el("span", {}, MAPS[view.map].top))), ...list.map((x) => {
        const m = failed(x) ? null : body.maps[x.slot];
        if (!m) return el("div", { class: "nopic map" }, x.slot.startsWith("reference") ? "reference" : "");
        const mean = view.map === "lpips" ? lpips(x.system) : m[view.map], words = mean === null ? "" : (view.map === "lpips" ? "scored " : "mean ") + mean.toFixed(3);
        return el("div", {}, medgen.picture(model, at, x.slot, view.map, "difference of " + x.alt + " to the reference" + (words ? ", " + words : ""), { onerror: (e) => e.target.replaceWith(el("div", { class: "nopic map" }, "no map")) }), el("p", { class: "note" }, words));
      }));
    }
    grid.addEventListener("pointerdown", (e) => { const pane = e.target.closest(".pane.whole"); if (pane) { drag(pane, e); pane.setPointerCapture(e.pointerId); pane.onpointermove = (m) => drag(pane, m); pane.onpointerup = () => { pane.onpointermove = null; }; } });
    return el("div", { class: "scroll" }, grid);
  }
  /* What the metric gave for a system's picture: nearly the mean of its map. */
  function lpips(s) {
    const found = s === undefined ? undefined : Object.entries(body.systems[s].values).find(([k]) => k.split("/")[2].startsWith("lpips"));
    return found && found[1].value !== null ? found[1].value : null;
  }
  function drag(pane, e) { const r = pane.getBoundingClientRect(); view.x = (e.clientX - r.left) / r.width; view.y = (e.clientY - r.top) / r.height; lenses(); }
  function move(dx, dy) { view.x += dx; view.y += dy; lenses(); }
  function zoom(by) { view.zoom = Math.max(1, Math.min(12, view.zoom + by)); lenses(); }
  function lenses() {
    const half = 0.5 / view.zoom;
    view.x = Math.max(half, Math.min(1 - half, view.x)); view.y = Math.max(half, Math.min(1 - half, view.y));
    document.querySelectorAll(".pane.lens img").forEach((i) => { i.style.width = 100 * view.zoom + "%"; i.style.left = -100 * (view.x - half) * view.zoom + "%"; i.style.top = -100 * (view.y - half) * view.zoom + "%"; i.classList.toggle("sharp", view.zoom > 1); });
    document.querySelectorAll(".pane .frame").forEach((f) => { f.style.left = 100 * (view.x - half) + "%"; f.style.top = 100 * (view.y - half) + "%"; f.style.width = f.style.height = 100 / view.zoom + "%"; });
    const first = document.querySelector(".pane.whole img"), w = first && first.naturalWidth, h = first && first.naturalHeight;
    if (w && $("dims")) $("dims").textContent = w + " × " + h + " px";
    if (w && $("lenswhere")) $("lenswhere").textContent = "x " + Math.round((view.x - half) * w) + "–" + Math.round((view.x + half) * w) + ", y " + Math.round((view.y - half) * h) + "–" + Math.round((view.y + half) * h);
    if ($("zoomed")) $("zoomed").textContent = view.zoom + "×";
    if ($("lensname")) $("lensname").textContent = "Lens " + view.zoom + "×";
  }
  const brief = (x) => title(x.system === undefined ? x : { ...x, title: shortName(x.system) });
  /* On a phone: the reference beside one system, or its difference map; the others to choose below. */
  function couple(list) {
    const reference = list.find((x) => x.slot === "reference-0") || list[0], rest = list.filter((x) => x !== reference);
    const first = rest.findIndex((x) => x.system !== undefined), now = rest[view.couple ?? first] || rest[first];
    const show = (x, kind) => (failed(x) ? gone(x.system) : medgen.picture(model, at, x.slot, kind, kind === "whole" ? x.alt : "difference of " + x.alt + " to the reference", { loading: "eager", class: "fill", onerror: (e) => e.target.replaceWith(el("div", { class: "nopic map" }, "no map")) }));
    const left = view.mode === "pair" ? reference : now, mean = view.mode === "difference" && !failed(now) && body.maps[now.slot] ? (view.map === "lpips" ? lpips(now.system) : body.maps[now.slot][view.map]) : null;
    const strip = rest.map((x, k) => el("button", { type: "button", class: "choose", "aria-pressed": String(x === now), onclick: () => { view.couple = k; look(); } }, failed(x) ? el("span", { class: "failbox" }, "✕") : medgen.picture(model, at, x.slot, "thumb", ""), el("span", { class: "note" }, x.system === undefined ? x.title.toLowerCase() : shortName(x.system) + " " + (model.score(x.system, at) === null ? "–" : model.show(model.score(x.system, at), model.headline(at))))));
    return el("div", {}, el("div", { class: "couple" }, el("div", {}, brief(left), show(left, "whole")), el("div", {}, view.mode === "pair" ? brief(now) : el("div", { class: "panetitle" }, "Difference" + (mean === null ? "" : ", mean " + mean.toFixed(3))), show(now, view.mode === "pair" ? "whole" : view.map))), el("div", { class: "choices" }, strip));
  }
  /* Two pictures upon each other: swiped by a slider, or in turn. */
  function pair(list) {
    const able = list.filter((x) => !failed(x)), right = able[Math.min(able.length - 1, Math.max(1, able.findIndex((x) => x.system !== undefined) + view.who))], left = able.find((x) => x.slot === "reference-0") || able[0];
    const pick = el("select", { class: "btn", "aria-label": "System against the reference", onchange: (e) => { view.who = Number(e.target.value); clearInterval(view.timer); look(); } }, able.filter((x) => x.system !== undefined).map((x, k) => el("option", { value: k, selected: k === view.who }, x.title)));
    const top = medgen.picture(model, at, right.slot, "whole", right.alt, { loading: "eager" }), under = medgen.picture(model, at, left.slot, "whole", left.alt, { loading: "eager" });
    const stage = el("div", { class: "stage" }, under, el("div", { class: "over" }, top));
    const over = stage.lastElementChild;
    let control;
    if (view.mode === "swipe") {
      const set = (v) => { view.swipe = v; over.style.clipPath = "inset(0 0 0 " + v + "%)"; };
      control = el("label", { class: "swiper" }, el("span", { class: "note" }, "reference"), el("input", { type: "range", min: 0, max: 100, step: 1, value: view.swipe, "aria-label": "How much of the reference is seen, in percent", oninput: (e) => set(Number(e.target.value)) }), el("span", { class: "note" }, right.title));
      set(view.swipe);
    } else {
      const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
      const flip = () => { over.hidden = !over.hidden; note.textContent = over.hidden ? "reference" : right.title; };
      const note = el("b", {}, right.title);
      control = el("p", { class: "swiper" }, note, el("button", { type: "button", class: "btn", onclick: flip }, "Show the other"));
      if (!still) view.timer = setInterval(() => { if (view.mode === "blink" && document.contains(over)) flip(); else clearInterval(view.timer); }, 500);
    }
    return el("div", { class: "pairlook" }, el("p", {}, "Reference under ", pick), stage, control);
  }

  /* ---- texts, by word ---- */
  function words(text) { return (text || "").split(/(\s+)/).filter((w) => w); }
  function diff(a, b) {
    const x = words(a).filter((w) => w.trim()).slice(0, 600), y = words(b).filter((w) => w.trim()).slice(0, 600);
    const norm = (w) => w.toLowerCase().replace(/[.,;:!?"“”]+/g, "");
    const n = x.length, m = y.length, table = Array.from({ length: n + 1 }, () => new Uint16Array(m + 1));
    for (let i = n - 1; i >= 0; i--) for (let j = m - 1; j >= 0; j--) table[i][j] = norm(x[i]) === norm(y[j]) ? table[i + 1][j + 1] + 1 : Math.max(table[i + 1][j], table[i][j + 1]);
    const out = [];
    let i = 0, j = 0;
    while (i < n || j < m) {
      if (i < n && j < m && norm(x[i]) === norm(y[j])) { out.push(["same", y[j]]); i++; j++; }
      else if (i < n && (j >= m || table[i + 1][j] >= table[i][j + 1])) out.push(["del", x[i++]]);
      else out.push(["ins", y[j++]]);
    }
    if (Math.max(words(a).length, words(b).length) > 1200) out.push(["same", "… (the first 600 words are compared; “plain” has the rest)"]);
    return out;
  }
  function texts() {
    const box = $("textcard"), some = shown().filter((s) => body.systems[s].prediction && body.systems[s].prediction.text);
    box.hidden = !some.length && !body.reference;
    if (box.hidden) return;
    const toggle = el("span", { class: "seg", role: "group", "aria-label": "Texts" }, [["by word", false], ["plain", true]].map(([t, p]) => el("button", { type: "button", "aria-pressed": String(view.plain === p), onclick: () => { view.plain = p; texts(); } }, t)));
    const rows = shown().map((s) => {
      const p = body.systems[s].prediction, said = p && p.text;
      const content = said === null || said === undefined ? [el("span", { class: p && p.status !== "ok" ? "bad" : "note" }, p ? (p.status === "ok" ? "no text" : "✕ " + p.status + ": " + medgen.plain(p.reason || "")) : "not asked")] : view.plain || !body.reference ? rest(said) : diff(body.reference, said).flatMap(([k, w]) => [k === "same" ? medgen.plain(w) : el(k, {}, medgen.plain(w)), " "]);
      return el("div", { class: "textrow" }, el("h3", {}, mark(s), " ", name(s)), el("p", { class: "said" }, content));
    });
    box.replaceChildren(el("div", { class: "cardhead" }, el("h2", {}, "Text"), el("span", { class: "grow" }), body.reference ? toggle : null), body.reference ? el("div", { class: "textrow" }, el("h3", {}, "Reference"), el("p", { class: "said" }, rest(body.reference))) : "", ...rows, body.reference && !view.plain ? el("p", { class: "note" }, el("del", {}, "reference only"), " ", el("ins", {}, "system only")) : "");
  }

  /* ---- scores ---- */
  const CURES = { missing_weights: "the metric's weights are not here: medgen weights fetch", unparseable: "the answer could not be read as one of the choices", out_of_memory: "the scorer ran out of memory: give it more, and run again", error: "the metric raised; medgen logs --errors has the traceback", missing: "no row is in the store yet: medgen run goes on", internal_error: "a fault of the engine: medgen logs --errors" };
  function scores() {
    const floors = model.systems.map((s, i) => [s, i]).filter(([s]) => s.control && s.name === "copy-input").map(([, i]) => i), tops = model.systems.map((s, i) => [s, i]).filter(([s]) => s.name === "oracle").map(([, i]) => i);
    const cols = [...floors.filter((s) => !shown().includes(s)), ...shown(), ...tops.filter((s) => !shown().includes(s))];
    const values = model.values.map((v, p) => [v, p]).filter(([v]) => v.overall && v.formats.includes(model.format(at))), troubles = new Map();
    const lines = values.map(([v]) => {
      const key = v.key.join("/"), raw = cols.map((s) => body.systems[s].values[key]);
      const own = raw.filter((r, k) => r && r.value !== null && !model.systems[cols[k]].control).map((r) => r.value), best = v.direction === "lower" ? Math.min(...own) : Math.max(...own);
      return el("tr", {}, el("th", { scope: "row" }, v.title + " " + v.arrow), el("td", { class: "num note" }, v.threshold === null ? "" : (v.pass_when === "<=" ? "≤ " : "≥ ") + v.threshold), raw.map((r, k) => {
        if (!r) return el("td", { class: "num note" }, "–");
        if (r.value === null) { if (r.status !== "not_applicable" && r.status !== "ok") troubles.set(r.status, r.reason || ""); return el("td", { class: "num" }, el("span", { class: r.status === "not_applicable" || r.status === "ok" ? "note" : "warn novalue", title: medgen.plain((r.reason || r.status)) }, r.status === "not_applicable" ? "n/a" : r.status === "ok" ? "–" : "no value")); }
        const glyph = r.passed === null || r.passed === undefined ? null : el("span", { class: r.passed ? "ok" : "bad" }, r.passed ? " ✓" : " ✗", el("span", { class: "vh" }, r.passed ? "passes" : "fails"));
        return el("td", { class: "num" + (!model.systems[cols[k]].control && r.value === best && own.length > 1 && v.direction ? " strong" : ""), title: String(r.value) }, Math.abs(r.value) >= 100 ? r.value.toFixed(1) : v.judge ? r.value.toFixed(1) : Math.abs(r.value) >= 10 ? r.value.toFixed(1) : r.value.toFixed(2), glyph);
      }));
    });
    const head = el("tr", {}, el("th", { scope: "col" }, "Value"), el("th", { scope: "col", class: "num" }, "passes"), cols.map((s) => el("th", { scope: "col", class: "num", title: name(s) }, el("span", { class: "vh" }, name(s)), el("span", { class: "colname", "aria-hidden": "true" }, mark(s), shortName(s)))));
    const notes = [...troubles].map(([status, reason]) => el("p", { class: "note" }, el("b", { class: "warn" }, "no value"), ": " + status + (CURES[status] ? ", " + CURES[status] : "") + (reason ? " (" + medgen.plain(reason).slice(0, 200) + ")" : "")));
    $("scores").replaceChildren(el("div", { class: "cardhead" }, el("h2", {}, "Scores"), el("span", { class: "grow" }), el("span", { class: "note" }, "✓ ✗ against the protocol's threshold")), el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Scores, scrollable" }, el("table", {}, el("caption", { class: "vh" }, "Scores of this sample"), el("thead", {}, head), el("tbody", {}, lines))), ...notes);
  }
  const shortName = (s) => medgen.plain(briefs[s]);

  /* ---- judges ---- */
  let chosen = null;
  function judges() {
    const box = $("judges"), who = shown().filter((s) => body.systems[s].verdicts.length);
    if (!who.length) { box.replaceChildren(el("h2", {}, "What the judges said"), el("p", { class: "empty" }, model.values.some((v) => v.judge) ? "Not judged: no judge looked at these systems here." : "No judge ran. ", model.values.some((v) => v.judge) ? "" : el("code", {}, "medgen judge --config …"))); return; }
    if (!shown().includes(chosen)) chosen = who[0];
    const tabs = el("span", { class: "seg", role: "group", "aria-label": "System" }, shown().map((s) => el("button", { type: "button", "aria-pressed": String(s === chosen), title: name(s), onclick: () => { chosen = s; judges(); provenance(); } }, mark(s), " " + shortName(s))));
    if (!who.includes(chosen)) { box.replaceChildren(el("div", { class: "cardhead" }, el("h2", {}, "What the judges said"), el("span", { class: "grow" }), tabs), el("p", { class: "empty" }, "Not judged: no judge looked at " + name(chosen) + " here.")); return; }
    const all = body.systems[chosen].verdicts, judgesNames = [...new Set(all.map((v) => v.label))];
    const views = ["reference_based", "reference_free"].filter((v) => all.some((x) => x.view === v));
    const mean = (view) => { const o = all.filter((v) => v.view === view && v.scale && v.scale.startsWith("overall") && v.value !== null).map((v) => v.value); return o.length ? o.reduce((a, b) => a + b, 0) / o.length : null; };
    const apart = views.length === 2 && mean(views[0]) !== null && mean(views[1]) !== null ? Math.abs(mean(views[0]) - mean(views[1])) : 0;
    const cols = views.map((view, k) => {
      const own = all.filter((v) => v.view === view), scales = [...new Set(own.map((v) => v.scale).filter(Boolean))].sort((a, b) => a.startsWith("overall") - b.startsWith("overall"));
      const bad = own.filter((v) => v.status !== "ok");
      return el("div", { class: "viewcol" }, el("h3", {}, view === "reference_based" ? "With the reference" : "Without the reference", " ", k === 1 && apart >= 3 ? el("span", { class: "pill warn" }, "views " + apart.toFixed(1) + " apart") : null), el("p", { class: "note" }, view === "reference_based" ? "saw input, candidate, reference" : "saw input and candidate only"),
        scales.map((scale) => dots(scale, own.filter((v) => v.scale === scale), judgesNames)), bad.length ? el("p", { class: "warn" }, bad[0].status + ": " + medgen.plain(bad[0].reason || "")) : null,
        quote(own));
    });
    const folded = (title, nodes) => (nodes.length ? el("details", {}, el("summary", {}, title + ", " + nodes.length), nodes) : null);
    const explained = all.filter((v) => v.explanation), raws = all.filter((v) => v.raw), prompts = all.filter((v) => v.prompt);
    const viewName = (v) => (v.view === "reference_based" ? "with the reference" : "without the reference");
    box.replaceChildren(...[el("div", { class: "cardhead" }, el("h2", {}, "What the judges said"), el("span", { class: "grow" }), tabs), narrow() && cols.length === 2 ? el("span", { class: "seg viewtabs", role: "group", "aria-label": "View" }, views.map((v, k) => el("button", { type: "button", "aria-pressed": String(k === (view.judged || 0)), onclick: () => { view.judged = k; judges(); } }, (k ? "Without" : "With the reference") + (mean(v) === null ? "" : " " + mean(v).toFixed(1))))) : null, el("div", { class: "views" }, narrow() && cols.length === 2 ? cols[view.judged || 0] : cols),
      el("p", { class: "note judgenames" }, judgesNames.map((n, k) => [k === 0 ? "● " : "○ ", medgen.plain(n), "  "])),
      folded("All explanations", explained.map((v) => el("p", { class: "explained" }, el("b", {}, (v.scale || "").replace(/_/g, " ") + (v.value === null ? "" : " " + v.value)), el("span", { class: "note" }, " " + medgen.plain(v.label) + ", " + viewName(v)), el("br"), ...rest(v.explanation)))),
      folded("Raw replies", raws.map((v) => el("div", {}, el("p", { class: "note" }, medgen.plain(v.label) + ", " + viewName(v) + (v.repeat ? ", repeat " + v.repeat : "")), el("pre", { class: "raw", tabindex: 0 }, ...rest(v.raw))))),
      prompts.length ? folded("Prompts as sent", prompts.map((v) => el("div", {}, el("p", { class: "note" }, medgen.plain(v.label) + ", " + viewName(v)), el("pre", { class: "raw", tabindex: 0 }, ...rest(v.prompt))))) : el("details", {}, el("summary", {}, "Prompts as sent"), [...new Set(all.map((v) => v.protocol + " · sha256 " + v.prompt_digest))].map((t) => el("p", { class: "mono" }, medgen.plain(t))))].filter(Boolean));
  }
  function dots(scale, rows, names) {
    const svg = el("svg", { class: "dots", width: 130, height: 16, "aria-hidden": "true" });
    for (let k = 1; k <= 10; k++) svg.append(el("circle", { class: "tickdot", cx: 6 + (k - 1) * 13, cy: 8, r: 1.2 }));
    const known = rows.filter((v) => v.value !== null);
    known.forEach((v) => { const step = Math.min(6, Math.floor(((v.value - 1) / 9) * 7)), first = names.indexOf(v.label) === 0; svg.append(el("circle", { class: (first ? "dot v" : "ring w") + step, cx: 6 + (v.value - 1) * 13, cy: 8, r: 4.6 })); });
    const mean = known.length ? known.reduce((a, v) => a + v.value, 0) / known.length : null;
    const label = scale.startsWith("overall") ? "overall" : scale.replace(/_/g, " ");
    return el("div", { class: "dotrow" + (label === "overall" ? " overall" : "") }, el("span", { class: "name" }, medgen.plain(label)), svg, el("b", {}, mean === null ? "–" : mean % 1 ? mean.toFixed(1) : String(mean)));
  }
  function quote(rows) {
    const own = rows.filter((v) => v.explanation), worst = own.sort((a, b) => (a.value ?? 99) - (b.value ?? 99))[0];
    return worst ? el("blockquote", {}, "“", ...rest(worst.explanation, 400), "” ", el("span", { class: "note" }, medgen.plain(worst.label) + ", on " + (worst.scale || "").replace(/_/g, " ") + (worst.value === null ? "" : ": " + worst.value))) : null;
  }

  function provenance() {
    if (!shown().includes(chosen)) chosen = shown()[0];
    const s = chosen, p = body.systems[s].prediction, own = origins && origins[s];
    const box = [el("div", { class: "cardhead" }, el("h2", {}, "Provenance"), el("span", { class: "note" }, name(s)), el("span", { class: "grow" }), el("a", { href: "provenance.html" }, "Passports"))];
    if (!model.values.some((v) => v.judge) || !document.querySelector("#judges .seg")) box.push(el("span", { class: "seg", role: "group", "aria-label": "System" }, shown().map((o) => el("button", { type: "button", "aria-pressed": String(o === s), title: name(o), onclick: () => { chosen = o; provenance(); } }, mark(o), " " + shortName(o)))));
    const line = (what, words, mono) => (words ? el("div", {}, el("dt", {}, what), el("dd", { class: mono ? "mono" : "" }, words)) : null);
    if (!p) box.push(el("p", { class: "empty" }, "Not asked: this system has no row here."));
    else {
      let asked = {};
      try { asked = JSON.parse(p.details || "{}"); } catch (e) { /* shown as it is below */ }
      const usage = [p.seconds ? p.seconds.toFixed(1) + " s" : null, p.prompt_tokens || p.completion_tokens ? (p.prompt_tokens || 0).toLocaleString("en") + " + " + (p.completion_tokens || 0) + " tokens" : null, p.cost_usd ? "$" + p.cost_usd.toFixed(4) : null, p.finish_reason ? "ended by " + p.finish_reason : null].filter(Boolean).join(", ");
      box.push(el("dl", { class: "prov" },
        line("prediction", [el("b", { class: p.status === "ok" ? "ok" : medgen.FINE.includes(p.status) ? "note" : "bad" }, (p.status === "ok" ? "✓ " : medgen.FINE.includes(p.status) ? "– " : "✕ ") + p.status), " ", medgen.plain([p.reason, usage].filter(Boolean).join(" · "))]),
        line("weights", own && own.weights ? medgen.plain(own.weights) : "", true),
        line("stage", own ? own.stages.map((t) => t[0] + " " + t[1]).join(", ") + ", shard " + body.shard : "shard " + body.shard, true),
        line("prompt", asked.prompt_hash ? medgen.plain((asked.prompt || "") + " sha256 " + asked.prompt_hash) : "", true),
        line("sample key", model.digests[at], true)),
        p.image_prompt ? el("details", {}, el("summary", {}, "prompt for the picture"), el("pre", { class: "raw", tabindex: 0 }, ...rest(p.image_prompt))) : null, p.details ? el("details", {}, el("summary", {}, "details"), el("pre", { class: "raw", tabindex: 0 }, ...rest(p.details))) : null);
    }
    $("prov").replaceChildren(...box.filter(Boolean));
  }
  start();
})();
