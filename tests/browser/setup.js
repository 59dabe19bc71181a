// A console and a browser for the tests of a file.
import assert from "node:assert/strict";
import { after, before } from "node:test";

import { launch, open } from "./browser.js";
import { start } from "./server.js";

export function setup() {
  const own = { browser: undefined, server: undefined };
  before(async () => {
    own.server = await start();
    own.browser = await launch();
  });
  after(async () => {
    await own.browser?.close();
    await own.server?.stop();
  });
  /** A page of its own, for this path. */
  own.open = (options) => open(own.browser, own.server, options);
  /** Runs a test on a page of its own. */
  own.on = async (path, options, steps) => {
    const { page, close } = await own.open(options);
    const answer = await page.goto(path);
    assert.equal(answer.status(), 200, path);
    await steps(page);
    await close();
  };
  return own;
}

/** The id or name of what has the focus, or its text. */
export const focused = (page) => page.evaluate(() => {
  const at = document.activeElement;
  return at.id || at.name || at.textContent.trim();
});

/** Fails if the page is wider than its window, or has an element that a script in an event made. */
export async function is_tame(page) {
  const [wide, seen] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(wide <= seen, `${wide} pixels in ${seen}`);
  assert.equal(await page.locator("main script, main img").count(), 0);
}

/** Waits until htmx knows the page and what it has swapped in: a key that comes before does nothing, or what it does without a script. */
export const settled = (page) => page.waitForFunction(() => document.readyState === "complete" &&
  !document.querySelector(".htmx-request, .htmx-added, .htmx-swapping, .htmx-settling"));

/** Presses Enter on an element, which a swap may just have brought. */
export async function enter(page, element) {
  await element.waitFor();
  await settled(page);
  await element.press("Enter");
}

/** A phone in the dark. */
export const PHONE = { viewport: { width: 360, height: 740 }, colorScheme: "dark" };
