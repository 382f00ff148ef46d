"use strict";
/* Compare: the pickers, the margin within which two are alike, the samples that moved, Markdown. */
(function () {
  const medgen = window.medgen, all = (css, at) => [...(at || document).querySelectorAll(css)];
  const left = document.getElementById("left"), right = document.getElementById("right");
  const GLYPHS = { sure: "●", likely: "◐", alike: "≈" }, TONES = { sure: "ok", likely: "warn" };
  const go = (a, b) => { if (a !== b) location.href = "compare-" + Number(a) + "-" + Number(b) + ".html" + location.hash; };
  left.addEventListener("change", () => go(left.value, right.value));
  right.addEventListener("change", () => go(left.value, right.value));
  const swap = () => go(right.value, left.value);
  document.getElementById("swap").addEventListener("click", swap);
  medgen.keys.x = swap;

  function keep(name, value) {
    const now = medgen.fragment();
    if (value) now.set(name, value); else now.delete(name);
    history.replaceState(null, "", now.size ? "#" + now : location.pathname + location.search);
  }

  /* ---- margin: the rule of the word alike, on the intervals that stand in the page ---- */
  const margins = {};
  function within(s) {
    const m = margins[s.dataset.value];
    return m > 0 && s.dataset.word !== "too few" && s.dataset.low !== undefined && -m < Number(s.dataset.low) && Number(s.dataset.high) < m;
  }
  function word(s) {
    const alike = within(s), now = alike ? "alike" : s.dataset.word, why = alike ? "within the margin of " + margins[s.dataset.value] : s.dataset.why;
    const glyph = s.querySelector(".glyph"), pill = s.closest(".pill");
    glyph.textContent = GLYPHS[now] || "○";
    glyph.className = "glyph " + (TONES[now] || "plain");
    if (pill) pill.className = "pill " + (TONES[now] || "plain");
    s.querySelector(".saidword").textContent = now;
    s.title = why;
    return now;
  }
  function card(c) {
    const s = c.querySelector(".certain"), now = word(s), lede = c.querySelector(".lede"), why = c.querySelector(".why1"), needed = c.querySelector(".needed");
    if (!c.kept) c.kept = [[...lede.childNodes], needed.hidden, needed.children[0].textContent, needed.children[1].textContent];
    lede.replaceChildren(...(now === "alike" ? [lede.dataset.alike] : c.kept[0]));
    if (why) why.textContent = s.title;
    const m = margins[s.dataset.value], half = (Number(s.dataset.high) - Number(s.dataset.low)) / 2;
    const many = Number(needed.dataset.n) * ((1.43 * half) / m) ** 2, counted = m > 0 && isFinite(many) && many >= 1;
    needed.hidden = now === "alike" || c.kept[1];
    needed.children[0].textContent = counted ? String(m) : c.kept[2];
    needed.children[1].textContent = counted ? Math.trunc(Number(many.toPrecision(3))).toLocaleString("en") : c.kept[3];
    return [c.dataset.short, c.dataset.ahead, now];
  }
  const verdict = document.getElementById("verdict"), plain = verdict ? verdict.textContent : "";
  function decide(cards) {
    const { left: one, right: two } = verdict.dataset, name = (side) => (side === "left" ? one : two), many = cards.length;
    if (!cards.some((c) => c[2] === "alike")) return plain;
    if (cards.every((c) => c[2] === "alike")) return "Alike: within the margin in " + (many === 1 ? "its only format." : "every format.");
    const sure = cards.filter((c) => c[2] === "sure" && c[1]), alike = cards.filter((c) => c[2] === "alike").map((c) => c[0]).join(" and ");
    if (!sure.length) return "Close: alike in " + alike + "; elsewhere no difference is sure.";
    return sure.map((c) => name(c[1]) + " is better in " + c[0]).join(", ") + "; alike in " + alike + ".";
  }
  function apply() {
    const set = all("[data-margin]").filter((i) => Number(i.value) > 0);
    all("[data-margin]").forEach((i) => { margins[i.dataset.margin] = Number(i.value) || 0; });
    document.getElementById("margin").textContent = "Margin" + (set.length ? " ±" + set.map((i) => Number(i.value)).join(", ±") : "");
    const cards = all(".paircard").map(card);
    if (cards.length) verdict.textContent = decide(cards);
    all("table .certain").forEach(word);
    all("table.forest").forEach((t) => {
      const m = margins[t.dataset.value] || 0, half = Math.min(50, (50 * m) / Number(t.dataset.top));
      all("rect.margin", t).forEach((r) => { r.setAttribute("x", 50 - half + "%"); r.setAttribute("width", 2 * half + "%"); });
    });
    const own = document.querySelector("table.forest");
    if (own) document.getElementById("bandwords").hidden = !(margins[own.dataset.value] > 0);
  }
  function margin() {
    if (!document.getElementById("margin")) return;
    for (const part of (medgen.fragment().get("margin") || "").split(",")) {
      const [place, value] = part.split(":"), input = all("[data-margin]").find((i) => i.dataset.margin === place);
      if (input && Number(value) > 0) input.value = Number(value);
    }
    all("[data-margin]").forEach((i) => i.addEventListener("input", () => {
      keep("margin", all("[data-margin]").filter((o) => Number(o.value) > 0).map((o) => o.dataset.margin + ":" + Number(o.value)).join(","));
      apply();
    }));
    apply();
  }

  /* ---- the samples that moved most ---- */
  function ways() {
    const show = (way) => {
      all("[data-way]").forEach((b) => b.setAttribute("aria-pressed", String(b.dataset.way === way)));
      const rows = all(".movedrow");
      rows.forEach((r) => { r.hidden = way === "both" ? r.dataset.extra !== undefined : r.dataset.to !== way; });
      document.getElementById("nomoved").hidden = rows.some((r) => !r.hidden);
    };
    all("[data-way]").forEach((b) => b.addEventListener("click", () => { keep("moved", b.dataset.way === "both" ? "" : b.dataset.way); show(b.dataset.way); }));
    const asked = medgen.fragment().get("moved");
    if (asked === "left" || asked === "right") show(asked);
  }

  /* ---- Markdown, and what was not measured alike ---- */
  const button = document.getElementById("markdown");
  if (button) button.addEventListener("click", async () => {
    try { medgen.copy(await medgen.load(button.dataset.file), "the tables are copied as Markdown"); }
    catch (e) { medgen.say(e.message); button.textContent = "Markdown is missing"; }
  });
  const across = document.getElementById("across");
  if (across) {
    const open = () => { document.getElementById("pairbody").hidden = false; across.hidden = true; };
    across.addEventListener("click", () => { keep("across", "1"); open(); });
    if (medgen.fragment().get("across")) open();
  }
  margin();
  if (document.getElementById("moved")) ways();
})();
