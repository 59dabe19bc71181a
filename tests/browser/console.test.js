import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { PAGES } from "./pages.js";
import { PHONE, focused, is_tame, setup } from "./setup.js";

const own = setup();
const { on } = own;
const tell = (...passes) => own.server.tell(...passes);

for (const { path, title } of PAGES) {
  describe(`${path}`, () => {
    for (const [name, options] of [
      ["wide and light", { viewport: { width: 1600, height: 900 }, colorScheme: "light" }],
      ["narrow and dark", PHONE],
    ]) {
      test(`fits, ${name}`, () => on(path, options, async (page) => {
        assert.equal(await page.locator("h1").innerText(), title);
        await is_tame(page);
      }));
    }

    test("is dark for who wants it", () => on(path, { colorScheme: "dark" }, async (page) => {
      const [text, back] = await page.evaluate(() => {
        const style = getComputedStyle(document.body);
        return [style.color, style.backgroundColor].map((color) => Number(color.match(/\d+/)[0]));
      });
      assert.ok(text > 200 && back < 60, `${text} on ${back}`);
    }));

    test("has enough contrast, light and dark", async () => {
      for (const colorScheme of ["light", "dark"]) {
        await on(path, { colorScheme }, async (page) => {
          assert.deepEqual(await page.evaluate(faint), [], colorScheme);
        });
      }
    });

    test("has labels, headings of tables and names of buttons", () => on(path, {}, async (page) => {
      const nameless = await page.evaluate(() => {
        const all = [...document.querySelectorAll("input:not([type=hidden]), select, textarea")];
        const fields = all.filter((field) => field.labels.length === 0);
        const buttons = [...document.querySelectorAll("button, a[href], summary")].filter((one) => one.textContent.trim() === "");
        const tables = [...document.querySelectorAll("table")].filter((table) => !table.querySelector("th"));
        return [...fields, ...buttons, ...tables].map((one) => one.outerHTML.slice(0, 120));
      });
      assert.deepEqual(nameless, []);
    }));

    test("shows where the focus is, from the first element to the last", () => on(path, {}, async (page) => {
      await page.keyboard.press("Tab");
      assert.equal(await focused(page), "Skip to content");
      await page.keyboard.press("Enter");
      assert.equal(await focused(page), "main");
      // Otherwise the next element would be the first one of the content.
      await page.reload();
      const seen = new Set();
      for (let steps = 0; steps < 200; steps += 1) {
        await page.keyboard.press("Tab");
        const { name, outline } = await page.evaluate(() => {
          const at = document.activeElement;
          if (at === document.body) return { name: "" };
          at.dataset.visit ??= String(document.querySelectorAll("[data-visit]").length);
          return { name: at.dataset.visit, outline: getComputedStyle(at).outlineStyle };
        });
        if (name === "" || seen.has(name)) break;
        seen.add(name);
        assert.notEqual(outline, "none", `element ${name}`);
      }
      assert.ok(seen.size > 5, `${seen.size} elements`);
    }));
  });
}

