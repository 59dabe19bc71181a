import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { PHONE, enter, is_tame, setup } from "./setup.js";
import { HOSTILE, LARGE, REFUSED, id } from "./troubles.js";

const own = setup();
const { on } = own;

describe("an event", () => {
  test("is found by the beginning of its id, with the keyboard alone", () => on("/", {}, async (page) => {
    await page.keyboard.press("Control+k");
    await page.keyboard.type(id(REFUSED).slice(0, 12));
    await page.keyboard.press("ArrowUp");
    assert.match(await page.locator("#palette li[aria-selected=true]").innerText(), /event$/);
    await page.keyboard.press("Enter");
    await page.locator("h1", { hasText: `Event ${id(REFUSED)}` }).waitFor();
  }));

  test("has its story in order, drawn and as a table, and what its target answered", () => {
    return on(`/events/${id(REFUSED)}`, PHONE, async (page) => {
      const steps = await page.locator("section[aria-labelledby=timeline] tbody tr td:nth-child(2)").allInnerTexts();
      assert.deepEqual(steps.slice(0, 4), ["stored", "unavailable", "unavailable", "refused"]);
      assert.equal(await page.locator("svg.timeline > rect:not(.request)").count(), steps.length);
      await page.locator("summary", { hasText: "What sss answered" }).press("Enter");
      await page.locator("details[open] pre", { hasText: HOSTILE }).waitFor();
      await is_tame(page);
      await page.locator("a", { hasText: "the letter" }).press("Enter");
      await page.waitForURL(/\/letters\//);
      await page.locator("h1", { hasText: "refused" }).waitFor();
    });
  });

  test("shows its content on a click, as text, and names who looked", () => on(`/events/${id(REFUSED)}`, PHONE, async (page) => {
    assert.equal(await page.locator("#came-in").count(), 0);
    await page.locator("button", { hasText: "Show content" }).press("Enter");
    await page.locator("#came-in").waitFor();
    await page.locator("details[open] pre", { hasText: HOSTILE }).first().waitFor();
    for (const name of ["headers", "Raw", "Hex", "As curl"]) {
      await page.locator("summary", { hasText: name }).press("Enter");
    }
    await page.locator("#curl", { hasText: "curl -X" }).waitFor();
    await is_tame(page);
    await page.goto("/audit");
    const look = await page.locator("tbody tr", { hasText: id(REFUSED).slice(0, 8) }).first().innerText();
    assert.match(look, /ann/);
    assert.match(look, /look/);
  }));

  test("has its verdict computed again, in the sandbox", () => on(`/events/${id(REFUSED)}`, {}, async (page) => {
    await page.locator("button", { hasText: "Show content" }).press("Enter");
    await enter(page, page.locator("button", { hasText: "Compute again" }));
    await page.locator("#again .note", { hasText: "Computed again now" }).waitFor();
    await page.locator("#again pre", { hasText: "reject" }).waitFor();
  }));

  test("shows the beginning of a body of 1 MiB, and the download has all", () => on(`/events/${id(LARGE)}`, PHONE, async (page) => {
    await page.locator("button", { hasText: "Show content" }).press("Enter");
    await page.locator("p", { hasText: /The first 256 KiB of \d+ bytes/ }).first().waitFor();
    const downloaded = await page.request.get(`/events/${id(LARGE)}/body?as=raw`);
    assert.equal((await downloaded.body()).length, 1024 * 1024);
    await is_tame(page);
  }));

  test("that nobody knows is an error, and so is too short a beginning", async () => {
    const { page, close } = await own.open();
    const unknown = await page.request.get(`/events/${encodeURIComponent("<script>alert(1)</script>")}`);
    assert.equal(unknown.status(), 404);
    assert.doesNotMatch(await unknown.text(), /<script>alert/);
    const short = await page.request.get("/events/0002");
    assert.equal(short.status(), 422);
    assert.match(await short.text(), /at least 8 characters/);
    await close();
  });
});
