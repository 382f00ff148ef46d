"use strict";
/* Parts of a page that are shown in turn; the fragment names the one that is asked for. */
(function () {
  const medgen = window.medgen, buttons = [...document.querySelectorAll("[data-part]")];
  const key = (b) => b.dataset.key || "by", name = (b) => b.dataset.name || b.textContent.trim();
  const show = (b) => {
    const part = document.getElementById(b.dataset.part);
    [...b.parentNode.querySelectorAll("[data-part]")].forEach((o) => { o.setAttribute("aria-pressed", String(o === b)); document.getElementById(o.dataset.part).hidden = o.dataset.part !== b.dataset.part; });
    part.dataset.mode = b.dataset.mode || "";
  };
  buttons.forEach((b) => b.addEventListener("click", () => {
    show(b);
    const now = medgen.fragment();
    now.set(key(b), name(b));
    history.replaceState(null, "", "#" + now);
  }));
  const asked = () => buttons.forEach((b) => { if (medgen.fragment().get(key(b)) === name(b)) show(b); });
  addEventListener("hashchange", asked);
  asked();
})();
