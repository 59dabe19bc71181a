// Keys: `g` and then the key of a page goes there, `/` goes to the first filter, Ctrl-K opens the palette, Escape closes what is open.
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

// The overview refreshes itself while it is seen, unless somebody fills in a form or reads a table in it.
(() => {
  "use strict";
  const now = document.getElementById("now");
  const wanted = document.getElementById("refresh");
  if (!now || !wanted) return;
  wanted.closest(".controls").hidden = false;
  const refresh = () => {
    const busy = now.querySelector("details[open]") !== null;
    if (wanted.checked && !document.hidden && !busy) htmx.trigger(now, "refresh");
  };
  setInterval(refresh, 5000);
  document.addEventListener("visibilitychange", refresh);
})();

// The live page: rows come as server-sent events. A hidden or paused page has no stream; it continues after the last line that it has.
(() => {
  "use strict";
  const MOST_ROWS = 1000;
  const table = document.getElementById("lines");
  if (!table || !table.dataset.stream) return;
  const rows = table.tBodies[0];
  const button = document.getElementById("pause");
  const said = document.getElementById("follow");
  let source = null;
  let paused = false;
  let position = "";
  let skipped = 0;

  const say = (text) => {
    const missed = skipped === 0 ? "" : `, ${skipped.toLocaleString("en")} lines skipped`;
    said.textContent = text + missed;
  };
  const add = (markup) => {
    const template = document.createElement("template");
    template.innerHTML = markup;
    rows.prepend(template.content);
    while (rows.rows.length > MOST_ROWS) rows.lastElementChild.remove();
    document.getElementById("empty")?.remove();
  };
  const note = (text) => {
    const row = document.createElement("tr");
    row.className = "skipped";
    const cell = row.insertCell();
    cell.colSpan = 5;
    cell.textContent = text;
    rows.prepend(row);
  };
  const close = (text) => {
    source?.close();
    source = null;
    say(text);
  };
  const open = () => {
    if (source || paused || document.hidden) return;
    const url = new URL(table.dataset.stream, location.href);
    if (position) url.searchParams.set("after", position);
    source = new EventSource(url);
    source.addEventListener("open", () => say("Following"));
    source.addEventListener("restarted", () => rows.replaceChildren());
    source.addEventListener("line", (event) => add(event.data));
    source.addEventListener("position", (event) => { position = event.data; });
    source.addEventListener("skipped", (event) => {
      const { lines } = JSON.parse(event.data);
      skipped += lines;
      note(`${lines.toLocaleString("en")} lines skipped here: they came faster than this page took them`);
      say("Following");
    });
    source.addEventListener("problem", (event) => say(`The story cannot be read: ${JSON.parse(event.data).detail}`));
    source.addEventListener("error", () => {
      if (source && source.readyState === EventSource.CLOSED) {
        source = null;
        say("Not following: too many streams are open, or the session has ended. Reload the page");
      } else {
        say("The connection was lost, trying again");
      }
    });
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    paused = !paused;
    button.setAttribute("aria-pressed", String(paused));
    button.textContent = paused ? "Resume" : "Pause";
    if (paused) close("Paused"); else open();
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) close("Paused while the page is hidden"); else if (!paused) open();
  });
  window.addEventListener("pagehide", () => close("Paused"));
  open();
})();

// The palette: Ctrl-K finds pages, targets, groups and events. It asks the API when it opens; pages and what is typed need no answer.
(() => {
  "use strict";
  const MOST = 12;
  const dialog = document.getElementById("palette");
  const button = document.getElementById("find");
  if (!dialog || !button) return;
  const input = document.getElementById("palette-text");
  const list = document.getElementById("palette-list");
  const segment = (text) => encodeURIComponent(text);
  // Browsers take these two names for steps in a path, however they are written.
  const groupLink = (name) => [".", ".."].includes(name) ? `/groups?begins=${name}` : `/groups/${segment(name)}`;
  let known = [];
  let chosen = 0;

  const pages = () => [...document.querySelectorAll("header nav a")].map((link) => {
    return { kind: "page", name: link.textContent, to: link.getAttribute("href") };
  });
  const look = async () => {
    known = pages();
    show();
    try {
      const [ofTargets, ofGroups] = await Promise.all(["/api/v1/targets", "/api/v1/groups?limit=50"].map((path) => fetch(path)));
      const targets = ofTargets.ok ? (await ofTargets.json()).targets : [];
      // SQS does not tell which groups a queue holds.
      const groups = ofGroups.ok ? (await ofGroups.json()).groups : [];
      known = [
        ...pages(),
        ...targets.map(({ name }) => ({ kind: "target", name, to: `/live?target=${segment(name)}` })),
        ...groups.map(({ group }) => ({ kind: "group", name: group, to: groupLink(group) })),
      ];
      show();
    } catch { /* The pages are enough. */ }
  };
  const results = () => {
    const text = input.value.trim();
    const folded = text.toLowerCase();
    const found = known.filter(({ name }) => name.toLowerCase().includes(folded));
    found.sort((a, b) => b.name.toLowerCase().startsWith(folded) - a.name.toLowerCase().startsWith(folded));
    const typed = text === "" ? [] : [
      { kind: "group", name: text, to: groupLink(text) },
      { kind: "event", name: text, to: `/events/${segment(text)}` },
    ];
    const has = (one) => found.some(({ kind, name }) => kind === one.kind && name === one.name);
    return [...found.slice(0, MOST), ...typed.filter((one) => !has(one))];
  };
  const show = () => {
    const found = results();
    chosen = Math.max(0, Math.min(chosen, found.length - 1));
    list.replaceChildren(...found.map(({ kind, name, to }, at) => {
      const item = document.createElement("li");
      item.id = `palette-${at}`;
      item.setAttribute("role", "option");
      item.setAttribute("aria-selected", String(at === chosen));
      const link = document.createElement("a");
      link.href = to;
      link.tabIndex = -1;
      const what = document.createElement("small");
      what.textContent = ` ${kind}`;
      link.append(name, what);
      item.append(link);
      return item;
    }));
    input.setAttribute("aria-activedescendant", found.length > 0 ? `palette-${chosen}` : "");
    list.children[chosen]?.scrollIntoView({ block: "nearest" });
  };
  const open = () => {
    if (dialog.open) return;
    input.value = "";
    chosen = 0;
    dialog.showModal();
    input.focus();
    look();
  };
  input.addEventListener("input", () => { chosen = 0; show(); });
  input.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      chosen = (chosen + step + list.children.length) % Math.max(1, list.children.length);
      show();
    } else if (event.key === "Enter") {
      event.preventDefault();
      list.children[chosen]?.querySelector("a").click();
    }
  });
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "k") {
      event.preventDefault();
      open();
    }
  });
  button.hidden = false;
  button.addEventListener("click", open);
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
