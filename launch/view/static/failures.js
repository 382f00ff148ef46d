"use strict";
/* Failures: a cell that filters the causes below, the table as CSV, and texts to copy. */
(function () {
  const medgen = window.medgen, all = (css, at) => [...(at || document).querySelectorAll(css)];
  const only = document.getElementById("only"), cells = all("button[data-status]");
  function filter(sys, status) {
    const cell = cells.find((c) => c.dataset.sys === sys && c.dataset.status === status), row = sys !== null && cells.find((c) => c.dataset.sys === sys);
    cells.forEach((c) => c.setAttribute("aria-pressed", String(c === cell)));
    const causes = all("details.cause[data-status]");
    causes.forEach((c) => { c.hidden = !((!status || c.dataset.status === status) && (sys === null || c.dataset.systems.includes(" " + sys + " "))); });
    document.getElementById("nocause").hidden = !causes.length || causes.some((c) => !c.hidden);
    only.hidden = !status && sys === null;
    only.textContent = [row ? row.closest("tr").querySelector(".name").title : sys === null ? "" : "a system", status].filter(Boolean).join(", ") + " ×";
    medgen.say(causes.filter((c) => !c.hidden).length + " causes");
  }
  function read() {
    const now = medgen.fragment(), sys = now.get("sys");
    filter(sys !== null && /^\d+$/.test(sys) ? sys : null, now.get("status"));
  }
  function go(sys, status) {
    const now = medgen.fragment();
    for (const [k, v] of [["sys", sys], ["status", status]]) if (v === null) now.delete(k); else now.set(k, v);
    history.replaceState(null, "", now.size ? "#" + now : location.pathname + location.search);
    read();
  }
  cells.forEach((c) => c.addEventListener("click", () => (c.getAttribute("aria-pressed") === "true" ? go(null, null) : go(c.dataset.sys, c.dataset.status))));
  only.addEventListener("click", () => go(null, null));
  addEventListener("hashchange", read);
  read();

  all("[data-copytext]").forEach((b) => b.addEventListener("click", () => medgen.copy(b.closest("details, div").parentNode.querySelector("pre.raw").textContent, "copied")));
  /* A cell that a sheet would take for a formula stands behind an apostrophe. */
  const csv = (text) => '"' + text.trim().replace(/^[=+@-]/, "'$&").replace(/"/g, '""') + '"';
  document.getElementById("csv").addEventListener("click", () => {
    const table = all("#predictions table, #scores table, #verdicts table").find((t) => t.offsetParent) || document.getElementById("statuses");
    const text = all("tr", table).filter((r) => !r.closest(".foldhead")).map((r) => [...r.cells].map((c) => csv((c.querySelector(".name") || {}).title || c.textContent)).join(",")).join("\r\n") + "\r\n";
    const link = medgen.el("a", { href: URL.createObjectURL(new Blob([text], { type: "text/csv" })), download: "failures.csv" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  });
})();
