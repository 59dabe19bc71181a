// Starts a console to look at. CONSOLE_BIN is the program; it writes `{"url", "token", "folder"}` as its first line and ends with its standard input.
import { spawn } from "node:child_process";
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";

export async function start() {
  const process_ = spawn(process.env.CONSOLE_BIN, { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface({ input: process_.stdout });
  const line = await new Promise((resolve, reject) => {
    lines.once("line", resolve);
    process_.once("error", reject);
    process_.once("exit", (code) => reject(new Error(`the console ended with ${code}`)));
  });
  const { url, token, folder } = JSON.parse(line);
  const ended = new Promise((resolve) => process_.once("exit", resolve));
  return {
    url,
    headers: { authorization: `Bearer ${token}` },
    /** Appends passes to the story. */
    tell: (...passes) => appendFileSync(join(folder, "story.jsonl"), passes.map((pass) => `${JSON.stringify(line_of(pass))}\n`).join("")),
    stop: async () => {
      process_.stdin.end();
      await ended;
    },
  };
}

function line_of({ id, outcome = "delivered", reason = "" }) {
  return {
    timestamp: new Date().toISOString(), level: "INFO", target: "towpath.story",
    fields: { message: "pass", outcome, decision: outcome === "delivered" ? "ack" : "retry", reason },
    span: { message_id: id, group: "crm/1", route: "crm", plugin: "p" },
  };
}
