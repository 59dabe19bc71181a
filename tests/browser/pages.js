// The pages that every test of looks and keys visits. `picture` is the name of its screenshot in docs/images.
export const PAGES = [
  { path: "/", title: "Overview", picture: "overview" },
  { path: "/live", title: "Live", picture: "live" },
];
