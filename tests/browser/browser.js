// A browser whose pages fail the test on errors, on violations of the content security policy, and on requests to other servers.
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

export const launch = () => chromium.launch({
  executablePath: process.env.CHROMIUM,
  // The sandbox of Chromium needs user namespaces, which containers forbid.
  args: ["--no-sandbox"],
});

/** A page, and what went wrong in it. */
export async function open(browser, server, options = {}) {
  const context = await browser.newContext({ baseURL: server.url, extraHTTPHeaders: server.headers, ...options });
  // A preview compiles a plugin, which takes a while in a build that is not optimised.
  context.setDefaultTimeout(180_000);
  const page = await context.newPage();
  const wrong = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") wrong.push(message.text());
  });
  page.on("pageerror", (error) => wrong.push(String(error)));
  page.on("dialog", (dialog) => {
    wrong.push(`a script of an event ran: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(server.url)) wrong.push(`request to ${request.url()}`);
  });
  const close = async () => {
    await context.close();
    assert.deepEqual(wrong, []);
  };
  return { page, close };
}
