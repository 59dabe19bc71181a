// Writes pictures of the main pages to the folder that is given.
import { join } from "node:path";

import { launch, open } from "./browser.js";
import { PAGES } from "./pages.js";
import { start } from "./server.js";

/** What is done on a page before its picture, by the picture's name. */
const STEPS = {
  letters: (page) => page.locator("form.filter").first().evaluate((form) => form.scrollIntoView()),
  live: (page) => page.locator("#follow", { hasText: /^Following/ }).waitFor(),
  "what-if": async (page) => {
    await page.locator("input[name=build]").check();
    await page.locator("button", { hasText: "Run" }).click();
    await page.locator("#said-of-it h2").first().waitFor();
  },
};

const [folder] = process.argv.slice(2);
const server = await start();
const browser = await launch();
try {
  for (const { path, picture } of PAGES.filter(({ picture }) => picture)) {
    const { page, close } = await open(browser, server, { viewport: { width: 1200, height: 680 }, colorScheme: "light" });
    await page.goto(path);
    await STEPS[picture]?.(page);
    await page.screenshot({ path: join(folder, `console-${picture}.png`) });
    await close();
  }
} finally {
  await browser.close();
  await server.stop();
}
