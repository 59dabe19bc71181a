// Keys: `g` and then the key of a page goes there, `/` goes to the first filter, Escape closes what is open.
(() => {
  "use strict";
  let pending = false;
  const typing = (element) => element.closest("input, textarea, select, [contenteditable]") !== null;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    if (pending) {
      pending = false;
      const link = [...document.querySelectorAll("nav [data-key]")].find((own) => own.dataset.key === event.key);
      if (link) { event.preventDefault(); link.click(); }
    } else if (event.key === "g") {
      pending = true;
    } else if (event.key === "/") {
      const filter = document.querySelector("form.filter input");
      if (filter) { event.preventDefault(); filter.focus(); }
    }
  });
})();

// A button with data-copy copies the text of the element that it names.
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  const from = button && document.querySelector(button.dataset.copy);
  if (!from || !navigator.clipboard) return;
  navigator.clipboard.writeText(from.textContent).then(() => {
    const said = document.getElementById("said");
    if (said) said.textContent = "Copied.";
  });
});