/** Texts with less contrast than WCAG AA asks for: 4.5 to 1. Runs in the page. */
function faint() {
  const channels = (color) => color.match(/[\d.]+/g).map(Number);
  const luminance = ([red, green, blue]) => {
    const [r, g, b] = [red, green, blue].map((value) => {
      const part = value / 255;
      return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = channels(getComputedStyle(at).backgroundColor);
      if (color.length < 4 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim() !== "");
    if (!own || element.disabled || !element.checkVisibility()) continue;
    const [text, back] = [channels(getComputedStyle(element).color), behind(element)].map(luminance);
    const contrast = (Math.max(text, back) + 0.05) / (Math.min(text, back) + 0.05);
    if (contrast < 4.5) found.push(`${contrast.toFixed(1)}: ${element.outerHTML.slice(0, 100)}`);
  }
  return found;
}

describe("keys", () => {
  test("g and a letter go to a page, / to its filter", () => on("/", {}, async (page) => {
    await page.keyboard.press("g");
    await page.keyboard.press("l");
    await page.waitForURL("**/live");
    await page.keyboard.press("/");
    assert.equal(await focused(page), "group");
    await page.keyboard.type("gl");
    assert.equal(await page.locator("input[name=group]").inputValue(), "gl", "keys that are typed go nowhere");
  }));

  test("Ctrl-K finds pages, targets, groups and events", () => on("/", {}, async (page) => {
    const open_and_type = async (text) => {
      await page.keyboard.press("Control+k");
      await page.keyboard.type(text);
    };
    await open_and_type("liv");
    await page.locator("#palette li", { hasText: "Live page" }).waitFor();
    await page.keyboard.press("Escape");
    assert.equal(await page.locator("#palette").isVisible(), false);
    await open_and_type("ss");
    await page.locator("#palette li", { hasText: "sss target" }).waitFor();
    assert.equal(await page.locator("#palette li[aria-selected=true]").innerText(), "sss target");
    await page.keyboard.press("Enter");
    await page.waitForURL("**/live?target=sss");
    await open_and_type("a/b %<script>");
    const links = await page.locator("#palette li a").evaluateAll((all) => all.map((link) => link.getAttribute("href")));
    assert.deepEqual(links, ["/groups/a%2Fb%20%25%3Cscript%3E", "/events/a%2Fb%20%25%3Cscript%3E"]);
    await page.keyboard.press("ArrowUp");
    assert.match(await page.locator("#palette li[aria-selected=true]").innerText(), /event$/);
  }));
});

describe("overview", () => {
  test("holds and resumes a target, with the keyboard alone", () => on("/", {}, async (page) => {
    await page.locator("summary", { hasText: "Hold of mail" }).focus();
    await page.keyboard.press("Enter");
    await page.keyboard.press("Tab");
    assert.equal(await focused(page), "reason");
    await page.keyboard.type("release");
    await page.keyboard.press("Tab");
    await page.keyboard.type("soon");
    await page.keyboard.press("Enter");
    await page.locator("#targets .alert", { hasText: "is not a length of time" }).waitFor();
    assert.equal(await page.locator("details[open] input[name=reason]").inputValue(), "release", "what was typed is kept");
    await page.keyboard.press("Control+a");
    await page.keyboard.type("45m");
    await page.keyboard.press("Enter");
    await page.locator("#said", { hasText: "mail is on hold for 45m" }).waitFor();
    await page.locator("#targets .row", { hasText: "by ann" }).waitFor();
    await page.locator("summary", { hasText: "Resume mail" }).press("Enter");
    await page.locator("button", { hasText: "Resume mail" }).press("Enter");
    await page.locator("#said", { hasText: "mail is resumed" }).waitFor();
    await page.locator("#targets .row", { hasText: "mail" }).locator("[data-state=ok]").waitFor();
  }));

  test("refreshes itself, keeps the focus, and waits while a form is open", async () => {
    const { page, close } = await own.open();
    await page.clock.install();
    await page.goto("/");
    const hold = (path, data) => page.request.post(`/api/v1/targets/sss/${path}`, { data });
    const held = page.locator("#targets .row", { hasText: "sss" }).locator("[data-state=held]");
    await page.locator("#figure-letters").focus();
    await hold("hold", { reason: "release" });
    await page.clock.runFor(5_000);
    await held.waitFor();
    assert.equal(await focused(page), "figure-letters");
    await page.locator("summary", { hasText: "Hold of mail" }).click();
    const asked = [];
    page.on("request", (request) => asked.push(request.url()));
    await page.clock.runFor(20_000);
    assert.deepEqual(asked, [], "a form is open");
    await page.locator("summary", { hasText: "Hold of mail" }).click();
    await page.locator("#refresh").uncheck();
    await page.clock.runFor(20_000);
    assert.deepEqual(asked, [], "it is switched off");
    await hold("resume", {});
    await page.locator("#refresh").check();
    await page.clock.runFor(5_000);
    await held.waitFor({ state: "detached" });
    await close();
  });

  test("each figure links to a list", () => on("/", {}, async (page) => {
    const links = await page.locator(".figures a").evaluateAll((all) => all.map((link) => link.getAttribute("href")));
    assert.deepEqual(links, ["/groups", "/letters", "/refused"]);
  }));
});

describe("live", () => {
  const rows = (page, id) => page.locator("#lines tbody tr", { hasText: id });
  const following = (page) => page.locator("#follow", { hasText: /^Following/ }).waitFor();

  test("shows what hosts do, once each, and nothing while it is paused", () => on("/live", {}, async (page) => {
    await following(page);
    tell({ id: "one-1111" });
    await rows(page, "one-1111".slice(0, 8)).waitFor();
    await page.locator("#pause").press("Enter");
    await page.locator("#follow", { hasText: "Paused" }).waitFor();
    tell({ id: "two-2222" });
    // Another page shows that the line has been read.
    await on("/live", {}, (other) => rows(other, "two-2222").waitFor());
    assert.equal(await rows(page, "two-2222").count(), 0);
    await page.locator("#pause").press("Enter");
    await rows(page, "two-2222").waitFor();
    for (const id of ["one-1111", "two-2222"]) assert.equal(await rows(page, id).count(), 1, id);
    const first = await page.locator("#lines tbody tr").first().innerText();
    assert.match(first, /two-2222/, "the latest is the first");
  }));

  test("pauses while its tab is hidden, and continues after the last line", () => on("/live", {}, async (page) => {
    const hide = (hidden) => page.evaluate((hidden) => {
      Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }, hidden);
    await following(page);
    tell({ id: "three-33" });
    await rows(page, "three-33").waitFor();
    await hide(true);
    await page.locator("#follow", { hasText: "hidden" }).waitFor();
    tell({ id: "four-444" });
    await on("/live", {}, (other) => rows(other, "four-444").waitFor());
    assert.equal(await rows(page, "four-444").count(), 0);
    await hide(false);
    await rows(page, "four-444").waitFor();
    assert.equal(await rows(page, "three-33").count(), 1);
  }));

  test("says how many lines it skipped, and keeps a bounded number of rows", () => on("/live", {}, async (page) => {
    await following(page);
    tell({ id: "before-1" });
    await rows(page, "before-1").waitFor();
    await page.locator("#pause").press("Enter");
    await page.locator("#follow", { hasText: "Paused" }).waitFor();
    tell(...Array.from({ length: 2_500 }, (_, at) => ({ id: `many-${at}` })));
    await on("/live", {}, (other) => rows(other, "many-249").first().waitFor());
    await page.locator("#pause").press("Enter");
    await page.locator("#follow", { hasText: /500 lines skipped/ }).waitFor();
    await page.waitForFunction(() => document.querySelector("#lines tbody tr")?.innerText.includes("many-249"));
    assert.ok(await page.locator("#lines tbody tr").count() <= 1_000);
  }));

  test("shows a script as text", () => on("/live", {}, async (page) => {
    await following(page);
    tell({ id: "<b>bold</b>", outcome: "refused", reason: "<script>alert(1)</script><img src=x onerror=alert(2)>" });
    const row = rows(page, "<script>alert(1)</script>");
    await row.first().waitFor();
    assert.equal(await page.locator("#lines script, #lines img, #lines b").count(), 0);
  }));

  test("keeps its filter in the address", () => on("/live", {}, async (page) => {
    await page.locator("select[name=outcome]").selectOption("refused");
    await page.locator("input[name=failed]").check();
    await page.locator("button", { hasText: "Show" }).first().press("Enter");
    await page.waitForURL(/outcome=refused.*failed=true/);
    await following(page);
    assert.equal(await rows(page, "delivered").count(), 0);
  }));
});
