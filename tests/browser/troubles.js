// Names of what the console of the tests has: host/console/examples/browse/troubles.rs fills its store.
export const HOSTILE = "<script>alert('body')</script><img/src/onerror=alert(1)>";

/** The id of the letter with this number. */
export const id = (number) => `${String(number).padStart(4, "0")}c0de-4f1a-4b7e-9d3c-5a1e7b2f9d${String(number).padStart(2, "0")}`;

/** The page of a group. */
export const group = (name) => `/groups/${encodeURIComponent(name)}`;

/** The letter with a body of 1 MiB, and that with what a target answered. */
export const LARGE = 9;
export const REFUSED = 2;
