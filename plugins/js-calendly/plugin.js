// Calendly's invitee events become meetings in SSS.
//
// Format: Calendly's "Webhook payload" of invitee.created and invitee.canceled.
// @ts-check

import { document } from "towpath:plugin/config@1.0.0";
import { write } from "towpath:plugin/log@1.0.0";
import { deliver, guarded, isSegment, object, reject, request, skip } from "./towpath.js";

/** @typedef {import("./towpath.js").Message} Message */

const STATES = new Map([
  ["invitee.created", "booked"],
  ["invitee.canceled", "cancelled"],
]);

/** @param {Message} message */
function map(message) {
  const event = object(message);
  if (!event) return reject("malformed", "the body is no JSON object");
  const state = STATES.get(event.event);
  if (!state) return skip("not-for-sss", "nothing is done for events of this kind");
  const { uri, email, name, scheduled_event: meeting, cancellation } = event.payload ?? {};
  if (!meeting?.start_time || !email) return reject("malformed", "the payload has no scheduled_event or no email");
  const id = typeof uri === "string" ? uri.split("/").pop() : undefined;
  if (!isSegment(id)) return reject("bad-id", "the invitee's uri ends with no id");
  write("debug", "meeting mapped", [["state", state]]);
  const { team } = JSON.parse(document());
  const body = {
    state,
    title: meeting.name,
    starts: meeting.start_time,
    ends: meeting.end_time,
    with: { name, email },
    ...(cancellation && { reason: cancellation.reason }),
    ...(team && { team }),
  };
  return deliver(request("PUT", "sss", `/meetings/${id}`, body));
}

export const transform = { transform: guarded(map) };

export const metadata = {
  describe: () => ({
    name: "js-calendly",
    version: "1.0.0",
    summary: "Calendly bookings and cancellations to SSS",
    targets: ["sss"],
    ext: [],
  }),

  checkConfig() {
    const unknown = Object.keys(JSON.parse(document())).filter((key) => key !== "team");
    return unknown.map((key) => ({ at: `/${key}`, message: "this key is not known: there is only team" }));
  },
};
