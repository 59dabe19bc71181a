// Writes pictures of the main pages to the folder that is given.
import { join } from "node:path";

import { launch, open } from "./browser.js";
import { PAGES } from "./pages.js";
import { start } from "./server.js";

const [folder] = process.argv.slice(2);
const server = await start();
const browser = await launch();
try {
  for (const { path, picture } of PAGES) {
    const { page, close } = await open(browser, server, { viewport: { width: 1280, height: 800 }, colorScheme: "light" });
    await page.goto(path);
    if (path === "/live") await page.locator("#follow", { hasText: /^Following/ }).waitFor();
    await page.screenshot({ path: join(folder, `console-${picture}.png`) });
    await close();
  }
} finally {
  await browser.close();
  await server.stop();
}
