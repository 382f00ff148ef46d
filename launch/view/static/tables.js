"use strict";
/* Parts of a page that are shown in turn: a fragment `by=` names the one that is asked for. */
(function () {
  const buttons = [...document.querySelectorAll("[data-part]")];
  buttons.forEach((b) => b.addEventListener("click", () => {
    [...b.parentNode.querySelectorAll("[data-part]")].forEach((o) => { o.setAttribute("aria-pressed", String(o === b)); document.getElementById(o.dataset.part).hidden = o !== b; });
    const now = window.medgen.fragment();
    now.set("by", b.textContent.trim());
    history.replaceState(null, "", "#" + now);
  }));
  const by = window.medgen.fragment().get("by");
  const asked = by && buttons.find((b) => b.textContent.trim() === by);
  if (asked) asked.click();
})();
