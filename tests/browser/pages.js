// The pages that every test of looks and keys visits. `picture` is the name of its screenshot in docs/images.
import { HOSTILE, LARGE, REFUSED, group, id } from "./troubles.js";

const short = (number) => id(number).slice(0, 8);

export const PAGES = [
  { path: "/", title: "Overview", picture: "overview" },
  { path: "/live", title: "Live", picture: "live" },
  { path: "/groups", title: "Groups", picture: "groups" },
  { path: "/groups?begins=crm%2F20", title: "Groups" },
  { path: group("crm/2001"), title: "crm/2001" },
  { path: group(`crm/1${HOSTILE}`), title: `crm/1${HOSTILE}` },
  { path: `/events/${id(REFUSED)}`, title: `Event ${id(REFUSED)}`, picture: "event" },
  { path: "/letters", title: "Dead letters" },
  { path: "/letters?reason=rejected", title: "Dead letters", picture: "letters" },
  { path: `/letters/${id(REFUSED)}`, title: `refused ${short(REFUSED)}` },
  { path: `/letters/${id(6)}`, title: `plugin-trap ${short(6)}` },
  { path: `/letters/${id(LARGE)}`, title: `bad-request ${short(LARGE)}` },
  { path: `/letters/${id(1)}/edit`, title: `Edit ${short(1)}` },
  { path: "/refused", title: "Refused at ingest" },
  { path: `/refused/${id(31)}`, title: `unverified ${short(31)}` },
  { path: "/audit", title: "Audit" },
  { path: "/plugins", title: "Plugins", picture: "plugins" },
  { path: "/plugins/approval", title: "approval" },
  { path: "/providers", title: "Providers" },
  { path: "/providers?search=git", title: "Providers" },
  { path: "/providers/github", title: "GitHub" },
  { path: "/what-if?filter=reason%3Drejected", title: "What would another build say?", picture: "what-if" },
];
