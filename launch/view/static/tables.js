"use strict";
/* Compare: pickers that lead to the page of a pair, and parts that are shown in turn. */
(function () {
  const left = document.getElementById("left"), right = document.getElementById("right");
  const go = (a, b) => { if (a !== b) location.href = "compare-" + Number(a) + "-" + Number(b) + ".html"; };
  if (left) {
    left.addEventListener("change", () => go(left.value, right.value));
    right.addEventListener("change", () => go(left.value, right.value));
    const swap = () => go(right.value, left.value);
    document.getElementById("swap").addEventListener("click", swap);
    window.medgen.keys.x = swap;
  }
  document.querySelectorAll("[data-part]").forEach((b) => b.addEventListener("click", () => {
    const group = [...b.parentNode.querySelectorAll("[data-part]")];
    group.forEach((o) => { o.setAttribute("aria-pressed", String(o === b)); document.getElementById(o.dataset.part).hidden = o !== b; });
  }));
  const by = window.medgen.fragment().get("by");
  const asked = by && [...document.querySelectorAll("[data-part]")].find((b) => b.textContent.trim() === by);
  if (asked) asked.click();
})();
