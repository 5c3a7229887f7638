import { afterEach, describe, expect, it, vi } from "vitest";
import { call, renewsToken, sessionLost } from "./http";

afterEach(() => {
  vi.unstubAllGlobals();
  sessionLost.set(false);
});

const answer = (status: number): Response =>
  new Response(status === 200 ? "{}" : '{"code":"unauthenticated"}', { status });

describe("a step-up beside other calls", () => {
  it("sends again, once, what left with the token before", async () => {
    let token = "old";
    const seen: string[] = [];
    let finish: () => void = () => undefined;
    const stepped = new Promise<void>((resolve) => (finish = resolve));
    // The token that a call leaves with counts; the answer to the old one comes first.
    vi.stubGlobal("fetch", async (path: string) => {
      const sent = token;
      seen.push(`${path} ${sent}`);
      if (path === "/step-up") {
        await stepped;
        token = "new";
        return answer(200);
      }
      return answer(sent === "new" ? 200 : 401);
    });
    const step = renewsToken(() => call("POST", "/step-up"));
    const list = call("GET", "/list");
    setTimeout(finish, 5);
    expect((await step).ok).toBe(true);
    expect((await list).ok).toBe(true);
    expect(seen).toEqual(["/step-up old", "/list old", "/list new"]);
    expect(sessionLost.get()).toBe(false);
  });
  it("tells a lost session as before, and after one more try", async () => {
    let count = 0;
    vi.stubGlobal("fetch", async () => {
      count += 1;
      return answer(401);
    });
    expect((await call("GET", "/list")).ok).toBe(false);
    expect([count, sessionLost.get()]).toEqual([1, true]);
    sessionLost.set(false);
    const beside = call("GET", "/list");
    await renewsToken(async () => undefined);
    expect((await beside).ok).toBe(false);
    expect([count, sessionLost.get()]).toEqual([3, true]);
  });
});
