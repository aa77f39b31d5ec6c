import { expect, test } from "vitest";
test("the sources run as they are, on the Node that the repository pins", () => {
  expect(process.versions.node.startsWith("24.")).toBe(true);
});
