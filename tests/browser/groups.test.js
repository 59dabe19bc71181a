import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { PHONE, focused, is_tame, setup } from "./setup.js";
import { HOSTILE, group } from "./troubles.js";

const { on } = setup();

describe("groups", () => {
  test("says why each head waits, stuck ones first", () => on("/groups", PHONE, async (page) => {
    const states = Object.fromEntries(await page.locator("tbody tr").evaluateAll((rows) => rows.map((row) => {
      const [name, state] = row.cells;
      return [name.textContent, state.textContent];
    })));
    const names = Object.keys(states);
    assert.equal(states["crm/2001"], "failed, retried later");
    assert.equal(states["crm/2002"], "held by its target");
    assert.equal(states["crm/2006"], "in flight");
    assert.equal(states["shop/7"], "ready");
    assert.equal(states[`crm/1${HOSTILE}`], "ready");
    assert.ok(names.indexOf("crm/2001") < names.indexOf("shop/7"), names.join(" "));
    const row = await page.locator("tr", { hasText: "crm/2002" }).innerText();
    assert.match(row, /11/, "how many wait behind it");
    assert.match(row, /billing is on hold: release 4.2/);
    await is_tame(page);
  }));

  test("finds groups by their beginning, with the keyboard alone", () => on("/groups", {}, async (page) => {
    await page.keyboard.press("/");
    assert.equal(await focused(page), "begins");
    await page.keyboard.type("shop/");
    await page.keyboard.press("Enter");
    await page.waitForURL(/begins=shop%2F/);
    assert.deepEqual(await page.locator("tbody tr td:first-child").allInnerTexts(), ["shop/7"]);
    await page.locator("tbody a").focus();
    await page.keyboard.press("Enter");
    await page.waitForURL(`**${group("shop/7")}`);
    assert.equal(await page.locator("h1").innerText(), "shop/7");
  }));
});

describe("a group", () => {
  /** Does what the heading names, with the keyboard alone. Says what the page then says. */
  const act = async (page, title) => {
    const form = page.locator("form.act", { hasText: title });
    const note = form.locator("input[name=note]");
    await note.focus();
    await page.keyboard.press("Enter");
    assert.equal(await page.locator("#group [role=status]").count(), 0, "nothing is done without a note");
    await note.focus();
    await page.keyboard.type("ticket 4711");
    await page.keyboard.press("Tab");
    assert.equal(await focused(page), title);
    await page.keyboard.press("Enter");
    const said = page.locator("#group [role=status], #group [role=alert]");
    await said.waitFor();
    return said.innerText();
  };

  test("retries its head now", () => on(group("crm/2003"), PHONE, async (page) => {
    assert.match(await page.locator("#group").innerText(), /failed, retried later/);
    assert.match(await act(page, "Retry now"), /is retried now/);
    assert.match(await page.locator("#group table").innerText(), /ready/);
    await is_tame(page);
  }));

  test("dead-letters its head", () => on(group("crm/2004"), {}, async (page) => {
    const head = await page.locator("#group a[href^='/events/']").innerText();
    const said = await act(page, "Dead-letter the head");
    assert.match(said, new RegExp(`Event ${head} is a dead letter. 1 event behind it`));
    await page.goto("/letters?group=crm%2F2004&reason=operator");
    await page.locator("td a", { hasText: head.slice(0, 8) }).waitFor();
  }));

  test("is parked whole", () => on(group("crm/2005"), {}, async (page) => {
    assert.match(await act(page, "Park the group"), /3 events parked, in order/);
    assert.match(await page.locator("#group").innerText(), /Nothing of the group waits now/);
  }));

  test("is left alone if somebody was faster", () => on(group("crm/2007"), {}, async (page) => {
    const head = await page.locator("input[name=head]").first().inputValue();
    const order = { data: { head, note: "somebody else" } };
    const other = await page.request.post(`/api/v1/groups/${encodeURIComponent("crm/2007")}/dead-letter`, order);
    assert.equal(other.status(), 200);
    assert.match(await act(page, "Retry now"), /no longer/);
  }));
});

describe("audit", () => {
  test("says who did what and why, and shows a script as text", () => on("/audit", PHONE, async (page) => {
    const row = (text) => page.locator("tbody tr", { hasText: text });
    const retried = await row("ticket 4711: it answers again").innerText();
    assert.match(retried, /ben/);
    assert.match(retried, /retry/);
    const buried = await row(HOSTILE).first().innerText();
    assert.match(buried, /dead-letter/);
    assert.match(buried, /crm\/4002/);
    await is_tame(page);
    await row("look").first().locator("a[href^='/events/']").focus();
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/events\/0001c0de/);
  }));
});
