"use strict";
/* What every page shares: theme, keys, words, folding, sorting, and the way data comes in. */
(function () {
  const root = document.documentElement;
  const store = { get(k) { try { return localStorage.getItem("medgen-" + k); } catch (e) { return null; } }, set(k, v) { try { localStorage.setItem("medgen-" + k, v); } catch (e) { /* a page from a disk may keep nothing */ } } };
  const kept = store.get("theme");
  if (kept === "dark" || kept === "light") root.dataset.theme = kept;

  const waiting = {};
  const medgen = (window.medgen = {
    store,
    /* Called by data scripts: one call with JSON. */
    data(name, value) { const w = waiting[name]; if (w) { w.value = value; w.done(value); } },
    /* Loads data/<name>.js once. From a disk nothing but a script tag may load. */
    load(name) {
      if (!waiting[name]) {
        const w = (waiting[name] = {});
        w.promise = new Promise((done, failed) => {
          w.done = done;
          const tag = document.createElement("script");
          tag.src = "data/" + name + ".js";
          tag.onerror = () => failed(new Error("data/" + name + ".js is missing"));
          document.head.append(tag);
        });
      }
      return waiting[name].promise;
    },
    el(tag, attrs, ...children) {
      const svg = ["svg", "rect", "circle", "line", "path", "text", "use", "g", "title", "polyline"].includes(tag);
      const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
      for (const [k, v] of Object.entries(attrs || {})) {
        if (v === false || v === null || v === undefined) continue;
        if (k.startsWith("on")) node.addEventListener(k.slice(2), v);
        else node.setAttribute(k, v === true ? "" : v);
      }
      for (const c of children.flat(4)) if (c !== null && c !== undefined && c !== false) node.append(c);
      return node;
    },
    /* Foreign text: control, direction and zero-width signs are written out. */
    plain(text) {
      return String(text).replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/g,
        (c) => "U+" + c.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0"));
    },
    say(text) { const s = document.getElementById("said"); if (s) s.textContent = text; },
    fragment() { return new URLSearchParams(location.hash.slice(1)); },
    mark(number, random, letter) {
      const s = medgen.el("svg", { class: "mk s" + number + (letter ? " ctl" : ""), width: 16, height: 16, viewBox: "-8 -8 16 16", "aria-hidden": "true" });
      if (letter) s.append(medgen.el("rect", { x: -6.5, y: -6.5, width: 13, height: 13, rx: 2 }), medgen.el("text", { y: 3.4 }, letter));
      else s.append(medgen.el("use", { href: random ? "#mr" : "#m" + number }));
      return s;
    },
    fail(where, what) {
      where.replaceChildren(medgen.el("div", { class: "card problem", role: "alert" }, medgen.el("h2", {}, "This page has no data"), medgen.el("p", {}, what), medgen.el("p", {}, "Make the pages again: medgen view --bundle DIR, or look whether the folder was copied whole.")));
    },
    keys: {},
  });

  function ready() {
    theme(); help(); words(); folds(); tables(); tabs(); search(); pops(); showPins(); refresh();
    document.addEventListener("keydown", onkey);
  }

  function theme() {
    const button = document.getElementById("theme");
    const dark = () => root.dataset.theme === "dark" || (!root.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
    const draw = () => { button.firstElementChild.textContent = dark() ? "☾" : "☀"; };
    button.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; store.set("theme", root.dataset.theme); draw(); });
    draw();
  }

  function help() {
    const dialog = document.getElementById("keys"), off = document.getElementById("keys-off");
    document.getElementById("help").addEventListener("click", () => dialog.showModal());
    off.checked = store.get("keys") === "off";
    off.addEventListener("change", () => store.set("keys", off.checked ? "off" : "on"));
  }

  const glossary = {};
  function words() {
    document.querySelectorAll("dl.words > div").forEach((d) => { glossary[d.firstElementChild.textContent] = d.lastElementChild.textContent; });
    const tip = document.getElementById("tip");
    let owner = null;
    const show = (b) => {
      const key = Object.keys(glossary).find((k) => k === b.dataset.term || k.split(/,\s+/).includes(b.dataset.term));
      if (!key) return;
      tip.textContent = glossary[key];
      tip.hidden = false; owner = b;
      b.setAttribute("aria-describedby", "tip");
      const r = b.getBoundingClientRect();
      tip.style.left = Math.max(8, Math.min(r.left, innerWidth - tip.offsetWidth - 8)) + "px";
      tip.style.top = (r.bottom + 6 + tip.offsetHeight > innerHeight ? r.top - tip.offsetHeight - 6 : r.bottom + 6) + "px";
    };
    const hide = () => { tip.hidden = true; if (owner) owner.removeAttribute("aria-describedby"); owner = null; };
    medgen.hideTip = hide;
    document.addEventListener("mouseover", (e) => { const b = e.target.closest(".term"); if (b) show(b); });
    document.addEventListener("mouseout", (e) => { if (e.target.closest(".term")) hide(); });
    document.addEventListener("focusin", (e) => { const b = e.target.closest(".term"); if (b) show(b); else hide(); });
    document.addEventListener("click", (e) => { const b = e.target.closest(".term"); if (b) show(b); });
  }

  function folds() {
    document.querySelectorAll("button.fold").forEach((b) => b.addEventListener("click", () => {
      const open = b.getAttribute("aria-expanded") !== "true";
      b.setAttribute("aria-expanded", String(open));
      const target = b.dataset.target ? document.getElementById(b.dataset.target) : b.closest("tbody").nextElementSibling;
      target.hidden = !open;
    }));
  }

  function tables() {
    document.querySelectorAll("table.sortable").forEach((table) => {
      const body = table.tBodies[0], first = [...body.rows];
      table.querySelectorAll("th button[data-sort]").forEach((b) => b.addEventListener("click", () => {
        const th = b.closest("th"), now = th.getAttribute("aria-sort"), key = b.dataset.sort;
        const at = [...th.parentNode.children].indexOf(th);
        table.querySelectorAll("th[aria-sort]").forEach((o) => o.removeAttribute("aria-sort"));
        const numeric = !["name", "text"].includes(key);
        const next = now === (numeric ? "descending" : "ascending") ? (numeric ? "ascending" : "descending") : now && now !== "none" && key !== "rank" ? "none" : numeric ? "descending" : "ascending";
        if (next === "none" || key === "rank") { body.append(...first); const r = table.querySelector("th.rank"); if (r) r.setAttribute("aria-sort", "ascending"); return; }
        th.setAttribute("aria-sort", next);
        const value = (row) => {
          const cell = row.cells[at];
          if (!numeric) return cell.textContent.trim().toLowerCase();
          const raw = key === "mean" ? row.dataset.mean : key === "failed" ? row.dataset.failed : cell.dataset.v ?? cell.textContent.replace(/[^0-9.−-]/g, "").replace("−", "-");
          return raw === "" ? null : Number(raw);
        };
        const sign = next === "ascending" ? 1 : -1;
        body.append(...first.slice().sort((a, c) => {
          const x = value(a), y = value(c);
          if (x === null || y === null) return (x === null) - (y === null);
          return x < y ? -sign : x > y ? sign : 0;
        }));
      }));
      const card = table.closest(".card");
      if (!card) return;
      card.querySelectorAll("[data-scale]").forEach((b) => b.addEventListener("click", () => {
        card.classList.toggle("fitted", b.dataset.scale === "fit");
        card.querySelectorAll("[data-scale]").forEach((o) => o.setAttribute("aria-pressed", String(o === b)));
      }));
      const broad = matchMedia("(min-width: 1680px)").matches;
      card.querySelectorAll("[data-col]").forEach((c) => {
        if (c.dataset.broad !== undefined) c.checked = broad;
        c.addEventListener("change", () => {
          table.querySelectorAll(".val.c" + c.dataset.col).forEach((cell) => { cell.classList.remove("broad"); cell.hidden = !c.checked; });
        });
      });
    });
  }

  function tabs() {
    document.querySelectorAll("[data-tab]").forEach((b) => b.addEventListener("click", () => {
      document.querySelectorAll("[data-tab]").forEach((o) => o.setAttribute("aria-pressed", String(o === b)));
      document.querySelectorAll("[data-board]").forEach((c) => c.classList.toggle("on", c.dataset.board === b.dataset.tab));
    }));
  }

  function search() {
    const input = document.getElementById("search");
    input.addEventListener("keydown", (e) => {
      if (e.key === "Enter" && root.dataset.page !== "gallery") location.href = "gallery.html#q=" + encodeURIComponent(input.value);
      if (e.key === "Escape") input.blur();
    });
  }

  function pops() {
    document.addEventListener("click", (e) => document.querySelectorAll("details.pop[open], details.menu[open]").forEach((d) => { if (!d.contains(e.target)) d.open = false; }));
  }

  /* Copies a text and says so; where the clipboard is closed to the page, an old way is tried. */
  function copy(text, said, otherwise) {
    const old = () => {
      const area = medgen.el("textarea", { class: "vh", "aria-hidden": "true" });
      area.value = text;
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      flash(done ? said : otherwise || "the browser lets no page copy");
    };
    if (navigator.clipboard) navigator.clipboard.writeText(text).then(() => flash(said), old); else old();
  }
  medgen.copy = copy;
  let fading = null;
  function flash(text) {
    const s = document.getElementById("said");
    medgen.say(text);
    s.classList.remove("vh");
    clearTimeout(fading);
    fading = setTimeout(() => s.classList.add("vh"), 2500);
  }
  /* A run that goes on: its page is read again, by hand or every 30 s, never under the pointer. */
  function refresh() {
    const button = document.getElementById("refresh");
    if (!button) return;
    button.addEventListener("click", () => location.reload());
    setInterval(() => { if (!document.hidden && !document.querySelector("main:hover, main :focus, dialog[open], details[open]")) location.reload(); }, 30000);
  }
  function copyLink() { copy(location.href, "link copied", "the link stands in the address bar"); }
  medgen.copyLink = copyLink;
  document.addEventListener("click", (e) => { if (e.target.closest("[data-copy]")) copyLink(); });

  function onkey(e) {
    if (e.key === "Escape") { medgen.hideTip(); document.querySelectorAll("details.pop[open], details.menu[open]").forEach((d) => { d.open = false; d.firstElementChild.focus(); }); }
    if (e.ctrlKey || e.metaKey || e.altKey || document.querySelector("dialog[open]")) return;
    if (/^(INPUT|TEXTAREA|SELECT)$/.test(e.target.tagName) && e.target.type !== "checkbox") return;
    if (store.get("keys") === "off") return;
    if (e.key === "/") { e.preventDefault(); document.getElementById("search").focus(); }
    else if (e.key === "?") document.getElementById("keys").showModal();
    else if (e.key === "c") copyLink();
    else if (e.key === "p" && e.target.closest("tr[data-system]")) pin(e.target.closest("tr[data-system]").dataset.system);
    else if (medgen.keys[e.key]) { if (medgen.keys[e.key](e) !== false) e.preventDefault(); }
  }

  /* Pinned rows stand in the link. */
  function pins() { return (medgen.fragment().get("pin") || "").split(",").filter((s) => /^\d+$/.test(s)); }
  function showPins() { const own = pins(); document.querySelectorAll("tr[data-system]").forEach((row) => row.classList.toggle("pin", own.includes(row.dataset.system))); }
  function pin(system) {
    const own = pins(), now = medgen.fragment(), left = own.includes(system) ? own.filter((s) => s !== system) : [...own, system].slice(-6);
    if (left.length) now.set("pin", left.join(",")); else now.delete("pin");
    history.replaceState(null, "", now.size ? "#" + now.toString().replace(/%2C/g, ",") : location.pathname + location.search);
    showPins();
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", ready); else ready();
})();
