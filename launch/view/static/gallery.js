"use strict";
/* Every sample in a table of strips: filters, search, sort, keys. */
(function () {
  const medgen = window.medgen, el = medgen.el, AT_ONCE = 24;
  let model, state, order = [], drawn = 0, focused = -1, matchValue = null;
  const $ = (id) => document.getElementById(id);

  async function start() {
    try { model = await medgen.openModel(); } catch (e) { medgen.fail($("gallery"), e.message); return; }
    matchValue = model.values.findIndex((v) => ["exact_match", "accuracy"].includes(v.key[2]));
    read();
    $("search").value = state.q;
    bind();
    await refresh();
    addEventListener("hashchange", () => { const now = location.hash.slice(1); if (now !== state.write(model)) { read(); $("search").value = state.q; refresh(); } });
  }
  function read() { state = new medgen.State(model, medgen.fragment()); }
  async function needed() {
    await model.need([...state.places(model), ...(state.sort === "judgemetric" ? model.values.map((v, p) => (!v.judge && v.overall && v.direction ? p : null)).filter((p) => p !== null) : []), ...(matchValue >= 0 ? [matchValue] : [])]);
    await model.search(state);
  }
  async function refresh(keep) {
    try { await needed(); } catch (e) { medgen.fail($("strips"), e.message); return; }
    order = state.order(model);
    if (!keep) { focused = -1; }
    history.replaceState(null, "", "#" + state.write(model));
    heading(); rail(); head(); rows();
    medgen.say(order.length.toLocaleString("en") + " samples");
  }

  function heading() {
    $("found").replaceChildren(el("b", {}, order.length.toLocaleString("en")), order.length === model.count ? " samples" : " of " + model.count.toLocaleString("en") + " samples");
    const chips = [];
    const chip = (text, off) => chips.push(el("button", { type: "button", class: "chip", onclick: () => { off(); refresh(); } }, text, el("span", { "aria-hidden": "true" }, " ×"), el("span", { class: "vh" }, ", take the filter away")));
    const some = (names) => (names.length > 2 ? names[0] + " +" + (names.length - 1) : names.join(", "));
    if (state.format.length) chip(some(state.format.map((f) => model.formats[f].short)), () => { state.format = []; });
    if (state.task.length) chip(medgen.plain(some(state.task.map((t) => model.facets.task.words[t]))), () => { state.task = []; });
    if (state.modality.length) chip(medgen.plain(some(state.modality.map((t) => model.facets.modality.words[t]))), () => { state.modality = []; });
    if (state.groups.length) chip(medgen.plain(some(state.groups.map((g) => { const [k, v] = g.split("."); return model.facets[model.groupKinds[k]].words[v] || "(none)"; }))), () => { state.groups = []; });
    if (state.status.length) chip(some(state.status), () => { state.status = []; });
    if (state.tags.length) chip(some(state.tags.map((k) => medgen.TAGS[k])), () => { state.tags = []; });
    if (state.judged.length) chip(some(state.judged.map((k) => (k === "all" ? "judged" : "not all judged"))), () => { state.judged = []; });
    if (state.low !== null || state.high !== null) chip("score " + (state.low ?? "") + "–" + (state.high ?? ""), () => { state.low = state.high = null; });
    if (state.q) chip("“" + medgen.plain(state.q) + "”", () => { state.q = ""; $("search").value = ""; });
    if (state.only.length) chip(state.only.length + " chosen samples", () => { state.only = []; });
    $("chips").replaceChildren(...chips);
    const sort = $("sort");
    if (!sort.options.length) for (const [k, t] of medgen.SORTS) sort.append(el("option", { value: k }, t));
    sort.value = state.sort;
    $("pair").hidden = state.sort !== "pair";
    if (state.sort === "pair") pairPicker();
    document.querySelectorAll("[data-look]").forEach((b) => b.setAttribute("aria-pressed", String(b.dataset.look === state.look)));
  }
  function pairPicker() {
    const now = state.pair.length === 2 ? state.pair : state.shown.slice(0, 2);
    const pick = (at) => el("select", { class: "btn", "aria-label": at ? "second system" : "first system", onchange: (e) => { const p = now.slice(); p[at] = Number(e.target.value); state.pair = p; refresh(); } },
      model.systems.map((s, i) => el("option", { value: i, selected: now[at] === i }, medgen.plain(s.name))));
    $("pair").replaceChildren(pick(0), pick(1));
  }

  function rail() {
    const counts = (kind, of, size) => { const c = new Array(size).fill(0); for (let i = 0; i < model.count; i++) if (state.matches(model, i, kind)) c[of(i)]++; return c; };
    const box = (label, count, checked, toggle) => el("label", {}, el("input", { type: "checkbox", checked, onchange: toggle }), el("span", { class: "name" }, label), el("span", { class: "n" }, count.toLocaleString("en")));
    const flip = (list, v) => (list.includes(v) ? list.splice(list.indexOf(v), 1) : list.push(v));
    const section = (title, boxes, open) => {
      const kept = document.querySelector('details[data-facet="' + title + '"]');
      const long = boxes.length > 8;
      const head = el("details", { class: "facet", "data-facet": title, open: kept ? kept.open : open !== false }, el("summary", {}, title), el("div", { class: "boxes" + (long ? " long" : "") }, boxes));
      return head;
    };
    const fc = model.facets.format, formats = counts("format", (i) => fc.codes[i], fc.words.length);
    const parts = [section("Format", model.formatNames.map((f) => box(model.formats[f].title, formats[fc.words.indexOf(f)] || 0, state.format.includes(f), () => { flip(state.format, f); refresh(); })))];
    for (const [kind, title] of [["task", "Task"], ["modality", "Modality"]]) {
      const f = model.facets[kind], c = counts(kind, (i) => f.codes[i], f.words.length);
      const at = f.words.map((_, k) => k).sort((a, b) => c[b] - c[a]).filter((k) => c[k] || state[kind].includes(k));
      parts.push(section(title, at.map((k) => box(medgen.plain(f.words[k] || "(none)"), c[k], state[kind].includes(k), () => { flip(state[kind], k); refresh(); }))));
    }
    model.groupKinds.forEach((kind, k) => {
      const f = model.facets[kind], c = counts("group" + k, (i) => f.codes[i], f.words.length);
      parts.push(section(medgen.plain(kind.slice(7)), f.words.map((w, v) => box(medgen.plain(w || "(none)"), c[v], state.groups.includes(k + "." + v), () => { flip(state.groups, k + "." + v); refresh(); }))));
    });
    const words = {};
    const who = state.filtered ? state.shown : model.systems.map((_, s) => s).filter((s) => !model.systems[s].control && !model.systems[s].random);
    let fine = 0;
    for (let i = 0; i < model.count; i++) {
      if (!state.matches(model, i, "status")) continue;
      const seen = new Set(who.map((s) => model.statusOf(s, i)));
      for (const w of seen) if (w && w !== "ok") words[w] = (words[w] || 0) + 1;
      if (state.shown.every((s) => ["ok", ""].includes(model.statusOf(s, i)))) fine++;
    }
    parts.push(section("Status of predictions", [box("ok, all shown", fine, state.status.includes("ok"), () => { flip(state.status, "ok"); refresh(); }),
      ...Object.keys(words).sort((a, b) => words[b] - words[a]).map((w) => box(w, words[w], state.status.includes(w), () => { flip(state.status, w); refresh(); }))]));
    const count = (names, of, kind) => { const c = {}; for (let i = 0; i < model.count; i++) if (state.matches(model, i, kind)) for (const w of [of(i)].flat()) c[w] = (c[w] || 0) + 1; return names.filter(([k]) => c[k] || state[kind === "tag" ? "tags" : kind].includes(k)).map(([k, t]) => [k, t, c[k] || 0]); };
    if (medgen.rivals(model).length) {
      const judged = count([["all", "judged, all shown"], ["some", "not all judged"]], (i) => medgen.judgedOf(model, state.shown, i), "judged");
      parts.push(section("Status of judges", judged.map(([k, t, n]) => box(t, n, state.judged.includes(k), () => { flip(state.judged, k); refresh(); }))));
    }
    const tags = count(Object.entries(medgen.TAGS), (i) => medgen.tagsOf(model, state.shown, i), "tag");
    if (tags.length) parts.push(section("Tag", tags.map(([k, t, n]) => box(t, n, state.tags.includes(k), () => { flip(state.tags, k); refresh(); }))));
    parts.push(range());
    const active = document.activeElement, key = active && active.closest && active.closest("#facets") ? [...document.querySelectorAll("#facets input")].indexOf(active) : -1;
    $("facets").replaceChildren(...parts);
    if (key >= 0) { const back = document.querySelectorAll("#facets input")[key]; if (back) back.focus(); }
  }
  function range() {
    const scores = [], places = new Set();
    let place = null;
    for (let i = 0; i < model.count; i++) if (state.matches(model, i, "score")) { const b = medgen.bestScore(model, state.shown, i); if (b !== null) { scores.push(b); place = model.headline(i); places.add(place); } }
    const box = el("details", { class: "facet", "data-facet": "Best score of shown", open: true }, el("summary", {}, "Best score of shown"));
    if (!scores.length || place === null) return box;
    if (places.size > 1) { box.append(el("p", { class: "note" }, "Formats are ranked by different values: choose one format to filter by its score.")); return box; }
    const judge = model.values[place].judge, low = judge ? 1 : Math.min(...scores), high = judge ? 10 : Math.max(...scores), bins = new Array(10).fill(0);
    for (const s of scores) bins[Math.max(0, Math.min(9, Math.floor(((s - low) / (high - low || 1)) * 10)))]++;
    const most = Math.max(...bins), svg = el("svg", { class: "histogram", viewBox: "0 0 200 54", role: "img", "aria-label": "histogram of " + scores.length + " scores from " + low.toFixed(2) + " to " + high.toFixed(2) });
    bins.forEach((b, k) => { const h = b ? Math.max(1.5, (b / most) * 50) : 0, mid = low + ((k + 0.5) / 10) * (high - low); const on = (state.low === null || mid >= state.low) && (state.high === null || mid <= state.high); svg.append(el("rect", { x: k * 20 + 1, y: 54 - h, width: 18, height: h, class: on ? "on" : "off" })); });
    const step = (high - low) / 20, slide = (at, value, label) => el("input", { type: "range", min: low, max: high, step, value, "aria-label": label, onchange: (e) => { const v = Number(e.target.value); state[at] = (at === "low" ? v <= low + step / 2 : v >= high - step / 2) ? null : Number(v.toFixed(3)); refresh(); } });
    box.append(el("p", { class: "note" }, model.values[place].title), svg, el("div", { class: "ranges" }, slide("low", state.low ?? low, "lowest score"), slide("high", state.high ?? high, "highest score")), el("p", { class: "note ends" }, el("span", {}, (state.low ?? low).toFixed(judge ? 1 : 2)), el("span", {}, (state.high ?? high).toFixed(judge ? 1 : 2))));
    return box;
  }

  function systemsShown() { return state.alone !== null ? [state.alone] : state.shown.slice(0, innerWidth >= 1680 ? 8 : 4); }
  function head() {
    const chooser = el("details", { class: "pop left" }, el("summary", { class: "btn" }, "Systems: " + systemsShown().length + " of " + model.systems.length), el("div", { class: "popbody", role: "group", "aria-label": "Systems" }, model.systems.map((s, i) => el("label", {}, el("input", { type: "checkbox", checked: state.shown.includes(i), onchange: (e) => { if (e.target.checked) state.shown.push(i); else if (state.shown.length > 1) state.shown.splice(state.shown.indexOf(i), 1); state.filtered = true; refresh(true); } }), medgen.mark(s.number, s.random, s.letter), medgen.plain(s.name)))));
    const table = state.look === "table", briefs = medgen.shortNames(model.systems);
    $("columns").className = table ? "trow strip columns" : "strip columns";
    if (table) { $("columns").replaceChildren(el("div", { class: "cell first" }, el("span", {}, "Sample")), el("div", {}, chooser), ...systemsShown().map((s) => el("div", { class: "num", title: medgen.plain(model.systems[s].name) }, medgen.mark(model.systems[s].number, model.systems[s].random, model.systems[s].letter), " " + medgen.plain(briefs[s])))); return; }
    $("columns").replaceChildren(el("div", { class: "cell first" }, el("span", {}, "Sample"), chooser), el("div", { class: "cell pic" }, "Input"), el("div", { class: "cell pic" }, "Reference"),
      ...systemsShown().map((s) => el("div", { class: "cell pic sysname", title: medgen.plain(model.systems[s].name) }, medgen.mark(model.systems[s].number, model.systems[s].random, model.systems[s].letter), el("span", { class: "name" }, medgen.plain(model.systems[s].name)))));
  }
  function rows() {
    const box = $("rows");
    box.className = state.look; $("columns").hidden = state.look === "cards";
    box.replaceChildren(); drawn = 0;
    if (!order.length) box.append(el("p", { class: "empty" }, "No sample is left. Take a filter away above."));
    more();
  }
  async function more() {
    const part = order.slice(drawn, drawn + (state.look === "table" ? 80 : AT_ONCE));
    if (!part.length) { count(); return; }
    drawn += part.length;
    const box = $("rows"), made = part.map((i) => (state.look === "cards" ? card(i) : state.look === "table" ? tableRow(i) : strip(i)));
    box.append(...made);
    count();
    const blocks = [...new Set(part.map((i) => Math.floor(i / model.block)))];
    for (const b of blocks) {
      medgen.load("texts-" + b).then((texts) => part.forEach((i, k) => { if (Math.floor(i / model.block) === b) fill(made[k], i, texts[i % model.block]); }), (e) => medgen.say(e.message));
    }
  }
  function count() { $("count").textContent = order.length ? "1–" + drawn.toLocaleString("en") + " of " + order.length.toLocaleString("en") : ""; }
  const link = (i) => "sample.html#" + state.write(model, i);

  function why(i) {
    const pills = [];
    const scores = systemsShown().map((s) => model.score(s, i)).filter((v) => v !== null), p = model.headline(i);
    if (scores.length > 1) pills.push(el("span", { class: "pill" }, "gap " + model.show(Math.max(...scores) - Math.min(...scores), p)));
    const failed = systemsShown().filter((s) => !medgen.FINE.includes(model.statusOf(s, i))).length;
    const tags = medgen.tagsOf(model, systemsShown(), i);
    for (const k of ["judges", "views"]) if (tags.includes(k)) pills.push(el("span", { class: "pill warn" }, medgen.TAGS[k]));
    if (failed) pills.push(el("span", { class: "pill bad" }, failed + " failed"));
    return pills;
  }
  function strip(i) {
    const at = order.indexOf(i), f = model.formats[model.format(i)];
    const node = el("div", { class: "strip", role: "row", tabindex: -1, "data-at": at },
      el("div", { class: "cell first", role: "rowheader" }, el("a", { href: link(i), class: "sid" }, medgen.plain(model.ids[i])), el("p", { class: "note" }, f.short + " · " + medgen.plain(model.word("modality", i) || "-")), el("p", { class: "instruction" }, " "), el("p", { class: "why" }, why(i))),
      el("div", { class: "cell pic", role: "gridcell" }, who("input"), model.inputs[i] ? medgen.picture(model, i, "input-0", "thumb", "input") : el("div", { class: "nopic" }, "no input")),
      el("div", { class: "cell pic", role: "gridcell" }, who("reference"), model.references[i] ? medgen.picture(model, i, "reference-0", "thumb", "reference") : null, el("p", { class: "words ref" })),
      ...systemsShown().map((s) => output(i, s)));
    node.addEventListener("click", (e) => { if (!e.target.closest("a,button")) focusRow(at); });
    node.addEventListener("dblclick", () => { location.href = link(i); });
    return node;
  }
  /* Whose picture it is, where no heads of columns stand: on a phone. */
  function who(text) { return el("p", { class: "who note", title: text }, text); }
  function output(i, s) {
    const status = model.statusOf(s, i), p = model.headline(i), v = model.score(s, i);
    const name = who(medgen.plain(model.systems[s].name));
    if (status === "") return el("div", { class: "cell pic", role: "gridcell" }, name, el("div", { class: "nopic" }, "not asked"));
    if (status === "not_applicable") return el("div", { class: "cell pic", role: "gridcell" }, name, el("div", { class: "nopic" }, "not applicable"));
    if (status !== "ok") return el("div", { class: "cell pic", role: "gridcell" }, name, el("div", { class: "failbox" }, el("span", { class: "pill bad" }, "✕ " + (model.references[i] ? "no picture" : "no answer")), el("span", {}, status)), el("p", { class: "note" }, "not scored, not 0"));
    const best = systemsShown().every((o) => { const w = model.good(o, i); return w === null || model.good(s, i) === null || w <= model.good(s, i) + 1e-9; });
    const right = matchValue >= 0 ? model.value(matchValue, s, i) : null;
    return el("div", { class: "cell pic", role: "gridcell", "data-sys": s }, name,
      model.references[i] ? medgen.picture(model, i, "s" + s, "thumb", medgen.plain(model.systems[s].name) + "'s output" + (v === null ? "" : ", scored " + model.show(v, p)), { onerror: (e) => e.target.replaceWith(el("div", { class: "nopic" }, "no picture to show")) }) : el("div", { class: "answer" }, right === null ? null : el("span", { class: right >= 0.5 ? "ok" : "bad" }, right >= 0.5 ? "✓ right " : "✗ wrong "), el("span", { class: "answertext" })),
      el("p", { class: "score" + (best && v !== null ? " best" : "") }, v === null ? el("span", { class: "note" }, "no value") : model.show(v, p), v === null ? null : medgen.cells(model, v, p)),
      disagree(s, i), el("p", { class: "words" }));
  }
  function disagree(s, i) {
    const own = medgen.rivals(model), found = own.length > 1 && medgen.apart(model, [s], i, own[0], own[1]);
    return found ? el("p", { class: "note warn" }, "judges " + Math.round(found[1]) + " and " + Math.round(found[2])) : null;
  }
  function fill(node, i, text) {
    if (!text) return;
    const inst = node.querySelector(".instruction");
    if (inst) inst.textContent = medgen.plain(text.instruction);
    const ref = node.querySelector(".words.ref");
    if (ref && text.reference) ref.textContent = "“" + medgen.plain(text.reference) + "”";
    node.querySelectorAll("[data-sys]").forEach((cell) => {
      const said = text.texts[cell.dataset.sys];
      if (!said) return;
      const answer = cell.querySelector(".answertext");
      (answer || cell.querySelector(".words")).textContent = answer ? medgen.plain(said) : "“" + medgen.plain(said) + "”";
    });
  }
  function card(i) {
    const at = order.indexOf(i), s = systemsShown()[0], v = model.score(s, i), p = model.headline(i);
    return el("a", { class: "samplecard strip", href: link(i), "data-at": at }, el("span", { class: "duo" }, model.references[i] ? medgen.picture(model, i, "reference-0", "thumb", "reference") : model.inputs[i] ? medgen.picture(model, i, "input-0", "thumb", "input") : null, model.references[i] && model.statusOf(s, i) === "ok" ? medgen.picture(model, i, "s" + s, "thumb", medgen.plain(model.systems[s].name) + "'s output") : null), el("b", {}, medgen.plain(model.ids[i])), el("span", { class: "score", title: medgen.plain(model.systems[s].name) }, medgen.mark(model.systems[s].number, model.systems[s].random, model.systems[s].letter), el("span", { class: "vh" }, medgen.plain(model.systems[s].name)), v === null ? model.statusOf(s, i) : model.show(v, p), v === null ? null : medgen.cells(model, v, p)));
  }
  function tableRow(i) {
    const at = order.indexOf(i), p = model.headline(i);
    return el("div", { class: "trow strip", "data-at": at, tabindex: -1 }, el("a", { href: link(i), class: "sid" }, medgen.plain(model.ids[i])), el("span", { class: "note" }, model.formats[model.format(i)].short + " · " + medgen.plain(model.word("task", i)) + " · " + medgen.plain(model.word("modality", i))), ...systemsShown().map((s) => { const v = model.score(s, i), t = model.statusOf(s, i); return el("span", { class: "num" }, v === null ? el("span", { class: t === "ok" ? "note" : "bad" }, t || "-") : model.show(v, p)); }));
  }

  function focusRow(at) {
    if (at < 0 || at >= order.length) return;
    while (at >= drawn && drawn < order.length) more();
    document.querySelectorAll(".strip.on").forEach((r) => r.classList.remove("on"));
    const row = document.querySelector('.strip[data-at="' + at + '"]');
    focused = at;
    if (row) { row.classList.add("on"); row.focus({ preventScroll: true }); row.scrollIntoView({ block: "nearest" }); }
  }
  function bind() {
    $("sort").addEventListener("change", (e) => { state.sort = e.target.value; refresh(); });
    document.querySelectorAll("[data-look]").forEach((b) => b.addEventListener("click", () => { state.look = b.dataset.look; refresh(true); }));
    $("clear").addEventListener("click", () => { state = new medgen.State(model, new URLSearchParams()); $("search").value = ""; refresh(); });
    let timer = 0;
    $("search").addEventListener("input", (e) => { clearTimeout(timer); timer = setTimeout(() => { state.q = e.target.value; refresh(); }, 120); });
    $("sheet").addEventListener("click", () => openSheet(!document.body.classList.contains("sheet")));
    $("closesheet").addEventListener("click", () => openSheet(false));
    new IntersectionObserver((seen) => { if (seen.some((s) => s.isIntersecting) && drawn < order.length) more(); }, { rootMargin: "600px" }).observe($("end"));
    Object.assign(medgen.keys, {
      j: () => focusRow(focused + 1), k: () => focusRow(Math.max(0, focused - 1)), ArrowDown: (e) => (e.target.closest(".strip") ? focusRow(focused + 1) : false), ArrowUp: (e) => (e.target.closest(".strip") ? focusRow(Math.max(0, focused - 1)) : false),
      Enter: (e) => { if (e.target.closest("a,button,summary,input")) return false; if (focused >= 0) location.href = link(order[focused]); return true; },
      f: () => { if (innerWidth < 1200) openSheet(true); else { const b = document.querySelector("#facets input"); if (b) b.focus(); } }, s: () => $("sort").focus(),
      Escape: () => openSheet(false),
    });
    for (let n = 1; n <= 9; n++) medgen.keys[String(n)] = () => { const s = state.shown[n - 1]; if (s === undefined) return; state.alone = state.alone === s ? null : s; refresh(true); };
  }
  function openSheet(on) { document.body.classList.toggle("sheet", on); $("sheet").setAttribute("aria-expanded", String(on)); if (on) { const b = document.querySelector("#facets input"); if (b) b.focus(); } }
  start();
})();
