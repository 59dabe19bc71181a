import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { PHONE, enter, focused, is_tame, settled, setup } from "./setup.js";
import { HOSTILE, LARGE, id } from "./troubles.js";

const { on } = setup();

/** The ids of the letters that a list shows, shortened. */
const listed = (page) => page.locator("main table tr td:first-child a").allInnerTexts();
const shorts = (...numbers) => numbers.map((number) => id(number).slice(0, 8));

/** Plans what a button says, confirms it with the keyboard alone, and waits for the beginning of its job. */
async function order(page, button, { note = "ticket 4711", rate, plan = "" } = {}) {
  await enter(page, page.locator("button", { hasText: button }));
  await page.locator("#plan h2", { hasText: plan }).waitFor();
  await settled(page);
  await page.locator("#plan input[name=note]").focus();
  await page.keyboard.type(note);
  if (rate) {
    await page.keyboard.press("Tab");
    assert.equal(await focused(page), "per_second");
    await page.keyboard.type(rate);
  }
  await page.keyboard.press("Enter");
  await page.locator("#job").waitFor();
}

describe("dead letters", () => {
  test("have their filter in the address, set with the keyboard alone", () => on("/letters", PHONE, async (page) => {
    await page.keyboard.press("/");
    assert.equal(await focused(page), "route");
    await page.keyboard.type("crm");
    for (const name of ["group", "reason"]) {
      await page.keyboard.press("Tab");
      assert.equal(await focused(page), name);
    }
    await page.keyboard.type("rejected");
    await page.keyboard.press("Enter");
    await page.waitForURL(/route=crm.*reason=rejected/);
    assert.deepEqual(await listed(page), shorts(1, 5, 17));
    await page.reload();
    assert.equal(await page.locator("input[name=reason]").inputValue(), "rejected");
    assert.deepEqual(await listed(page), shorts(1, 5, 17));
    await is_tame(page);
  }));

  test("are counted by route and reason, each count a link to its letters", () => on("/letters", {}, async (page) => {
    const row = page.locator("tr", { hasText: "waited-too-long" }).first();
    await row.locator("a").press("Enter");
    await page.waitForURL(/route=shop&reason=waited-too-long/);
    assert.deepEqual(await listed(page), shorts(7, 8));
  }));

  test("have views, which are saved and removed", () => on("/letters?reason=rejected", {}, async (page) => {
    await page.locator("#views input[name=name]").focus();
    await page.keyboard.type(HOSTILE.slice(0, 60));
    await page.keyboard.press("Enter");
    const view = page.locator("#views a", { hasText: HOSTILE.slice(0, 60) });
    await view.waitFor();
    await page.goto("/letters");
    await view.press("Enter");
    await page.waitForURL(/reason=rejected/);
    await is_tame(page);
    await page.locator("#views button", { hasText: "Remove" }).press("Enter");
    await view.waitFor({ state: "detached" });
  }));

  test("of no filter cannot be redriven or dropped all at once", () => on("/letters", {}, async (page) => {
    await page.locator("p", { hasText: "Set a filter to redrive or drop many letters at once." }).waitFor();
    assert.equal(await page.locator("button", { hasText: /Redrive|Drop/ }).count(), 0);
    const before = await listed(page);
    for (const action of ["redrive", "drop"]) {
      const answer = await page.request.post("/letters/plan", { form: { filter: "", action } });
      assert.match(await answer.text(), /no letters selected/);
      const api = await page.request.post(`/api/v1/letters/${action}/plan`, { data: { filter: {} } });
      assert.equal(api.status(), 400);
    }
    await page.reload();
    assert.deepEqual(await listed(page), before);
  }));

  test("are planned, redriven with progress, and in the audit", () => on("/letters?reason=plugin-timeout", PHONE, async (page) => {
    await order(page, "Redrive all of this filter", { note: `ticket 7 ${HOSTILE}`, rate: "2" });
    await page.locator("#job progress").waitFor();
    await is_tame(page);
    await page.locator("#job", { hasText: "3 of 3 letters, complete" }).waitFor();
    await page.goto("/letters?reason=plugin-timeout");
    assert.deepEqual(await listed(page), []);
    await page.goto("/groups?begins=crm%2F300");
    assert.deepEqual(await page.locator("tbody td:first-child").allInnerTexts(), ["crm/3001", "crm/3002", "crm/3003"]);
    await page.goto("/audit");
    assert.equal(await page.locator("tbody tr", { hasText: "ticket 7" }).count(), 3);
    await is_tame(page);
  }));

  test("of a job that is cancelled stay", () => on("/letters?reason=expired", {}, async (page) => {
    await order(page, "Redrive all of this filter", { rate: "0.001" });
    await enter(page, page.locator("#job button", { hasText: "Cancel" }));
    await page.locator("#job", { hasText: "cancelled" }).waitFor();
    await page.goto("/letters?reason=expired");
    assert.ok((await listed(page)).length >= 2);
  }));

  test("are dropped once that is confirmed", () => on("/letters?reason=waited-too-long", {}, async (page) => {
    assert.deepEqual(await listed(page), shorts(7, 8));
    await order(page, "Drop all of this filter", { plan: "Drop 2 letters of 2 groups?" });
    await page.locator("#job", { hasText: "2 of 2 letters, complete" }).waitFor();
    await page.goto("/letters?reason=waited-too-long");
    assert.deepEqual(await listed(page), []);
  }));
});

