import { describe, expect, it } from "vitest";
import { answerOf } from "./answer";

describe("the provider's answer", () => {
  it.each([
    ["?code=c&state=s", { code: "c", state: "s" }],
    ["?code=c&state=s&iss=https%3A%2F%2Fid.police.be", { code: "c", state: "s", iss: "https://id.police.be" }],
    ["?error=access_denied&state=s", null],
    ["?error=access_denied&code=c&state=s", null],
    ["?code=c", null],
    ["?state=s", null],
    ["?code=&state=s", null],
    ["?code=c&code=d&state=s", null],
    ["?code=c&state=s&state=t", null],
    ["", null],
  ])("%s", (search, wanted) => {
    expect(answerOf(search)).toEqual(wanted);
  });
});
