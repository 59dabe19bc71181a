// Helpers for plugins: bodies, requests, ends without a request. Types: .towpath/types, made by `towpath plugin build`.
// @ts-check
/// <reference path="./.towpath/types/transformer.d.ts" />

import { write } from "towpath:plugin/log@1.0.0";

/** @typedef {import("towpath:plugin/types@1.0.0").Message} Message */
/** @typedef {import("towpath:plugin/types@1.0.0").Request} Request */
/** @typedef {import("towpath:plugin/types@1.0.0").Verdict} Verdict */

// The engine (QuickJS) has no console: what is printed is logged, at most 64 lines a call.
/** @param {"debug" | "info" | "warn" | "error"} level */
const say = (level) => (/** @type {unknown[]} */ ...values) => write(level, values.map(String).join(" "), []);
// @ts-ignore
globalThis.console = { debug: say("debug"), log: say("info"), info: say("info"), warn: say("warn"), error: say("error") };

/** A mapping whose exceptions are errors of the plugin that say what was thrown and where: an exception that leaves the
 * plugin is a trap without a word. @param {(message: Message) => Verdict} map */
export const guarded = (map) => (/** @type {Message} */ message) => {
  try {
    return map(message);
  } catch (/** @type {any} */ error) {
    // A reason that the plugin throws itself is its own word.
    if (!(error instanceof Error) && typeof error?.code === "string") throw error;
    const where = String(error?.stack ?? "").trim().split("\n")[0];
    throw { code: "exception", message: `${error} ${where}`.trim(), ext: [] };
  }
};

/** The text of UTF-8 bytes. The engine has no TextDecoder. Throws on anything else. @param {Uint8Array} bytes */
export function text(bytes) {
  let result = "";
  for (let from = 0; from < bytes.length; from += 4096) {
    result += String.fromCharCode(...bytes.subarray(from, from + 4096));
  }
  return /[\x80-\xff]/.test(result) ? decodeURIComponent(escape(result)) : result;
}

/** The UTF-8 bytes of a text. @param {string} text */
export function bytes(text) {
  const binary = unescape(encodeURIComponent(text));
  const result = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) result[at] = binary.charCodeAt(at);
  return result;
}

/** The body as a JSON object; `undefined` if it is none. A byte order mark is skipped; a lone surrogate stays what it is.
 * @param {Message} message @returns {any} */
export function object(message) {
  try {
    const value = JSON.parse(text(message.body).replace(/^\ufeff/, ""));
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The first header of this name, in lower case. @param {Message} message @param {string} name */
export function header(message, name) {
  const found = message.headers.find(([key]) => key === name);
  return found && text(found[1]);
}

/** A request with a JSON body. @param {string} method @param {string} target @param {string} path @param {unknown} body
 * @returns {Request} */
export function request(method, target, path, body) {
  return {
    target,
    method,
    path,
    headers: [{ name: "content-type", value: { tag: "text", val: "application/json" } }],
    body: { tag: "bytes", val: bytes(JSON.stringify(body)) },
    idempotencyKey: undefined,
    ext: [],
  };
}

/** Make these requests, in this order. @param {...Request} requests @returns {Verdict} */
export const deliver = (...requests) => ({ tag: "deliver", val: requests });

/** Nothing is to be done. @param {string} code @param {string} message @returns {Verdict} */
export const skip = (code, message) => ({ tag: "skip", val: { code, message, ext: [] } });

/** The message is wrong. @param {string} code @param {string} message @returns {Verdict} */
export const reject = (code, message) => ({ tag: "reject", val: { code, message, ext: [] } });

/** Whether an id from outside can be a segment of a path. @param {unknown} id */
export const isSegment = (id) => typeof id === "string" && /^[A-Za-z0-9_~-][A-Za-z0-9._~-]*$/.test(id);