describe("a letter", () => {
  test("shows its body as text in each form, on a phone", () => on(`/letters/${id(1)}`, PHONE, async (page) => {
    for (const [button, text] of [["Pretty", "<script>"], ["Raw", "<script>"], ["Hex", "7b 22"]]) {
      await page.locator("button", { hasText: button }).press("Enter");
      await page.locator("#body pre", { hasText: text }).waitFor();
      await is_tame(page);
    }
  }));

  test("with a body of 1 MiB shows its beginning, and the download has all", () => on(`/letters/${id(LARGE)}`, PHONE, async (page) => {
    for (const button of ["Pretty", "Raw", "Hex"]) {
      await page.locator("button", { hasText: button }).press("Enter");
      await page.locator("#body p", { hasText: "The first 256 KiB of 1024 KiB" }).waitFor();
      await is_tame(page);
    }
    const download = await page.locator("a[download]").getAttribute("href");
    assert.equal((await (await page.request.get(download)).body()).length, 1024 * 1024);
  }));

  test("with a body of 1 MiB is edited", () => on(`/letters/${id(LARGE)}/edit`, PHONE, async (page) => {
    assert.equal((await page.locator("#new-body").inputValue()).length, 1024 * 1024);
    await is_tame(page);
    await page.locator("textarea[name=set]").fill("/workflow/title=\"mended\"");
    await page.locator("button", { hasText: "See the change" }).press("Enter");
    await page.locator("#preview ins", { hasText: "mended" }).waitFor();
    await is_tame(page);
  }));

  test("is edited once its difference was seen, with the keyboard alone", () => on(`/letters/${id(5)}`, PHONE, async (page) => {
    await page.locator("a", { hasText: "Edit…" }).press("Enter");
    await page.locator("#new-body").focus();
    const before = await page.locator("#new-body").inputValue();
    await page.keyboard.press("Control+End");
    await page.keyboard.press("ArrowLeft");
    await page.keyboard.type(",\"mended\":\"<b>yes</b>\"");
    await page.locator("button", { hasText: "See the change" }).press("Enter");
    await page.locator("#preview ins", { hasText: "<b>yes</b>" }).waitFor();
    await page.locator("#preview del").first().waitFor();
    assert.equal(await page.locator("#preview b").count(), 0);
    await is_tame(page);
    const save = page.locator("button", { hasText: "Save the edit" });
    await enter(page, save);
    await page.locator("#preview [role=alert]", { hasText: "a note is required" }).waitFor();
    await page.locator("input[name=note]").focus();
    await page.keyboard.type("ticket 8");
    await page.locator("button", { hasText: "See the change" }).press("Enter");
    await enter(page, save);
    await page.locator("#preview [role=status]", { hasText: "The edit is saved" }).waitFor();
    await page.locator("#preview a", { hasText: "redrive it from its page" }).press("Enter");
    await page.locator("p", { hasText: /Edited .* by ann: ticket 8/ }).waitFor();
    await page.locator("a", { hasText: "Edit…" }).press("Enter");
    const after = `${before.slice(0, -1)},"mended":"<b>yes</b>"}`;
    assert.equal(await page.locator("#new-body").inputValue(), after, "no other byte changed");
  }));
});

describe("refused", () => {
  test("lists what ingest turned away, and sends one on", () => on("/refused", PHONE, async (page) => {
    assert.deepEqual(await listed(page), shorts(31, 32, 33));
    await is_tame(page);
    await page.locator("td a", { hasText: id(32).slice(0, 8) }).press("Enter");
    await page.locator("h1", { hasText: "missing-key" }).waitFor();
    await page.locator("button", { hasText: "Raw" }).press("Enter");
    await page.locator("#body pre", { hasText: "<script>" }).waitFor();
    await is_tame(page);
    await order(page, "Redrive…");
    await page.locator("#job", { hasText: "1 of 1 letter, complete" }).waitFor();
    await page.goto("/refused");
    assert.deepEqual(await listed(page), shorts(31, 33));
  }));
});

describe("what another build would say", () => {
  test("is asked for the letters of a filter, with the keyboard alone", () => on("/letters?reason=rejected", PHONE, async (page) => {
    await page.locator("a", { hasText: "What would another build say?" }).press("Enter");
    await page.locator("code", { hasText: "reason=rejected" }).waitFor();
    await settled(page);
    await page.locator("input[name=build]").focus();
    await page.keyboard.press("Space");
    await page.keyboard.press("Tab");
    assert.equal(await focused(page), "plugin");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.locator("#said-of-it h2", { hasText: "3 letters of 3 would be told something else" }).waitFor();
    await page.locator("#said-of-it p", { hasText: "would deliver 3 letters" }).waitFor();
    await page.locator("#said-of-it ins", { hasText: "/approvals/WF-1001/progress" }).first().waitFor();
    await is_tame(page);
  }));

  test("needs a filter", () => on("/what-if", {}, async (page) => {
    await page.locator(".note", { hasText: "Choose letters first" }).waitFor();
    assert.equal(await page.locator("main form").count(), 0);
  }));
});
