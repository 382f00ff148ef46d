"use strict";
/* The samples of a run as columns: what the gallery filters and sorts, and a sample steps through. */
(function () {
  const medgen = window.medgen;
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const NONE = 65535;

  class Model {
    constructor(raw) {
      Object.assign(this, raw);
      this.count = raw.ids.length;
      for (const kind of Object.keys(raw.facets)) raw.facets[kind].codes = new Uint16Array(bytes(raw.facets[kind].codes).buffer);
      this.sources = new Uint16Array(bytes(raw.sources).buffer);
      this.status = bytes(raw.status);
      this.inputs = bytes(raw.inputs); this.references = bytes(raw.references);
      this.columns = {};
      this.byDigest = new Map(raw.digests.map((d, i) => [d, i]));
      this.formatNames = Object.keys(raw.formats);
      this.groupKinds = Object.keys(raw.facets).filter((k) => k.startsWith("group: "));
    }
    /* What a search looks through: words of the samples, answers of the systems that are shown. */
    async search(state) {
      if (!state.q) return;
      this.words = this.words || await medgen.load("words");
      this.said = this.said || {};
      for (const s of state.shown) this.said[s] = this.said[s] || await medgen.load("said-" + s);
      this.answers = this.words.map((_, i) => state.shown.map((s) => this.said[s][i] || "").join("\n"));
    }
    format(i) { return this.facets.format.words[this.facets.format.codes[i]]; }
    word(kind, i) { return this.facets[kind].words[this.facets[kind].codes[i]]; }
    statusOf(s, i) { const c = this.status[s * this.count + i]; return c === 255 ? "" : c === 254 ? "missing" : this.statuses[c]; }
    async need(places) {
      await Promise.all(places.filter((p) => p !== null && p !== undefined && !this.columns[p]).map(async (p) => {
        const c = await medgen.load("value-" + p);
        this.columns[p] = { low: c.low, high: c.high, steps: new Uint16Array(bytes(c.steps).buffer) };
      }));
    }
    value(p, s, i) {
      const c = this.columns[p];
      if (!c) return null;
      const q = c.steps[s * this.count + i];
      return q === NONE ? null : c.low + (q / 65534) * (c.high - c.low);
    }
    headline(i) { return this.formats[this.format(i)].headline; }
    /* The value that ranks the sample's format, for a system. */
    score(s, i) { const p = this.headline(i); return p === null ? null : this.value(p, s, i); }
    /* The same on a scale from 0 to 1 on which more is better, so that formats can be sorted together. */
    good(s, i, place) {
      const p = place === undefined ? this.headline(i) : place;
      const v = p === null ? null : this.value(p, s, i);
      if (v === null) return null;
      const [low, high] = this.ends(p);
      const g = (v - low) / (high - low || 1);
      return this.values[p].direction === "lower" ? 1 - g : g;
    }
    ends(p) { return this.values[p].judge ? [1, 10] : [this.columns[p].low, this.columns[p].high]; }
    show(v, p) {
      if (v === null) return "–";
      if (this.values[p] && this.values[p].judge) return v.toFixed(1);
      return Math.abs(v) >= 100 ? v.toFixed(0) : Math.abs(v) >= 10 ? v.toFixed(1) : v.toFixed(2);
    }
    judgeValues() { return this.values.map((v, p) => [v, p]).filter(([v]) => v.judge && v.overall); }
    defaults() {
      const own = this.systems.map((s, i) => [s, i]).filter(([s]) => !s.control && !s.random).map(([, i]) => i);
      const rest = this.systems.map((s, i) => [s, i]).filter(([s]) => s.control).map(([, i]) => i);
      return [...own, ...rest].slice(0, matchMedia("(min-width: 1680px)").matches ? 8 : 4);
    }
  }

  /* Filters, sort and shown systems: all that a link carries. */
  class State {
    constructor(model, params) {
      const list = (k) => (params.get(k) || "").split(",").filter(Boolean);
      const known = (k, words) => list(k).map(Number).filter((n) => n >= 0 && n < words.length);
      this.format = known("f", model.formatNames).map((n) => model.formatNames[n]);
      this.task = known("task", model.facets.task.words);
      this.modality = known("mod", model.facets.modality.words);
      this.status = list("status").filter((w) => /^[a-z_]+$/.test(w));
      this.tags = list("tag").filter((w) => Object.keys(TAGS).includes(w));
      this.judged = list("judged").filter((w) => ["all", "some"].includes(w));
      this.groups = list("g").filter((g) => /^\d+\.\d+$/.test(g) && Number(g.split(".")[0]) < model.groupKinds.length);
      const shown = known("sys", model.systems);
      this.shown = shown.length ? shown : model.defaults();
      this.filtered = shown.length > 0;
      this.sort = params.get("sort") || "gap";
      this.pair = known("pair", model.systems);
      this.q = (params.get("q") || "").slice(0, 200);
      this.low = params.has("lo") ? Number(params.get("lo")) : null;
      this.high = params.has("hi") ? Number(params.get("hi")) : null;
      this.look = ["cards", "table"].includes(params.get("as")) ? params.get("as") : "strips";
      this.only = list("only");
      this.alone = null;
    }
    write(model, sample) {
      const p = new URLSearchParams();
      const put = (k, v) => { if (v.length) p.set(k, v.join(",")); };
      put("f", this.format.map((f) => model.formatNames.indexOf(f)));
      put("task", this.task); put("mod", this.modality); put("status", this.status); put("g", this.groups); put("tag", this.tags); put("judged", this.judged);
      if (this.filtered) put("sys", this.shown);
      put("pair", this.pair); put("only", this.only);
      if (this.sort !== "gap") p.set("sort", this.sort);
      if (this.q) p.set("q", this.q);
      if (this.low !== null) p.set("lo", this.low);
      if (this.high !== null) p.set("hi", this.high);
      if (this.look !== "strips") p.set("as", this.look);
      if (sample !== undefined) p.set("s", model.digests[sample]);
      return p.toString().replace(/%2C/g, ",");
    }
    places(model) {
      const judges = model.judgeValues().map(([, p]) => p);
      const heads = Object.values(model.formats).map((f) => f.headline);
      /* In a large run a judge's column is fetched only for what asks for it. */
      const asked = this.tags.length || this.judged.length || model.count * model.systems.length <= SMALL;
      const more = this.sort.startsWith("judge") || this.sort === "views" ? [...judges, metricOf(model)] : asked ? judges : [];
      return [...new Set([...heads, ...more].filter((p) => p !== null && p !== undefined))];
    }
    matches(model, i, but) {
      if (but !== "format" && this.format.length && !this.format.includes(model.format(i))) return false;
      if (but !== "task" && this.task.length && !this.task.includes(model.facets.task.codes[i])) return false;
      if (but !== "modality" && this.modality.length && !this.modality.includes(model.facets.modality.codes[i])) return false;
      if (but !== "status" && this.status.length) {
        const all = this.filtered ? this.shown : model.systems.map((_, s) => s).filter((s) => !model.systems[s].control && !model.systems[s].random);
        if (!this.status.some((w) => (w === "ok" ? this.shown.every((s) => { const t = model.statusOf(s, i); return t === "ok" || t === ""; }) : all.some((s) => model.statusOf(s, i) === w)))) return false;
      }
      if (but !== "tag" && this.tags.length) { const own = tagsOf(model, this.shown, i); if (!this.tags.some((w) => own.includes(w))) return false; }
      if (but !== "judged" && this.judged.length && !this.judged.includes(judgedOf(model, this.shown, i))) return false;
      for (let k = 0; k < model.groupKinds.length; k++) {
        const own = this.groups.filter((g) => g.startsWith(k + "."));
        if (own.length && but !== "group" + k && !own.includes(k + "." + model.facets[model.groupKinds[k]].codes[i])) return false;
      }
      if (this.only.length && !this.only.includes(model.digests[i])) return false;
      if (but !== "score" && (this.low !== null || this.high !== null)) {
        const best = bestScore(model, this.shown, i);
        if (best === null || (this.low !== null && best < this.low - 1e-6) || (this.high !== null && best > this.high + 1e-6)) return false;
      }
      if (this.q) {
        const q = this.q.toLowerCase();
        if (!model.ids[i].toLowerCase().includes(q) && !(model.words && model.words[i] && model.words[i].includes(q)) && !(model.answers && model.answers[i] && model.answers[i].includes(q))) return false;
      }
      return true;
    }
    order(model) {
      const found = [];
      for (let i = 0; i < model.count; i++) if (this.matches(model, i)) found.push(i);
      const key = sortKey(this, model);
      if (!key) return found;
      const keyed = found.map((i) => [key(i), i]);
      keyed.sort((a, b) => (b[0] === null ? -Infinity : b[0]) - (a[0] === null ? -Infinity : a[0]) || a[1] - b[1]);
      return keyed.map((k) => k[1]);
    }
  }

  /* Statuses of a prediction that nobody is to look at; empty where it was not asked. */
  const FINE = ["ok", "", "not_applicable"];
  const SMALL = 60000, APART = 3;
  /* Why a sample may be looked at, and how that is called. */
  const TAGS = { failed: "failed", gap: "wide gap", judges: "judges differ", views: "views differ" };
  /* What two columns give a system on a sample, where they are APART of a judge's ten or more. */
  function apart(model, shown, i, one, two) {
    for (const s of shown) { const a = model.value(one, s, i), b = model.value(two, s, i); if (a !== null && b !== null && Math.abs(a - b) >= APART - 1e-3) return [s, a, b]; }
    return null;
  }
  function rivals(model) { return model.judgeValues().filter(([v]) => v.key[2].endsWith("reference_based") && v.key[1] !== "judges").map(([, p]) => p); }
  function tagsOf(model, shown, i) {
    const found = [], goods = shown.map((s) => model.good(s, i)).filter((g) => g !== null);
    if (shown.some((s) => !FINE.includes(model.statusOf(s, i)))) found.push("failed");
    if (goods.length > 1 && Math.max(...goods) - Math.min(...goods) >= 0.3) found.push("gap");
    const own = rivals(model), free = model.judgeValues().find(([v]) => v.key[2].endsWith("reference_free"));
    if (own.length > 1 && apart(model, shown, i, own[0], own[1])) found.push("judges");
    if (own.length && free && apart(model, shown, i, own[0], free[1])) found.push("views");
    return found;
  }
  /* Whether every shown system that answered has a judge's score; empty where none is asked. */
  function judgedOf(model, shown, i) {
    const own = rivals(model), ok = shown.filter((s) => model.statusOf(s, i) === "ok");
    return own.length && ok.length ? (ok.every((s) => own.every((p) => model.value(p, s, i) !== null)) ? "all" : "some") : "";
  }
  Object.assign(medgen, { FINE, TAGS, tagsOf, judgedOf, rivals, apart });

  function bestScore(model, shown, i) {
    let best = null;
    /* A control knows the answer or gives none: its score would hide what the systems do. */
    const own = shown.filter((s) => !model.systems[s].control), sign = (model.values[model.headline(i)] || {}).direction === "lower" ? -1 : 1;
    for (const s of own.length ? own : shown) { const g = model.score(s, i); if (g !== null && (best === null || sign * g > sign * best)) best = g; }
    return best;
  }
  function metricOf(model) { const at = model.values.findIndex((v) => !v.judge && v.direction && v.overall); return at < 0 ? null : at; }

  /* By how much a sample stands out: more comes first. */
  function sortKey(state, model) {
    const shown = state.shown;
    const goods = (i) => shown.map((s) => model.good(s, i)).filter((g) => g !== null);
    const mean = (list) => (list.length ? list.reduce((a, b) => a + b, 0) / list.length : null);
    if (state.sort === "worst") return (i) => { const m = mean(goods(i)); return m === null ? null : -m; };
    if (state.sort === "best") return (i) => mean(goods(i));
    if (state.sort === "gap") return (i) => { const g = goods(i); return g.length > 1 ? Math.max(...g) - Math.min(...g) : null; };
    if (state.sort === "pair") {
      const [a, b] = state.pair.length === 2 ? state.pair : shown;
      return (i) => { const x = model.good(a, i), y = model.good(b, i); return x === null || y === null ? null : Math.abs(x - y); };
    }
    const judges = model.judgeValues();
    if (state.sort === "views") {
      const free = judges.find(([v]) => v.key[2].endsWith("reference_free")), based = judges.find(([v]) => v.key[2].endsWith("reference_based"));
      if (!free || !based) return null;
      return (i) => widest(shown, (s) => difference(model.good(s, i, free[1]), model.good(s, i, based[1])));
    }
    if (state.sort === "judges") {
      const own = judges.filter(([v]) => v.key[2].endsWith("reference_based") && v.key[1] !== "judges");
      if (own.length < 2) return null;
      return (i) => widest(shown, (s) => difference(model.good(s, i, own[0][1]), model.good(s, i, own[1][1])));
    }
    if (state.sort === "judgemetric" && judges.length) {
      const places = model.values.map((v, p) => [v, p]).filter(([v]) => !v.judge && v.direction && v.overall);
      const ranks = new Map();
      const rank = (p, s) => { const k = p + "/" + s; if (!ranks.has(k)) ranks.set(k, ranksOf(model, p, s)); return ranks.get(k); };
      const metric = (i) => (places.find(([v, p]) => v.formats.includes(model.format(i)) && model.columns[p]) || [null, null])[1];
      return (i) => { const p = metric(i); return p === null ? null : widest(shown, (s) => difference(rank(judges[0][1], s)[i], rank(p, s)[i])); };
    }
    return null;
  }
  const difference = (a, b) => (a === null || b === null || a === undefined || b === undefined ? null : Math.abs(a - b));
  function widest(shown, of) { let best = null; for (const s of shown) { const d = of(s); if (d !== null && (best === null || d > best)) best = d; } return best; }
  function ranksOf(model, p, s) {
    const groups = {};
    for (let i = 0; i < model.count; i++) { const g = model.good(s, i, p); if (g !== null) (groups[model.format(i)] ||= []).push([g, i]); }
    const out = {};
    for (const list of Object.values(groups)) { list.sort((a, b) => a[0] - b[0]); list.forEach(([, i], r) => { out[i] = r / list.length; }); }
    return out;
  }

  medgen.SORTS = [["gap", "Widest gap among shown"], ["worst", "Worst first"], ["best", "Best first"], ["pair", "Gap between two systems"], ["judgemetric", "Judge against metric"], ["judges", "Judge against judge"], ["views", "View against view"], ["order", "Order of the benchmark"]];
  /* Each name's beginning, as far as its words tell it from all others; as the pages' own. */
  medgen.shortNames = (systems) => {
    const parts = systems.map((s) => (s.control ? [s.name] : s.name.match(/[^A-Za-z0-9.]*[A-Za-z0-9.]+/g) || [s.name]));
    return parts.map((own, i) => {
      let n = 1;
      const same = (other, j) => j !== i && !systems[j].control && other.slice(0, n).join("\n") === own.slice(0, n).join("\n");
      while (n < own.length && parts.some(same)) n++;
      const text = own.slice(0, n).join("");
      return text.length <= 14 ? text : text.slice(0, 7) + "…" + text.slice(-6);
    });
  };
  medgen.openModel = async () => new Model(await medgen.load("gallery"));
  medgen.State = State;
  medgen.bestScore = bestScore;

  /* The score in ten cells, coloured by its step from low to high. */
  medgen.cells = (model, v, p) => {
    const [low, high] = model.ends(p);
    const share = Math.max(0, Math.min(1, (v - low) / (high - low || 1)));
    const good = model.values[p].direction === "lower" ? 1 - share : share;
    const step = Math.min(6, Math.floor(good * 7)), full = Math.max(1, Math.round(model.values[p].judge ? v : good * 10));
    const svg = medgen.el("svg", { class: "cells v" + step, width: 69, height: 6, "aria-hidden": "true" });
    for (let k = 0; k < 10; k++) svg.append(medgen.el("rect", { x: k * 7, width: 5.5, height: 6, rx: 1, class: k < full ? "on" : "off" }));
    return svg;
  };
  medgen.picture = (model, i, slot, kind, alt, more) => medgen.el("img", Object.assign({ src: "p/" + model.digests[i] + "-" + slot + "-" + kind + ".webp", alt, loading: "lazy", decoding: "async", class: kind, onerror: (e) => e.target.replaceWith(medgen.el("span", { class: "nopic" }, "no picture to show")) }, more || {}));
})();
